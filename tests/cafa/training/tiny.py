"""A tiny world of features for tests of training and generation."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cafa.features.store import FeatureStore, write_features
from cafa.features.text import write_text_features
from cafa.media.mel import MelSettings
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.miniature_autoencoder import AutoencoderSettings, MelAutoencoder, fit_autoencoder
from cafa.models.encoders.miniature_text import TextSettings
from cafa.models.stable_audio.denoiser import StableAudioSettings
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.backbone import BackboneTraining, train_backbone
from cafa.training.distributed import ALONE, Processes
from cafa.training.generator import TrainingData, TrainingRun
from cafa.training.joint import JointTraining, train_joint
from cafa.training.loop_settings import LoopSettings

LATENTS, CHANNELS, FEATURE = 20, 4, 6
SECONDS = 0.8
MODEL = StableAudioSettings(
    latent_channels=CHANNELS,
    latents=LATENTS,
    blocks=2,
    heads=2,
    head_dim=8,
    key_value_heads=1,
    text_dim=8,
    time_dim=16,
    maximum_seconds=10,
)
VIDEO = AdapterSettings(feature_dim=FEATURE, hint_dim=8, dropout=0.1)
TEXT = TextSettings(dim=8, words=6)


def loop(steps: int = 6, **changes) -> LoopSettings:
    return LoopSettings(**{"steps": steps, "batch_size": 3, "learning_rate": 1e-2, "ema_decay": 0.9, **changes})


class TinyWorld:
    """Random features of eight clips, and where models go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        clips = [f"clip{i}" for i in range(8)]
        self.manifest = pd.DataFrame(
            {"clip_id": clips, "caption": [f"sound number {i % 3}" for i in range(8)], "split": "train"}
        )
        mel = MelSettings(sample_rate=8000, window=640, hop=160, bins=8, maximum_hertz=4000)
        mels = [rng.standard_normal((2 * LATENTS, 8)) for _ in clips]
        settings = AutoencoderSettings(channels=CHANNELS, griffin_lim_iterations=2, mel=mel)
        fit_autoencoder(mels, settings, folder / "autoencoder", {})
        encoder = MelAutoencoder.load(folder / "autoencoder")
        write_features(
            folder / "latents.arrow",
            zip(clips, map(encoder.encode, mels), strict=True),
            kind="latents",
            shape=(LATENTS, CHANNELS),
            dtype="float16",
            encoder=encoder.encoder,
        )
        write_features(
            folder / "video.arrow",
            ((c, rng.standard_normal((LATENTS, FEATURE))) for c in clips),
            kind="av_clip",
            shape=(LATENTS, FEATURE),
            dtype="float16",
            encoder={"name": "random"},
        )
        write_text_features(folder / "text.arrow", self.manifest["caption"], TEXT)
        self.latents = FeatureStore([folder / "latents.arrow"])
        self.video = FeatureStore([folder / "video.arrow"])
        self.text = FeatureStore([folder / "text.arrow"])

    def backbone(self, name: str = "backbone", **changes) -> Path:
        settings = BackboneTraining(loop=loop(**changes), seconds=SECONDS, model=MODEL)
        train_backbone(settings, self.manifest, self.latents, self.text, seed=1, output=self.folder / name)
        return self.folder / name

    def adapter(
        self,
        name: str = "adapter",
        *,
        processes: Processes = ALONE,
        start_from: Path | None = None,
        tensorboard: bool = False,
        read_ahead: int = 2,
        gradient_checkpointing: str = "none",
        settings: dict[str, Any] | None = None,
        **changes,
    ) -> Path:
        training = AdapterTraining(
            loop=loop(**changes),
            seconds=SECONDS,
            model=VIDEO,
            tensorboard=tensorboard,
            read_ahead=read_ahead,
            gradient_checkpointing=gradient_checkpointing,
            **(settings or {}),
        )
        train_adapter(
            training,
            TrainingData(self.manifest, self.latents, self.text, [self.video]),
            self.folder / "backbone",
            TrainingRun(1, self.folder / name, processes=processes),
            start_from=start_from,
        )
        return self.folder / name

    def joint(self, name: str = "joint", **changes) -> Path:
        settings = JointTraining(loop=loop(**changes), seconds=SECONDS, model=MODEL, video=VIDEO)
        train_joint(settings, self.manifest, self.latents, self.text, self.video, seed=1, output=self.folder / name)
        return self.folder / name
