"""Video features of normalised clips: AV-CLIP and CLIP at full size."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cafa.common.stages import stage_version
from cafa.features.encode import EncodeSettings, Encoding
from cafa.features.store import FeatureFormat
from cafa.media.clip_reading import FrameReader


class VideoEncoder(Protocol):
    """A frozen encoder of clips: :class:`SynchformerFeatures` or :class:`ClipFeatures`."""

    kind: str
    shape: tuple[int, int]
    encoder: dict[str, Any]

    def reader(self, folder: Path, seconds: float, pad_short: bool) -> FrameReader:
        """What reads the normalised clips of a folder for :meth:`encode`; `seconds` of each are used."""
        ...

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """Features (B, *shape) of B clips."""
        ...


def video_encoding(encoder: VideoEncoder, clips: str | Path, settings: EncodeSettings) -> Encoding:
    """Features of a video encoder, float16.

    Parameters
    ----------
    encoder : VideoEncoder
    clips : path
        Folder of normalised clips of the shard.
    settings : EncodeSettings
        An encoder is always given its own window (10 s); what a clip, or `seconds`, does not fill is black.
    """
    how = {"seconds": settings.seconds, "pad_short": settings.pad_short}
    code = stage_version(f"encode_{encoder.kind}")
    form = FeatureFormat(encoder.kind, encoder.shape, "float16", encoder.encoder, how, code=code)
    return Encoding(
        stage=f"features {encoder.kind}",
        formats={encoder.kind: form},
        sources={encoder.kind: "video_sha256"},
        read=encoder.reader(Path(clips), settings.seconds, settings.pad_short),
        encode=lambda _, frames: [{encoder.kind: array} for array in encoder.encode(frames)],
    )
