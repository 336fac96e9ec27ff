"""What encoders are given of a normalised clip; runs in worker processes, so nothing heavy is imported here."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.media import frame_count
from cafa.media.frames import read_frame_sets
from cafa.media.sound import read_channels


@dataclass(frozen=True)
class IngestedClip:
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
    def of(cls, clip_id: str, detail: str) -> "IngestedClip":
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

    def __call__(self, clip: IngestedClip) -> np.ndarray:
        """Frames, uint8 (ceil(window frames / every), height, width, 3)."""
        return frames_once({"": self}, clip)[""]

    def seconds_of(self, clip: IngestedClip) -> float:
        """Seconds that are read of a clip."""
        wanted = min(self.seconds, self.window)
        return min(wanted, clip.seconds) if self.pad_short else wanted


def frames_once(readers: Mapping[str, FrameReader], clip: IngestedClip) -> dict[str, np.ndarray]:
    """What several readers give of a clip's frames, which are decoded once for all that use the same part of it."""
    alike: dict[tuple[Path, float], list[str]] = {}
    for name, reader in readers.items():
        alike.setdefault((reader.folder, reader.seconds_of(clip)), []).append(name)
    found = {}
    for (folder, seconds), names in alike.items():
        sets = [(readers[name].size, readers[name].every) for name in names]
        frames = read_frame_sets(folder / f"{clip.clip_id}.mp4", seconds=seconds, sets=sets)
        for name, some in zip(names, frames, strict=True):
            window = math.ceil(frame_count(readers[name].window) / readers[name].every)
            found[name] = black_padded(some, window)
    return found


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

    def __call__(self, clip: IngestedClip) -> np.ndarray:
        """Sound, float32 (1 or channels, samples)."""
        wanted = min(self.seconds, clip.seconds) if self.pad_short else self.seconds
        sound = read_channels(self.folder / f"{clip.clip_id}.flac", sample_rate=self.sample_rate, seconds=wanted)
        sound = sound[: self.channels]
        return np.pad(sound, ((0, 0), (0, round(self.seconds * self.sample_rate) - sound.shape[1])))


@dataclass(frozen=True)
class Wanted:
    """A clip, and the readers that are to read it.

    Attributes
    ----------
    clip : Clip
    readers : tuple of str
        Names, as :class:`TogetherReader` has them.
    """

    clip: IngestedClip
    readers: tuple[str, ...]


@dataclass(frozen=True)
class TogetherReader:
    """What several encoders are given of a clip: its frames are decoded once, and equal sounds are read once.

    Parameters
    ----------
    readers : dict of str to callable
        From a :class:`IngestedClip` to what an encoder is given.
    """

    readers: dict[str, Callable[[IngestedClip], Any]]

    @property
    def modules(self) -> list[str]:
        """Modules that a worker needs."""
        return [reader.__module__ for reader in self.readers.values()]

    def __call__(self, wanted: Wanted) -> dict[str, Any]:
        """What each of the wanted readers gives, by its name.

        Raises
        ------
        ClipError
            If one of them cannot read the clip.
        """
        mine = {name: self.readers[name] for name in wanted.readers}
        frames = {name: reader for name, reader in mine.items() if isinstance(reader, FrameReader)}
        found: dict[str, Any] = dict(frames_once(frames, wanted.clip))
        for name, reader in mine.items():
            if name not in found:
                same = next((other for other in found if mine[other] == reader), None)
                found[name] = reader(wanted.clip) if same is None else found[same]
        return found
