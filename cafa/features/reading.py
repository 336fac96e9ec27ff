"""What encoders are given of a normalised clip; runs in worker processes, so nothing heavy is imported here."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cafa.errors import InputError
from cafa.media import frame_count
from cafa.media.frames import read_frames
from cafa.media.sound import read_channels


@dataclass(frozen=True)
class Clip:
    """A normalised clip as ingest left it.

    Attributes
    ----------
    clip_id : str
    seconds : float
        That it holds.
    video_sha256, sound_sha256 : str
        Of its two files.
    """

    clip_id: str
    seconds: float
    video_sha256: str
    sound_sha256: str

    @classmethod
    def of(cls, clip_id: str, detail: str) -> "Clip":
        """From a row of ingest's ledger of status ``ok``, whose detail is a JSON object of facts."""
        try:
            facts: dict[str, Any] = json.loads(detail)
            return cls(clip_id, facts["seconds"], facts["video_sha256"], facts["sound_sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"ingest's ledger has no facts of clip {clip_id} ({error!r}): give the ledger that `cafa ingest` wrote"
            ) from error


def black_padded(frames: np.ndarray, count: int) -> np.ndarray:
    """Frames of a short clip followed by black ones, as the published code treats clips under 10 s."""
    if len(frames) > count:
        raise InputError(f"{len(frames)} frames do not fit a window of {count}")
    if len(frames) == count:
        return frames
    return np.concatenate([frames, np.zeros((count - len(frames), *frames.shape[1:]), frames.dtype)])


@dataclass(frozen=True)
class FrameReader:
    """Frames of a clip, squashed.

    Parameters
    ----------
    folder : Path
        Folder of the shard's normalised clips.
    size : (int, int)
        Height and width.
    window : float
        Seconds that the encoder is given, always; what the clip does not fill is black.
    every : int
        Keep every how-manieth frame.
    seconds : float
        Seconds of the clip that are used.
    pad_short : bool
        Whether a clip may hold less than `seconds`.
    """

    folder: Path
    size: tuple[int, int]
    window: float
    every: int
    seconds: float
    pad_short: bool

    def __call__(self, clip: Clip) -> np.ndarray:
        """Frames, uint8 (ceil(window frames / every), height, width, 3)."""
        wanted = min(self.seconds, self.window)
        wanted = min(wanted, clip.seconds) if self.pad_short else wanted
        frames = read_frames(self.folder / f"{clip.clip_id}.mp4", seconds=wanted, size=self.size, every=self.every)
        return black_padded(frames, math.ceil(frame_count(self.window) / self.every))


@dataclass(frozen=True)
class SoundReader:
    """Sound of a clip for an autoencoder.

    Parameters
    ----------
    folder : Path
    sample_rate : int
    channels : int
        Of the autoencoder. A mono sound stays mono (the autoencoder copies it); of more channels the first are taken.
    seconds : float
    pad_short : bool
        Whether a clip may hold less: silence follows.
    """

    folder: Path
    sample_rate: int
    channels: int
    seconds: float
    pad_short: bool

    def __call__(self, clip: Clip) -> np.ndarray:
        """Sound, float32 (1 or channels, samples)."""
        wanted = min(self.seconds, clip.seconds) if self.pad_short else self.seconds
        sound = read_channels(self.folder / f"{clip.clip_id}.flac", sample_rate=self.sample_rate, seconds=wanted)
        sound = sound[: self.channels]
        return np.pad(sound, ((0, 0), (0, round(self.seconds * self.sample_rate) - sound.shape[1])))
