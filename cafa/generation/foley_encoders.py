"""What one video and one prompt are turned into, by the encoders that a generator's models were trained with."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import digest_of
from cafa.generation.interface import SoundGenerator
from cafa.media.container import open_media
from cafa.models.folders import CARD
from cafa.models.registry import open_video_encoder


class Encoders:
    """Encoders of prompts and of windows of a video: those that a generator's models were trained with.

    Parameters
    ----------
    models : path
        Folder of model folders; that of an encoder of video is named after the kind of its features.
    generator : SoundGenerator
        Encodes prompts itself.
    device : str

    Attributes
    ----------
    sizes : tuple of int
        Heights (and widths) at which the frames of a window are wanted.

    Raises
    ------
    InputError
        If the models were trained with features of another encoder.
    """

    def __init__(self, models: Path, generator: SoundGenerator, device: str = "cpu") -> None:
        self._generator = generator
        self._encoders = [open_video_encoder(models / kind, device) for kind in generator.video_kinds]
        for kind, encoder in zip(generator.video_kinds, self._encoders, strict=True):
            _require_encoder(generator, kind, encoder.encoder, models / kind)
        self.sizes: tuple[int, ...] = tuple(encoder.size for encoder in self._encoders)

    def text(self, prompt: str) -> np.ndarray:
        """Text states of a prompt, (L, text_dim)."""
        return self._generator.encode_text(prompt)

    def video(self, frames: Sequence[np.ndarray], window: int) -> np.ndarray:
        """Video features (F, width) of at most `window` frames, for every size uint8 (n, size, size, 3)."""
        pairs = zip(self._encoders, frames, strict=True)
        return np.concatenate([encoder.encode_window(pictures, window) for encoder, pictures in pairs], axis=1)


def _require_encoder(generator: SoundGenerator, kind: str, encoder: dict[str, Any], folder: Path) -> None:
    if digest_of(encoder) != generator.inputs[kind]:
        raise InputError(
            f"the model was trained with {kind} features of another encoder than the one in {folder}: train it again, "
            "or put the encoder there that it was trained with"
        )


def require_models(models: Path, names: Sequence[str]) -> None:
    """Refuse a folder that lacks models.

    Raises
    ------
    WeightsError
        Saying which commands make them.
    """
    missing = [name for name in names if not (models / name / CARD).is_file()]
    if missing:
        raise WeightsError(
            f"no models in {models} (missing: {', '.join(missing)}): `make table1` trains the miniature's in about "
            "ten minutes; `cafa models register` registers pretrained ones (docs/full_size.md); or name another folder "
            "with --models"
        )


def frames_of_windows(
    path: Path, starts: Sequence[int], window: int, sizes: Sequence[int]
) -> Iterator[list[np.ndarray]]:
    """Frames of overlapping windows of a normalised video: for every size uint8 (at most `window`, size, size, 3).

    The video is decoded once, and no more than one window is in memory.
    """
    held: list[list[np.ndarray]] = []
    first, waiting = 0, list(starts)
    with open_media(path) as media:
        for number, (frame, _) in enumerate(media.frames(media.stream("video"), start=0)):
            held.append([squashed(frame.to_ndarray(format="rgb24"), size) for size in sizes])
            if number + 1 == waiting[0] + window:
                start = waiting.pop(0)
                yield [np.stack(pictures) for pictures in zip(*held[start - first :], strict=True)]
                if not waiting:
                    return
                held, first = held[waiting[0] - first :], waiting[0]
    for start in waiting:
        yield [np.stack(pictures) for pictures in zip(*held[start - first :], strict=True)]


def squashed(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture as :func:`cafa.media.frames.read_frames` gives it at that size."""
    if picture.shape[:2] == (size, size):
        return picture
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
