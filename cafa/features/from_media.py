"""Frames and log-mel of normalised clips: what the miniature's encoders and judges read.

Each clip is decoded once. Clips that ingest refused, or that are too short for the window, end in the ledger.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.stages import stage_version
from cafa.features.encode import Encoding
from cafa.features.store import FeatureFormat
from cafa.media.clip_reading import IngestedClip
from cafa.media.frames import read_frames
from cafa.media.mel import MelSettings, log_mel
from cafa.media.sound import read_sound

STAGE = "features media"


class MediaSettings(BaseModel):
    """What is read from a clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(gt=0, description="window from the start of the clip")
    frame_rate: int = Field(25, gt=0, description="frames per second of normalised clips")
    frame_size: int = Field(32, gt=0, description="frames are squashed to this square")
    mel: MelSettings = Field(default_factory=MelSettings, description="geometry of the log-mel")

    @property
    def frames_shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, RGB)."""
        return (round(self.seconds * self.frame_rate), self.frame_size, self.frame_size, 3)

    @property
    def mel_shape(self) -> tuple[int, int]:
        """(mel frames, bands)."""
        return (self.mel.frames(self.seconds), self.mel.bins)


@dataclass(frozen=True)
class MediaReader:
    """Frames and log-mel of a clip of a folder of normalised clips."""

    folder: Path
    settings: MediaSettings

    def __call__(self, clip: IngestedClip) -> dict[str, np.ndarray]:
        """``frames`` and ``mel``.

        Raises
        ------
        ClipError
            ``short`` if the clip does not fill the window.
        """
        settings = self.settings
        size = (settings.frame_size, settings.frame_size)
        frames = read_frames(self.folder / f"{clip.clip_id}.mp4", seconds=settings.seconds, size=size)
        rate = settings.mel.sample_rate
        sound = read_sound(self.folder / f"{clip.clip_id}.flac", sample_rate=rate, seconds=settings.seconds)
        return {"frames": frames, "mel": log_mel(sound, settings.mel)}


def media_encoding(clips: str | Path, settings: MediaSettings) -> Encoding:
    """Frames and log-mels, each clip decoded once."""
    about = {"decoder": "normalised clip", **settings.model_dump(exclude={"mel"})}
    sound = {"name": "log_mel", "seconds": settings.seconds, **settings.mel.model_dump()}
    code = stage_version("features_media")
    return Encoding(
        stage=STAGE,
        formats={
            "frames": FeatureFormat("frames", settings.frames_shape, "uint8", {"name": "frames", **about}, code=code),
            "mel": FeatureFormat("mel", settings.mel_shape, "float16", sound, code=code),
        },
        sources={"frames": "video_sha256", "mel": "sound_sha256"},
        read=MediaReader(Path(clips), settings),
        encode=lambda _, given: given,
    )
