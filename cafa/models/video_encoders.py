"""Encoders of video by name; see ``docs/extending/video_encoder.md`` for how to add one."""

from typing import TYPE_CHECKING

from cafa.common.registry import Registry

if TYPE_CHECKING:
    from cafa.models.encoders.video_encoder import VideoEncoder

VIDEO_ENCODERS: "Registry[type[VideoEncoder]]" = Registry(
    "video encoder",
    {
        "synchformer": "cafa.models.encoders.synchformer:SynchformerFeatures",
        "clip": "cafa.models.encoders.clip:ClipFeatures",
        "miniature_av_clip": "cafa.models.encoders.miniature_av_clip:MiniatureAVClip",
        "miniature_clip": "cafa.models.encoders.miniature_clip:MiniatureCLIP",
    },
)


#: kinds that our own encoders make: known without importing them, which takes seconds
KINDS = ("av_clip", "clip")


def video_kinds() -> list[str]:
    """Kinds of video features that there are, each once."""
    return list(dict.fromkeys(encoder.kind for encoder in VIDEO_ENCODERS.values()))
