"""Training of a text-to-audio backbone, on sound and captions only."""

from pathlib import Path

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.errors import InputError
from cafa.features.store import FeatureStore
from cafa.models.loading import TrainedBackbone, new_backbone
from cafa.models.stable_audio.blocks import StableAudioSettings
from cafa.models.tangoflux.blocks import TangoFluxSettings
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

    model: StableAudioSettings | TangoFluxSettings = Field(
        description="size of the backbone: of Stable Audio's form or, with double_blocks, of TangoFlux's"
    )


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
    kind, model = seeded(seed, lambda: new_backbone(settings.model))

    def loss(model: TrainedBackbone, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        conditioning = condition_batch(model.of_captions, batch, settings, generator)
        velocity = lambda z, t: model(z, t, conditioning)  # noqa: E731
        loss = velocity_loss(velocity, batch["latents"], settings.objective, generator, path=model.flow_path)
        return {"loss": loss}

    data, run = TrainingData(manifest, latents, text, dataset=dataset), TrainingRun(seed, output, device)
    train_generator(kind, model, loss, settings, data, run, code="train_backbone")
