"""The base class of encoders of video: what they want of a clip, and what they make of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from cafa.media.clip_reading import FrameReader, black_padded
from cafa.models.pretrained import InspectedFiles, PretrainedSettings

#: frames per second of normalised clips
FRAME_RATE = 25


class VideoEncoder(ABC):
    """A frozen encoder of clips. F vectors of width D stand for one window.

    Attributes
    ----------
    kind : str
        Kind of its features, such as ``av_clip``; adapters say which kinds they take.
    settings : type of PretrainedSettings, or None
        Settings of the registration; None if it is trained here.
    seconds : float
        Length of the window that it is given.
    every : int
        It is given frames 0, every, 2 every ... of the 25 per second.
    size : int
        Height and width of the frames that it is given, in pixels: the picture is squashed to a square.
    shape : (int, int)
        F and D.
    encoder : dict
        Identity: what its features are stamped with.
    """

    kind: ClassVar[str]
    settings: ClassVar[type[PretrainedSettings] | None] = None
    seconds: ClassVar[float] = 10.0
    every: ClassVar[int] = 1
    size: int
    shape: tuple[int, int]
    encoder: dict[str, Any]

    @classmethod
    def inspect(cls, settings: Any) -> InspectedFiles:
        """Find the files of the model that `settings` describe; raises WeightsError with what to do."""
        raise NotImplementedError(f"{cls.__name__} is not registered but trained here")

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path, card: Mapping[str, Any], device: str) -> Self:
        """The encoder of a model folder with that card; files are compared with the card's SHA-256."""

    @abstractmethod
    def encode(self, clips: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Features (B, F, D), float32, of B clips of frames, uint8 (frames, size, size, 3) in RGB.

        The bits of a clip must not depend on the others.
        """

    def reader(self, folder: Path, seconds: float | None = None, pad_short: bool = False) -> FrameReader:
        """What reads the normalised clips of a folder for :meth:`encode`; `seconds` of each are used."""
        used = self.seconds if seconds is None else seconds
        return FrameReader(folder, (self.size, self.size), self.seconds, self.every, used, pad_short)

    def encode_window(self, frames: np.ndarray, window: int) -> np.ndarray:
        """Features (F, D) of one window of a video; black follows what is shorter, as in training.

        Parameters
        ----------
        frames : ndarray, uint8 (at most `window`, size, size, 3)
            All 25 per second.
        window : int
            Frames of the window.
        """
        padded = black_padded(frames, round(self.seconds * FRAME_RATE))
        return self.encode([padded[:: self.every]])[0]
