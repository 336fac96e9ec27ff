"""Video features of normalised clips."""

from pathlib import Path

from cafa.common.stages import version_of_features
from cafa.features.encode import EncodeSettings, Encoding
from cafa.features.store import FeatureFormat
from cafa.models.encoders.video_encoder import VideoEncoder


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
    kind = encoder.kind
    form = FeatureFormat(kind, encoder.shape, "float16", encoder.encoder, how, code=version_of_features(kind))
    return Encoding(
        stage=f"features {kind}",
        formats={kind: form},
        sources={kind: "video_sha256"},
        read=encoder.reader(Path(clips), settings.seconds, settings.pad_short),
        encode=lambda _, frames: [{kind: array} for array in encoder.encode(frames)],
    )
