"""Training one judge of the miniature from scratch."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from cafa.common.devices import sent
from cafa.common.errors import InputError
from cafa.common.seeds import seed_for
from cafa.common.stages import stage_version
from cafa.models.folders import RESUME, check_overwrites, save_model
from cafa.training.loop import train
from metrics.judges.kinds import miniature_judges
from metrics.judges.trained import build_judge, network_of
from metrics.judges.training.batches import Loss, MakeBatch
from metrics.judges.training.clips import Clips
from metrics.judges.training.settings import JudgeSettings


def silence_of(clips: Clips) -> float:
    """Log-mel value of digital silence."""
    floor = clips.mel.encoder.get("floor")
    if floor is None:
        raise InputError(f"{clips.mel.encoder} names no floor: the log-mel features are not of this version")
    return float(torch.tensor(floor).log())


def architecture_of(name: str, clips: Clips) -> dict[str, Any]:
    """Arguments of the judge's class that follow from its clips."""
    sizes = {
        "bands": clips.mel.shape[1],
        "silence": silence_of(clips),
        "classes": len(clips.labels),
        "size": clips.frames.shape[1],
    }
    taken = inspect.signature(network_of(name)).parameters
    return {size: value for size, value in sizes.items() if size in taken}


def batches_of(name: str) -> Callable[[Clips, JudgeSettings, float], tuple[MakeBatch, Loss]]:
    """The function (clips, settings, silence) that gives a judge's batches and its loss."""
    module, _, function = miniature_judges()[name].batches.partition(":")
    found: Callable[[Clips, JudgeSettings, float], tuple[MakeBatch, Loss]]
    found = getattr(importlib.import_module(module), function)
    return found


def train_judge(
    name: str, clips: Clips, settings: JudgeSettings, *, seed: int, output: Path, device: str = "cpu"
) -> dict[str, Any]:
    """Train judge `name` and write its model folder.

    Parameters
    ----------
    name : str
        A judge that has a small form (:func:`metrics.judges.kinds.miniature_judges`).
    clips : Clips
        What it learns from.
    settings : JudgeSettings
    seed : int
        Seed of the weights' first values and of every draw.
    output : path
        Model folder; holds the state of an unfinished run as well.
    device : str

    Returns
    -------
    dict
        The card, without weights' digest and versions.
    """
    architecture = architecture_of(name, clips)
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(seed, name, "weights"))
        model = build_judge(name, architecture)
    where = torch.device(device)
    model.to(where)
    make_batch, loss = batches_of(name)(clips, settings, silence_of(clips))

    def loss_on_device(model: nn.Module, batch: tuple, generator: Generator) -> dict[str, Tensor]:
        return loss(model, tuple(sent(part, where) if isinstance(part, Tensor) else part for part in batch))

    key = {
        "judge": name,
        "architecture": architecture,
        "augmentation": settings.augmentation.model_dump(mode="json"),
        "data": clips.digest,
        "version": stage_version("train_judge"),
    }
    settled = settings.model_dump(mode="json", exclude={"loop": {"save_every_seconds"}})
    about = {"settings": settled, "seed": seed, "data_digest": clips.digest, "version": key["version"]}
    check_overwrites(output, about)
    trained = train(
        model, make_batch, loss_on_device, settings.loop, seed=seed, resume_dir=output / RESUME, key=key, label=name
    )
    card = {
        "kind": name,
        "architecture": architecture,
        "labels": clips.labels,
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "version": key["version"],
        "clips": len(clips),
        "clips_without_features": clips.absent,
        "data_digest": clips.digest,
        "mel": clips.mel.encoder,
        "frames": clips.frames.encoder,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(trained.seconds, 1),
        "changes": trained.changes,
    }
    save_model(output, trained.weights, card, trained.losses)
    return card
