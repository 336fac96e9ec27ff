"""Loading of the generator's trained models, frozen."""

from pathlib import Path
from typing import Any

from cafa.adapter import Adapter, AdapterSettings
from cafa.backbones.stable_audio import StableAudioBackbone, StableAudioSettings
from cafa.checkpoint import load_model
from cafa.joint import JointModel

BACKBONE, ADAPTER, JOINT = "stable_audio_backbone", "adapter", "joint"


def load_backbone(folder: str | Path) -> tuple[StableAudioBackbone, dict[str, Any]]:
    """The frozen backbone of a model folder, and its card."""
    weights, card = load_model(folder, BACKBONE)
    backbone = StableAudioBackbone(StableAudioSettings.model_validate(card["settings"]["model"]))
    backbone.load_state_dict(weights)
    return backbone.eval().requires_grad_(False), card


def load_adapter(folder: str | Path, backbone: StableAudioBackbone) -> tuple[Adapter, dict[str, Any]]:
    """The adapter of a model folder, and its card."""
    weights, card = load_model(folder, ADAPTER)
    adapter = Adapter(backbone.settings, AdapterSettings.model_validate(card["settings"]["model"]))
    adapter.load_state_dict(weights)
    return adapter.eval().requires_grad_(False), card


def load_joint(folder: str | Path) -> tuple[JointModel, dict[str, Any]]:
    """The joint model of a model folder, and its card."""
    weights, card = load_model(folder, JOINT)
    settings = card["settings"]
    model = JointModel(
        StableAudioSettings.model_validate(settings["model"]), AdapterSettings.model_validate(settings["video"])
    )
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), card
