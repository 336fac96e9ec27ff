"""Text-to-audio models by name; see ``docs/extending/backbone.md`` for how to add one."""

from typing import TYPE_CHECKING

from cafa.common.registry import Registry

if TYPE_CHECKING:
    from cafa.models.diffusion_backbone import DiffusionBackbone

BACKBONES: "Registry[type[DiffusionBackbone]]" = Registry(
    "backbone",
    {
        "stable_audio_open": "cafa.models.stable_audio.backbone:StableAudioOpen",
        "tangoflux": "cafa.models.tangoflux.backbone:TangoFlux",
    },
)
