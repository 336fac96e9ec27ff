"""Loading of the generator's models that were trained here, frozen."""

from pathlib import Path
from typing import Any

import torch

from cafa.common.errors import InputError, WeightsError
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.folders import WEIGHTS, load_model
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.joint import JointModel
from cafa.models.weights import load_strict

BACKBONE, ADAPTER, JOINT = "stable_audio_backbone", "adapter", "joint"


def load_backbone(folder: str | Path) -> tuple[StableAudioBackbone, dict[str, Any]]:
    """The frozen backbone of a model folder, and its card."""
    weights, card = load_model(folder, BACKBONE)
    backbone = StableAudioBackbone(StableAudioSettings.model_validate(card["settings"]["model"]))
    load_strict(backbone, weights, file=Path(folder) / WEIGHTS)
    return backbone, card


def load_adapter(folder: str | Path, denoiser: Any) -> tuple[Any, dict[str, Any]]:
    """The adapter of a model folder, and its card.

    Parameters
    ----------
    folder : path
    denoiser : Denoiser
        Says which form of adapter it takes.

    Raises
    ------
    InputError
        If it is of another size, or for another kind of denoiser.
    """
    weights, card = load_model(folder, ADAPTER)
    with torch.device("meta"):
        adapter = denoiser.new_adapter(AdapterSettings.model_validate(card["settings"]["model"]))
    try:
        load_strict(adapter, weights)
    except WeightsError as error:
        raise InputError(f"the adapter in {folder} does not fit this {type(denoiser).__name__}: {error}") from error
    return adapter, card


def load_joint(folder: str | Path) -> tuple[JointModel, dict[str, Any]]:
    """The joint model of a model folder, and its card."""
    weights, card = load_model(folder, JOINT)
    settings = card["settings"]
    model = JointModel(
        StableAudioSettings.model_validate(settings["model"]), AdapterSettings.model_validate(settings["video"])
    )
    load_strict(model, weights, file=Path(folder) / WEIGHTS)
    return model, card
