"""Training of a text-to-audio backbone, on sound and captions only."""

from pathlib import Path

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.errors import InputError
from cafa.features.store import FeatureStore
from cafa.models.loading import BACKBONE
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.training.generator import (
    GeneratorTraining,
    TrainingData,
    TrainingRun,
    condition_batch,
    seeded,
    train_generator,
)
from cafa.training.objective import velocity_loss


class BackboneTraining(GeneratorTraining):
    """Settings of backbone training."""

    model: StableAudioSettings = Field(description="size of the backbone")


def train_backbone(
    settings: BackboneTraining,
    manifest: pd.DataFrame,
    latents: FeatureStore,
    text: FeatureStore,
    *,
    seed: int,
    output: str | Path,
    device: str = "cpu",
    dataset: str = "",
) -> None:
    """Train a text-to-audio backbone on sound and captions only."""
    if latents.shape[1] != settings.model.latent_channels or text.shape[1] != settings.model.text_dim:
        raise InputError(
            f"latents {latents.shape} and text states {text.shape} do not fit the backbone's latent_channels "
            f"{settings.model.latent_channels} and text_dim {settings.model.text_dim}"
        )
    model = seeded(seed, lambda: StableAudioBackbone(settings.model))

    def loss(model: StableAudioBackbone, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        condition = lambda text, seconds: model.condition(text, torch.zeros_like(seconds), seconds)  # noqa: E731
        conditioning = condition_batch(condition, batch, settings, generator)
        velocity = lambda z, t: model(z, t, conditioning)  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], settings.objective, generator)}

    data, run = TrainingData(manifest, latents, text, dataset=dataset), TrainingRun(seed, output, device)
    train_generator(BACKBONE, model, loss, settings, data, run, code="train_backbone")
