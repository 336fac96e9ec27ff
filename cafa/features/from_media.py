"""Frames and log-mel of normalised clips: what the miniature's encoders and judges read.

Each clip is decoded once. Clips that ingest refused, or that are too short for the window, end in the ledger.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.errors import ClipError
from cafa.ledger import OK, ledger_row, read_ledgers, write_ledger
from cafa.media.frames import read_frames
from cafa.media.mel import MelSettings, log_mel
from cafa.media.sound import read_sound
from cafa.progress import progress
from cafa.shards import shard_of
from cafa.store import write_features

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


def read_clip(folder: Path, clip_id: str, settings: MediaSettings) -> tuple[np.ndarray, np.ndarray]:
    """Frames and log-mel of one normalised clip.

    Raises
    ------
    ClipError
        ``short`` if the clip does not fill the window.
    """
    size = (settings.frame_size, settings.frame_size)
    frames = read_frames(folder / f"{clip_id}.mp4", seconds=settings.seconds, size=size)
    sound = read_sound(folder / f"{clip_id}.flac", sample_rate=settings.mel.sample_rate, seconds=settings.seconds)
    wanted = round(settings.seconds * settings.mel.sample_rate)
    if frames.shape != settings.frames_shape or len(sound) < 0.98 * wanted:
        have = min(len(frames) / settings.frame_rate, len(sound) / settings.mel.sample_rate)
        raise ClipError("short", f"holds {have:.2f} s, the window is {settings.seconds} s")
    # Resampling may miss a few samples at the end; anything more was refused above.
    sound = np.pad(sound, (0, max(0, wanted - len(sound))))[:wanted]
    return frames, log_mel(sound, settings.mel)


def write_media_features(
    manifest: pd.DataFrame, clips: str | Path, ingest_ledger: str | Path, shard: tuple[int, int],
    settings: MediaSettings, frames_path: str | Path, mel_path: str | Path, ledger_path: str | Path,
) -> None:  # fmt: skip
    """Write frames and log-mel of a shard, and the stage's ledger."""
    status = read_ledgers([ingest_ledger]).set_index("clip_id")["status"]
    mine = sorted(c for c in manifest["clip_id"] if shard_of(c, shard[1]) == shard[0])
    rows: list[dict[str, Any]] = []
    mels: dict[str, np.ndarray] = {}

    def frames() -> Iterator[tuple[str, np.ndarray]]:
        for clip_id in progress(mine, STAGE, len(mine)):
            if status.get(clip_id) != OK:
                rows.append(ledger_row(clip_id, STAGE, "missing_feature", f"ingest: {status.get(clip_id, 'no row')}"))
                continue
            try:
                pictures, mel = read_clip(Path(clips), clip_id, settings)
            except ClipError as error:
                rows.append(ledger_row(clip_id, STAGE, error.reason, error.detail))
                continue
            mels[clip_id] = mel.astype(np.float16)
            rows.append(ledger_row(clip_id, STAGE))
            yield clip_id, pictures

    about = {"decoder": "normalised clip", **settings.model_dump(exclude={"mel"})}
    write_features(
        frames_path, frames(), kind="frames", shape=settings.frames_shape, dtype="uint8",
        encoder={"name": "frames", **about},
    )  # fmt: skip
    write_features(
        mel_path, mels.items(), kind="mel", shape=settings.mel_shape, dtype="float16",
        encoder={"name": "log_mel", "seconds": settings.seconds, **settings.mel.model_dump()},
    )  # fmt: skip
    write_ledger(ledger_path, rows)
