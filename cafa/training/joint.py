"""Training of the joint model of video and text, from scratch."""

from pathlib import Path

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.features.store import FeatureStore
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.loading import JOINT
from cafa.models.stable_audio.denoiser import StableAudioSettings
from cafa.models.stable_audio.joint import JointModel
from cafa.training.generator import (
    GeneratorTraining,
    TrainingData,
    TrainingRun,
    condition_batch,
    seeded,
    train_generator,
)
from cafa.training.objective import keep_mask, velocity_loss


class JointTraining(GeneratorTraining):
    """Settings of the joint model's training."""

    model: StableAudioSettings = Field(description="size of the denoiser")
    video: AdapterSettings = Field(description="size of the video input")


def train_joint(
    settings: JointTraining,
    manifest: pd.DataFrame,
    latents: FeatureStore,
    text: FeatureStore,
    video: FeatureStore,
    *,
    seed: int,
    output: str | Path,
    device: str = "cpu",
    dataset: str = "",
) -> None:
    """Train a joint model of video and text from scratch."""
    model = seeded(seed, lambda: JointModel(settings.model, settings.video))

    def loss(model: JointModel, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        backbone = model.backbone
        condition = lambda text, seconds: backbone.condition(text, torch.zeros_like(seconds), seconds)  # noqa: E731
        conditioning = condition_batch(condition, batch, settings, generator)
        features = batch["video"]
        keep = sent(keep_mask(settings.objective.video_dropout, len(features), generator), features.device)
        velocity = lambda z, t: model(z, t, conditioning, features, keep)  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], settings.objective, generator)}

    data, run = TrainingData(manifest, latents, text, [video], dataset), TrainingRun(seed, output, device)
    train_generator(JOINT, model, loss, settings, data, run, code="train_joint")
