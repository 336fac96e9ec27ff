"""What the trainings of backbone, adapter and joint model have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from cafa.common.devices import sent
from cafa.common.files import digest_of
from cafa.common.prefetch import ReadAhead
from cafa.common.seeds import seed_for
from cafa.common.stages import stage_version
from cafa.features.store import FeatureStore
from cafa.models.folders import RESUME, check_overwrites, save_model
from cafa.training.batches import DeviceBatches, EpochOrder, FeatureBatches, clips_with_features
from cafa.training.distributed import ALONE, WHOLE, Processes, Share, check_dealt
from cafa.training.loop import train
from cafa.training.loop_settings import LoopSettings
from cafa.training.objective import DiffusionSettings, NoiseOn, keep_mask
from cafa.training.run_card import hardware, phase
from cafa.training.silence import Silence

Built = TypeVar("Built")


class GeneratorTraining(BaseModel):
    """Settings that every training of a generator model has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopSettings = Field(description="optimisation")
    objective: DiffusionSettings = Field(default_factory=DiffusionSettings, description="what is learned")
    split: str = Field("train", description="split of the manifest to train on")
    seconds: float = Field(gt=0, description="length of a clip, told to the timing conditioners")
    read_ahead: int = Field(2, ge=0, description="batches that a thread reads before they are asked for")
    tensorboard: bool = Field(False, description="write loss curves for TensorBoard into the model folder")


@dataclass(frozen=True)
class TrainingData:
    """What a generator model is trained on.

    Parameters
    ----------
    manifest : DataFrame
    latents, text : FeatureStore
    video : sequence of FeatureStore
        For models that see, one per kind.
    dataset : str
        Name of the data set, for the card.
    """

    manifest: pd.DataFrame
    latents: FeatureStore
    text: FeatureStore
    video: Sequence[FeatureStore] = ()
    dataset: str = ""


@dataclass(frozen=True)
class TrainingRun:
    """How one training is run, and where its model goes.

    Parameters
    ----------
    seed : int
    output : path
        Model folder.
    device : str
    processes : Processes
        Those that train together; the main one writes.
    """

    seed: int
    output: str | Path
    device: str = "cpu"
    processes: Processes = ALONE


