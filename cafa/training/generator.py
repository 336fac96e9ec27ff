"""What the trainings of backbone, adapter and joint model have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from cafa.backbones.stable_audio import Conditioning, StableAudioBackbone
from cafa.checkpoint import RESUME, save_model
from cafa.errors import InputError
from cafa.provenance import code_digest
from cafa.seeds import seed_for
from cafa.store import FeatureStore
from cafa.training.data import EpochOrder, FeatureBatches, clips_with_features
from cafa.training.diffusion import DiffusionSettings, drop_text, keep_mask
from cafa.training.loop import LoopSettings, train


class GeneratorTraining(BaseModel):
    """Settings that every training of a generator model has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopSettings = Field(description="optimisation")
    objective: DiffusionSettings = Field(default_factory=DiffusionSettings, description="what is learned")
    split: str = Field("train", description="split of the manifest to train on")
    seconds: float = Field(gt=0, description="length of a clip, told to the timing conditioners")


def seeded(seed: int, build: Callable[[], nn.Module]) -> Any:
    """Build a module with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "initial weights"))
        return build()


def condition_batch(
    backbone: StableAudioBackbone, batch: dict[str, Tensor], settings: GeneratorTraining, generator: torch.Generator
) -> Conditioning:
    """Conditioning of a batch, with captions dropped at random."""
    count = len(batch["text"])
    device = batch["text"].device
    zero = torch.zeros(count, device=device)
    conditioning = backbone.condition(batch["text"], zero, zero + settings.seconds)
    keep = keep_mask(settings.objective.caption_dropout, count, generator).to(device)
    return drop_text(conditioning, keep)


def train_generator(
    kind: str, model: nn.Module, loss: Callable[..., dict[str, Tensor]], settings: GeneratorTraining,
    manifest: pd.DataFrame, stores: dict[str, FeatureStore], *, seed: int, output: str | Path, device: str, code: str,
    extra: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Train `model` on a split and write its folder.

    Parameters
    ----------
    kind : str
        Of the model folder.
    model : nn.Module
        Initialised; its parameters that require a gradient are trained.
    loss : callable (model, batch, generator) -> dict
        See :func:`cafa.training.loop.train`; the batch holds ``latents``, ``text`` and, if stored, ``video``.
    settings : GeneratorTraining
    manifest : DataFrame
    stores : dict of str to FeatureStore
        ``latents``, ``text`` and, for models that see, ``video``.
    seed : int
    output : path
        Model folder.
    device : str
    code : str
        Module whose digest goes on the card.
    extra : dict, optional
        More for the card.
    """
    output = Path(output)
    rows = clips_with_features(manifest, settings.split, [stores[n] for n in ("latents", "video") if n in stores])
    batches = FeatureBatches(rows, stores["latents"], stores["text"], stores.get("video"))
    order = EpochOrder(len(rows), settings.loop.batch_size, seed)
    inputs = {name: store.encoder_digest for name, store in stores.items()}

    def make_batch(index: int, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: tensor.to(device) for name, tensor in batches(order.batch(index)).items()}

    card = {
        "kind": kind, "settings": settings.model_dump(mode="json"), "seed": seed, "clips": len(rows),
        "inputs": inputs, "text_shape": list(stores["text"].shape), "code": code_digest(code),
        **(extra or {}),
    }  # fmt: skip
    trained = train(
        model.to(device), make_batch, loss, settings.loop, seed=seed, resume_dir=output / RESUME,
        key=[card, rows["clip_id"].tolist()], label=f"train {output.name}",
    )  # fmt: skip
    weights = {**{name: tensor.cpu() for name, tensor in model.state_dict().items()}, **trained.weights}
    model.load_state_dict(weights)
    validation = validation_loss(model, loss, settings, manifest, stores, seed, device)
    card.update(validation, seconds=trained.seconds)
    save_model(output, weights, card, trained.losses)


@torch.no_grad()
def validation_loss(
    model: nn.Module, loss: Callable[..., dict[str, Tensor]], settings: GeneratorTraining, manifest: pd.DataFrame,
    stores: dict[str, FeatureStore], seed: int, device: str,
) -> dict[str, float | int]:  # fmt: skip
    """Loss over the split ``validation`` with its own noise, for the card; empty if there is no such clip.

    Every clip is seen once; times and noise depend on the seed alone, so models of one data set can be compared.
    """
    held_out = manifest["split"] == "validation"
    if settings.split == "validation" or not held_out.any():
        return {}
    rows = clips_with_features(manifest, "validation", [stores[n] for n in ("latents", "video") if n in stores])
    batches = FeatureBatches(rows, stores["latents"], stores["text"], stores.get("video"))
    generator = torch.Generator().manual_seed(seed_for(seed, "validation"))
    model.eval()
    total = 0.0
    for start in range(0, len(rows), settings.loop.batch_size):
        positions = list(range(start, min(start + settings.loop.batch_size, len(rows))))
        batch = {name: tensor.to(device) for name, tensor in batches(positions).items()}
        total += float(loss(model, batch, generator)["loss"]) * len(positions)
    return {"validation_loss": total / len(rows), "validation_clips": len(rows)}


def check_inputs(card: dict[str, Any], stores: dict[str, FeatureStore]) -> None:
    """Refuse features that are not of the encoders a model was trained with."""
    for name, store in stores.items():
        wanted = card["inputs"][name]
        if store.encoder_digest != wanted:
            raise InputError(
                f"{name} features were made by encoder {store.encoder} (digest {store.encoder_digest[:12]}), but the "
                f"{card['kind']} was trained with digest {wanted[:12]}: make the features with that encoder, or train "
                "again"
            )
