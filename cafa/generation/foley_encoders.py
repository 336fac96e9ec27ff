"""What one video and one prompt are turned into, by the encoders that a generator's models were trained with."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import digest_of
from cafa.generation.interface import SoundGenerator
from cafa.media.clip_reading import black_padded
from cafa.media.container import open_media
from cafa.models.encoders.clip import EVERY
from cafa.models.encoders.miniature_av_clip import AVClipEncoder
from cafa.models.encoders.miniature_text import TextSettings, text_states
from cafa.models.encoders.synchformer import FRAMES, SQUASHED
from cafa.models.folders import CARD
from cafa.models.registry import open_features

#: Frames of the square that the miniature's encoder sees.
FRAME_SIZE = 32


class Encoders(Protocol):
    """Encoders of prompts and of windows of a video.

    Attributes
    ----------
    sizes : tuple of int
        Heights (and widths) at which the frames of a window are wanted.
    """

    sizes: tuple[int, ...]

    def text(self, prompt: str) -> np.ndarray:
        """Text states of a prompt, (L, text_dim)."""
        ...

    def video(self, frames: Sequence[np.ndarray], window: int) -> np.ndarray:
        """Video features (F, width) of at most `window` frames, for every size uint8 (n, size, size, 3)."""
        ...


class MiniatureEncoders:
    """Hashed words and the AV-CLIP that was trained here.

    Parameters
    ----------
    models : path
        Folder of model folders.
    generator : SoundGenerator
    """

    sizes = (FRAME_SIZE,)

    def __init__(self, models: Path, generator: SoundGenerator) -> None:
        self._encoder = AVClipEncoder(models / "av_clip")
        _require_encoder(generator, "av_clip", self._encoder.encoder, models / "av_clip")
        words, dim = generator.text_shape
        self._text = TextSettings(words=words, dim=dim)

    def text(self, prompt: str) -> np.ndarray:
        """See :class:`Encoders`."""
        return text_states(prompt, self._text)

    def video(self, frames: Sequence[np.ndarray], window: int) -> np.ndarray:
        """See :class:`Encoders`; a video shorter than the window stands still at its end."""
        (pictures,) = frames
        held = np.repeat(pictures[-1:], window - len(pictures), axis=0)
        return self._encoder.encode(np.concatenate([pictures, held]))


class PretrainedEncoders:
    """T5 of the backbone, and the registered Synchformer and CLIP.

    Parameters
    ----------
    models : path
        Folder of model folders; the encoders are ``av_clip`` and ``clip``.
    generator : PretrainedGenerator
    device : str
    """

    def __init__(self, models: Path, generator: Any, device: str) -> None:
        self._backbone = generator.backbone
        self._encoders = [open_features(models / kind, device) for kind in generator.video_kinds]
        for kind, encoder in zip(generator.video_kinds, self._encoders, strict=True):
            _require_encoder(generator, kind, encoder.encoder, models / kind)
        self.sizes = tuple(encoder.size if encoder.kind == "clip" else SQUASHED[0] for encoder in self._encoders)

    def text(self, prompt: str) -> np.ndarray:
        """See :class:`Encoders`."""
        if not prompt.strip():
            raise InputError("a prompt must have at least one word")
        return self._backbone.encode_text([prompt])[0].cpu().numpy()

    def video(self, frames: Sequence[np.ndarray], window: int) -> np.ndarray:
        """See :class:`Encoders`; black follows what is shorter than the encoders' 10 s, as in training."""
        features = []
        for encoder, pictures in zip(self._encoders, frames, strict=True):
            padded = black_padded(pictures, FRAMES)
            features.append(encoder.encode([padded[::EVERY] if encoder.kind == "clip" else padded])[0])
        return np.concatenate(features, axis=1)


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
