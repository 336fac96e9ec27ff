"""Training of the miniature's AV-CLIP."""

from pathlib import Path

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cafa.common.files import digest_of
from cafa.common.stages import stage_version
from cafa.features.store import FeatureStore
from cafa.models.encoders.miniature_av_clip import KIND, AVClip, AVClipSettings
from cafa.models.folders import RESUME, check_overwrites, save_model
from cafa.training.batches import EpochOrder, clips_with_features
from cafa.training.generator import seeded
from cafa.training.loop import train
from cafa.training.loop_settings import LoopSettings


class AVClipTraining(BaseModel):
    """Settings of AV-CLIP training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopSettings = Field(description="optimisation")
    model: AVClipSettings = Field(default_factory=AVClipSettings, description="size of the encoder")
    split: str = Field("train", description="split of the manifest to train on")


def train_av_clip(
    settings: AVClipTraining,
    manifest: pd.DataFrame,
    frames: FeatureStore,
    mel: FeatureStore,
    *,
    seed: int,
    output: str | Path,
    device: str = "cpu",
) -> None:
    """Train both towers contrastively and write the model folder."""
    rows = clips_with_features(manifest, settings.split, [frames, mel])
    clips = rows["clip_id"].tolist()
    order = EpochOrder(len(clips), settings.loop.batch_size, seed)
    model = seeded(seed, lambda: AVClip(settings.model)).to(device)

    def make_batch(index: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = [clips[p] for p in order.batch(index)]
        sounds = torch.from_numpy(mel.stack(chosen)).float()
        return torch.from_numpy(frames.stack(chosen)).to(device), sounds.to(device)

    def loss(model: AVClip, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": model.contrastive_loss(*batch)}

    card = {
        "kind": KIND,
        "settings": settings.model.model_dump(mode="json"),
        "training": settings.model_dump(mode="json"),
        "seed": seed,
        "clips": len(clips),
        "code": stage_version("train_av_clip"),
        "inputs": {"frames": frames.encoder_digest, "mel": mel.encoder_digest},
    }
    key = {**card, "training": settings.model_dump(mode="json", exclude={"loop"}), "data": digest_of(clips)}
    settled = settings.model_dump(mode="json", exclude={"loop": {"save_every_seconds"}})
    check_overwrites(output, {**card, "training": settled})
    trained = train(
        model,
        make_batch,
        loss,
        settings.loop,
        seed=seed,
        resume_dir=Path(output) / RESUME,
        key=key,
        label="train av_clip",
    )
    save_model(
        output, trained.weights, {**card, "seconds": trained.seconds, "changes": trained.changes}, trained.losses
    )
