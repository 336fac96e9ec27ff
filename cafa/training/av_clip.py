"""Training of the miniature's AV-CLIP."""

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.features.store import FeatureStore
from cafa.models.encoders.miniature_av_clip import KIND, AVClip, AVClipSettings
from cafa.training.batches import EpochOrder, clips_with_features
from cafa.training.contrastive import EncoderTraining, train_encoder
from cafa.training.generator import TrainingRun, seeded


class AVClipTraining(EncoderTraining):
    """Settings of AV-CLIP training."""

    model: AVClipSettings = Field(default_factory=AVClipSettings, description="size of the encoder")


def train_av_clip(
    settings: AVClipTraining, manifest: pd.DataFrame, frames: FeatureStore, mel: FeatureStore, run: TrainingRun
) -> None:
    """Train both towers contrastively and write the model folder."""
    clips = clips_with_features(manifest, settings.split, [frames, mel])["clip_id"].tolist()
    order = EpochOrder(len(clips), settings.loop.batch_size, run.seed)
    device = torch.device(run.device)
    model = seeded(run.seed, lambda: AVClip(settings.model)).to(device)

    def make_batch(index: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = [clips[p] for p in order.batch(index)]
        sounds = torch.from_numpy(mel.stack(chosen)).float()
        return sent(torch.from_numpy(frames.stack(chosen)), device), sent(sounds, device)

    inputs = {"frames": frames.encoder_digest, "mel": mel.encoder_digest}
    train_encoder(
        KIND,
        model,
        lambda model, batch: model.contrastive_loss(*batch),
        make_batch,
        settings,
        run,
        data=clips,
        inputs=inputs,
    )
