"""Video features of normalised clips."""

from pathlib import Path

from cafa.common.plugins import plugins_digest
from cafa.common.stages import STAGES, stage_version
from cafa.features.encode import EncodeSettings, Encoding
from cafa.features.store import FeatureFormat
from cafa.models.encoders.video_encoder import VideoEncoder


def version_of(kind: str) -> str:
    """Version of the code that makes features of a kind; that of a plugin's kind holds the digest of the plugins."""
    stage = f"encode_{kind}"
    return stage_version(stage) if stage in STAGES else f"{stage_version('encode_clip')}-{plugins_digest()}"


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
    form = FeatureFormat(kind, encoder.shape, "float16", encoder.encoder, how, code=version_of(kind))
    return Encoding(
        stage=f"features {kind}",
        formats={kind: form},
        sources={kind: "video_sha256"},
        read=encoder.reader(Path(clips), settings.seconds, settings.pad_short),
        encode=lambda _, frames: [{kind: array} for array in encoder.encode(frames)],
    )
