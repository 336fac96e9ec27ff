"""What a published judge is, once its networks are loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from cafa.common.errors import InputError
from cafa.models.weights import WeightSource
from metrics.judges.interface import Columns


class AudioEncoder(Protocol):
    """A network of a judge that takes sound; see :mod:`metrics.encoders.interface`."""

    name: str
    weights_sha256: str
    sample_rate: int

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Decoded sound (channels, samples) at any rate to what `embed` takes; `seconds` None: all of it."""
        ...

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings, float32, first axis the sounds."""
        ...


class VideoEncoder(Protocol):
    """A network of a judge that takes pictures."""

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings of clips, each uint8 RGB (frames, height, width, 3); float32, first axis the clips."""
        ...


@dataclass(frozen=True)
class JudgeFiles:
    """Files of a judge, and how its networks are loaded.

    Attributes
    ----------
    paths : mapping of str to path
        By name of the table of weights.
    sources : mapping of str to WeightSource
        What each must be.
    device : str
    unverified : bool
        Accept files without a recorded SHA-256.
    sizes : mapping
        Arguments of the networks that are not the published ones (tests).
    """

    paths: Mapping[str, Path]
    sources: Mapping[str, WeightSource]
    device: str = "cpu"
    unverified: bool = False
    sizes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_network(self) -> dict[str, Any]:
        """Arguments of a network: the device, and sizes."""
        return {"device": self.device, **self.sizes}


class PublishedJudge:
    """A published judge, loaded. Subclass it: what is here is a judge of sound alone with one column ``embedding``.

    Parameters
    ----------
    audio_encoder : AudioEncoder, optional
        None where it is loaded for captions only.
    weights_sha256 : str, optional
        Of the network's file; None: the encoder's.

    Attributes
    ----------
    video_encoder : VideoEncoder, optional
        Network of pictures; None if it looks at none, or was not loaded for them.
    frame_rate : Fraction, optional
        Frames per second that it looks at.
    fewest_frames : int
        That it can judge.
    takes_whole_files : bool
        Whether it can be asked to take whole files, whatever is scored (``whole_file_for_imagebind``).
    reported_classes : mapping of str to int
        Classes of its logits that are metrics of their own, and their places.
    """

    frame_rate: ClassVar[Fraction | None] = None
    fewest_frames: ClassVar[int] = 0
    takes_whole_files: ClassVar[bool] = False
    reported_classes: ClassVar[Mapping[str, int]] = {}
    video_encoder: VideoEncoder | None = None

    def __init__(self, audio_encoder: AudioEncoder | None, weights_sha256: str | None = None) -> None:
        if audio_encoder is None and weights_sha256 is None:
            raise InputError("a judge without an encoder of sound must say the SHA-256 of its weights")
        self.audio_encoder = audio_encoder
        self.weights_sha256 = weights_sha256 or (audio_encoder.weights_sha256 if audio_encoder else "")

    @property
    def audio(self) -> AudioEncoder:
        """The encoder of sound.

        Raises
        ------
        InputError
            If it was not loaded.
        """
        if self.audio_encoder is None:
            raise InputError("the judge was not loaded for sounds")
        return self.audio_encoder

    def check_length(self, seconds: float) -> None:
        """Refuse a length that it cannot judge, with an `InputError`."""

    def frames(self, seconds: float) -> int:
        """Frames that it looks at in `seconds` of a clip."""
        raise NotImplementedError

    def prepare_audio(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Decoded sound, float32 (channels, samples), as it takes it; `seconds` None: all of it."""
        return self.audio.prepare(samples, rate, seconds)

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """Columns of sounds as `prepare_audio` gives them; `video` is what `embed_video` gave for their clips."""
        return {"embedding": self.audio.embed(sounds)}

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        """What is kept of a picture, uint8 (frames, height, width, 3), short side 224."""
        if self.video_encoder is None:
            raise InputError("the judge was not loaded for pictures")
        return self.video_encoder.embed([frames])[0]

    def kept_picture(self, seconds: float) -> tuple[int, ...]:
        """Shape of what `embed_video` gives, of a judge whose description has `picture_with_sound`."""
        raise NotImplementedError

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Embeddings of captions, (captions, d) unit vectors."""
        raise InputError("the judge was not loaded for captions")

    def facts(self) -> dict[str, Any]:
        """What the files of its embeddings say of it beside its weights; JSON-serialisable."""
        return {}

    def measures(self) -> dict[str, dict[str, Any]]:
        """What is measured whenever it is opened, as rows of a verdict (``cafa judges check``)."""
        return {}

    def verdict(self) -> dict[str, Any]:
        """Its checksum, what is measured of it, and whether all of that is good: a judge's entry of a verdict."""
        measures = self.measures()
        good = all(measure["good"] for measure in measures.values())
        return {"weights_sha256": self.weights_sha256, "measures": measures, "good": good}