def seeded(seed: int, build: Callable[[], Built]) -> Built:
    """Build a module with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "initial weights"))
        return build()


def condition_batch(
    condition: Callable[[Tensor, Tensor], Any],
    batch: dict[str, Tensor],
    settings: GeneratorTraining,
    generator: torch.Generator,
    share: Share = WHOLE,
) -> Any:
    """Conditioning of a batch, with captions dropped at random.

    Parameters
    ----------
    condition : callable (text, seconds (B,)) -> conditioning
        Of the backbone.
    batch : dict of str to Tensor
    settings : GeneratorTraining
    generator : torch.Generator
        Draws for the whole batch, of which `batch` is this process's share.
    share : Share
    """
    text = batch["text"]
    seconds = torch.full((len(text),), settings.seconds, device=text.device)
    # The conditioners see seconds up to hundreds: 16 bits would not tell one from the next.
    with torch.autocast(text.device.type, enabled=False):
        conditioning = condition(text, seconds)
    keep = keep_mask(settings.objective.caption_dropout, len(text) * share.count, generator)
    return conditioning.with_dropped_text(sent(share.of(keep), text.device))


def train_generator(
    kind: str,
    model: nn.Module,
    loss: Callable[..., dict[str, Tensor]],
    settings: GeneratorTraining,
    data: TrainingData,
    run: TrainingRun,
    *,
    code: str,
    extra: dict[str, Any] | None = None,
    silence: Silence | None = None,
    told: dict[str, Any] | None = None,
) -> None:
    """Train `model` on a split and write its folder.

    Parameters
    ----------
    kind : str
        Of the model folder.
    model : nn.Module
        Initialised; its parameters that require a gradient are trained.
    loss : callable (model, batch, generator, share) -> dict
        See :func:`cafa.training.loop.train`; the batch holds ``latents``, ``text`` and, if there are such, ``video``.
    settings : GeneratorTraining
    data : TrainingData
    run : TrainingRun
    code : str
        Stage whose version goes on the card.
    extra : dict, optional
        More for the card; ``phases`` are those before this one.
    silence : Silence, optional
        What follows the stored latents.
    told : dict, optional
        More for the card that results do not depend on.
    """
    output, where, share = Path(run.output), run.processes.device(run.device), run.processes.share
    check_dealt(settings.loop.batch_size, share.count)
    rows = clips_with_features(data.manifest, settings.split, [data.latents, *data.video])
    batches = batches_for(where, rows, data, silence, settings.objective.noise_on)
    order = EpochOrder(len(rows), settings.loop.batch_size, run.seed)
    reader = ReadAhead(
        lambda index: batches.read(share.of(order.batch(index))),
        settings.read_ahead,
        settings.loop.steps * settings.loop.accumulation,
    )
    card = {
        "kind": kind,
        "settings": settings.model_dump(mode="json"),
        "seed": run.seed,
        "clips": len(rows),
        "data": {"name": data.dataset, "sha256": digest_of(rows[["clip_id", "caption"]].to_numpy().tolist())},
        "inputs": {store.kind: store.encoder_digest for store in (data.latents, data.text, *data.video)},
        "video_kinds": [store.kind for store in data.video],
        "text_shape": list(data.text.shape),
        "code": stage_version(code),
        **(extra or {}),
    }
    key = {**card, "settings": settings.model_dump(mode="json", exclude={"loop", "tensorboard", "read_ahead"})}
    aside: dict[str, Any] = {"loop": {"save_every_seconds"}, "tensorboard": True, "read_ahead": True}
    wanted = {**card, "settings": settings.model_dump(mode="json", exclude=aside)}
    check_overwrites(output, {name: value for name, value in wanted.items() if name != "phases"})
    try:
        trained = train(
            model.to(where),
            lambda index, generator: batches.send(reader(index)),
            loss if share.count == 1 else partial(loss, share=share),
            settings.loop,
            seed=run.seed,
            key=key,
            processes=run.processes,
            resume_dir=output / RESUME,
            label=f"train {output.name}",
            curves_dir=output / "tensorboard" if settings.tensorboard else None,
        )
    finally:
        reader.close()
    if not run.processes.main:
        return
    weights = {**{name: tensor.cpu() for name, tensor in model.state_dict().items()}, **trained.weights}
    model.load_state_dict(weights)
    card.update(validation_loss(model, loss, settings, data.manifest, batches, run.seed))
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    card.update(parameters_trained=parameters, seconds=trained.seconds, **hardware(trained.sessions), **(told or {}))
    if trained.changes:
        card["changes"] = trained.changes
    card["phases"] = [*card.get("phases", []), phase(card)]
    save_model(output, weights, card, trained.losses)


def batches_for(
    device: torch.device, rows: pd.DataFrame, data: TrainingData, silence: Silence | None, noise_on: NoiseOn
) -> DeviceBatches:
    """Batches of the features of `rows`, the noise of the silence behind them drawn where noise is drawn."""
    drawn_there = noise_on == "device"
    features = FeatureBatches(rows, data.latents, data.text, data.video, None if drawn_there else silence)
    return DeviceBatches(features, device, silence if drawn_there else None)


@torch.no_grad()
def validation_loss(
    model: nn.Module,
    loss: Callable[..., dict[str, Tensor]],
    settings: GeneratorTraining,
    manifest: pd.DataFrame,
    trained_on: DeviceBatches,
    seed: int,
) -> dict[str, float | int]:
    """Loss over the split ``validation`` with its own noise, for the card; empty if there is no such clip.

    Every clip is seen once; times and noise depend on the seed alone, so models of one data set can be compared.
    """
    held_out = manifest["split"] == "validation"
    if settings.split == "validation" or not held_out.any():
        return {}
    like = trained_on.features
    rows = clips_with_features(manifest, "validation", [like.latents, *like.video])
    batches = replace(trained_on, features=FeatureBatches(rows, like.latents, like.text, like.video, like.silence))
    generator = torch.Generator().manual_seed(seed_for(seed, "validation"))
    model.eval()
    total = 0.0
    for start in range(0, len(rows), settings.loop.batch_size):
        positions = list(range(start, min(start + settings.loop.batch_size, len(rows))))
        with settings.loop.arithmetic(), settings.loop.autocast(batches.device):
            batch = batches.send(batches.read(positions))
            total += float(loss(model, batch, generator)["loss"]) * len(positions)
    return {"validation_loss": total / len(rows), "validation_clips": len(rows)}
