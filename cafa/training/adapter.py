"""Training of an adapter on a frozen backbone."""

from pathlib import Path

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from cafa.adapter import Adapter, AdapterSettings, adapted_velocity
from cafa.errors import InputError
from cafa.store import FeatureStore
from cafa.trained import ADAPTER, load_backbone
from cafa.training.diffusion import velocity_loss
from cafa.training.generator import GeneratorTraining, check_inputs, condition_batch, seeded, train_generator


class AdapterTraining(GeneratorTraining):
    """Settings of adapter training."""

    model: AdapterSettings = Field(description="size of the adapter's video input")


def train_adapter(
    settings: AdapterTraining, manifest: pd.DataFrame, backbone_folder: str | Path, latents: FeatureStore,
    text: FeatureStore, video: FeatureStore, *, seed: int, output: str | Path, device: str = "cpu",
) -> None:  # fmt: skip
    """Train an adapter on a frozen backbone; it starts as a copy of the backbone's blocks.

    Raises
    ------
    InputError
        If latents or text states are not of the encoders that the backbone was trained with.
    """
    backbone, card = load_backbone(backbone_folder)
    check_inputs(card, {"latents": latents, "text": text})
    if video.shape[1] != settings.model.feature_dim:
        raise InputError(f"video features {video.shape} do not fit the adapter's feature_dim {settings.model}")
    backbone.to(device)
    adapter = seeded(seed, lambda: Adapter(backbone.settings, settings.model))
    adapter.copy_backbone(backbone)

    def loss(model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        conditioning = condition_batch(backbone, batch, settings, generator)
        velocity = lambda z, t: adapted_velocity(backbone, model, z, t, conditioning, batch["video"])  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], settings.objective, generator)}

    stores = {"latents": latents, "text": text, "video": video}
    extra = {"backbone_sha256": card["weights_sha256"]}
    train_generator(
        ADAPTER, adapter, loss, settings, manifest, stores, seed=seed, output=output, device=device,
        code="cafa.training.adapter", extra=extra,
    )  # fmt: skip
