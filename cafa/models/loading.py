"""Loading of the generator's models that were trained here, frozen."""

from pathlib import Path
from typing import Any, TypeAlias

import torch

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.folders import CARD, WEIGHTS, load_model
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.joint import JointModel
from cafa.models.tangoflux.blocks import TangoFluxSettings
from cafa.models.tangoflux.trained_here import RectifiedFlowBackbone
from cafa.models.weights import load_strict

BACKBONE, FLOW_BACKBONE, ADAPTER, JOINT = "stable_audio_backbone", "rectified_flow_backbone", "adapter", "joint"
#: Backbones that are trained here; both take captions by ``of_captions``.
TrainedBackbone: TypeAlias = StableAudioBackbone | RectifiedFlowBackbone


def new_backbone(settings: StableAudioSettings | TangoFluxSettings) -> tuple[str, TrainedBackbone]:
    """Kind of its model folder, and an untrained backbone of the form that the settings are of."""
    if isinstance(settings, TangoFluxSettings):
        return FLOW_BACKBONE, RectifiedFlowBackbone(settings)
    return BACKBONE, StableAudioBackbone(settings)


def load_backbone(folder: str | Path) -> tuple[TrainedBackbone, dict[str, Any]]:
    """The frozen backbone of a model folder, and its card, whose ``kind`` says of which form it is."""
    card_file = Path(folder) / CARD
    flow = card_file.is_file() and read_json(card_file).get("kind") == FLOW_BACKBONE
    weights, card = load_model(folder, FLOW_BACKBONE if flow else BACKBONE)
    form = TangoFluxSettings if flow else StableAudioSettings
    _, backbone = new_backbone(form.model_validate(card["settings"]["model"]))
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
