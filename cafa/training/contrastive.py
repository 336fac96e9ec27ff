"""What the trainings of the miniature's encoders of video have in common."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cafa.common.files import digest_of
from cafa.common.stages import stage_version
from cafa.models.folders import RESUME, check_overwrites, save_model
from cafa.training.generator import TrainingRun
from cafa.training.loop import Network, train
from cafa.training.loop_settings import LoopSettings


class EncoderTraining(BaseModel):
    """Settings that every training of an encoder has; a subclass adds ``model``, the size of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopSettings = Field(description="optimisation")
    split: str = Field("train", description="split of the manifest to train on")


def train_encoder(
    kind: str,
    model: Network,
    loss: Callable[[Network, Any], Tensor],
    make_batch: Callable[[int, torch.Generator], Any],
    settings: EncoderTraining,
    run: TrainingRun,
    *,
    data: list[Any],
    inputs: Mapping[str, str],
) -> None:
    """Train an encoder and write its model folder.

    Parameters
    ----------
    kind : str
        Of the model folder; the stage is ``train_<kind>``.
    model : nn.Module
        Initialised, on the device.
    loss : callable (model, batch) -> Tensor
    make_batch : callable (index, generator) -> batch
    settings : EncoderTraining
    run : TrainingRun
    data : list
        What it is trained on, one entry per clip.
    inputs : mapping of str to str
        Kind of feature -> digest of the encoder that made it.
    """
    card = {
        "kind": kind,
        "settings": settings.model_dump(mode="json")["model"],
        "training": settings.model_dump(mode="json"),
        "seed": run.seed,
        "clips": len(data),
        "code": stage_version(f"train_{kind}"),
        "inputs": dict(inputs),
    }
    key = {**card, "training": settings.model_dump(mode="json", exclude={"loop"}), "data": digest_of(data)}
    settled = settings.model_dump(mode="json", exclude={"loop": {"save_every_seconds"}})
    check_overwrites(run.output, {**card, "training": settled})
    trained = train(
        model,
        make_batch,
        lambda model, batch, generator: {"loss": loss(model, batch)},
        settings.loop,
        seed=run.seed,
        resume_dir=Path(run.output) / RESUME,
        key=key,
        label=f"train {kind}",
    )
    about = {**card, "seconds": trained.seconds, "changes": trained.changes}
    save_model(run.output, trained.weights, about, trained.losses)
