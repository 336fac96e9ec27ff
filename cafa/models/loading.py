"""Loading of the generator's models, frozen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cafa.common.errors import InputError
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.folders import load_model
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.backbone import load_published_adapter
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.joint import JointModel
from cafa.models.tangoflux.adapter import TangoFluxAdapter
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser

BACKBONE, ADAPTER, JOINT = "stable_audio_backbone", "adapter", "joint"
#: a published backbone may be stored in 16 bits beside the adapter
SAME = {"rtol": 1e-2, "atol": 1e-5}


def load_backbone(folder: str | Path) -> tuple[StableAudioBackbone, dict[str, Any]]:
    """The frozen backbone of a model folder, and its card."""
    weights, card = load_model(folder, BACKBONE)
    backbone = StableAudioBackbone(StableAudioSettings.model_validate(card["settings"]["model"]))
    backbone.load_state_dict(weights)
    return backbone.eval().requires_grad_(False), card


def adapter_for(
    denoiser: StableAudioBackbone | TangoFluxDenoiser, settings: AdapterSettings
) -> Adapter | TangoFluxAdapter:
    """An untrained adapter of the form that a denoiser takes."""
    if isinstance(denoiser, TangoFluxDenoiser):
        return TangoFluxAdapter(denoiser.settings, settings)
    return Adapter(denoiser.settings, settings)


def load_adapter(
    folder: str | Path, denoiser: StableAudioBackbone | TangoFluxDenoiser
) -> tuple[Adapter | TangoFluxAdapter, dict[str, Any]]:
    """The adapter of a model folder, and its card.

    Raises
    ------
    InputError
        If it is of another size, or for another kind of denoiser.
    """
    weights, card = load_model(folder, ADAPTER)
    with torch.device("meta"):
        adapter = adapter_for(denoiser, AdapterSettings.model_validate(card["settings"]["model"]))
    try:
        adapter.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise InputError(f"the adapter in {folder} does not fit this {type(denoiser).__name__}: {error}") from error
    return adapter.eval().requires_grad_(False), card


def load_registered_adapter(card: Mapping[str, Any], denoiser: StableAudioBackbone, backbone_sha256: str) -> Adapter:
    """The adapter of a registered published checkpoint.

    Such a checkpoint may hold the backbone that the adapter was trained on, which must then be `denoiser`. If it was
    compared with its backbone at registration, digests are compared, and the adapter alone is read; else the values.

    Parameters
    ----------
    card : mapping
        Of the adapter.
    denoiser : StableAudioBackbone
    backbone_sha256 : str
        Digest of the backbone that `denoiser` is of.

    Raises
    ------
    InputError
        If its backbone is another.
    WeightsError
        If the file is not the registered one, or the adapter has another size.
    """
    file = Path(card["places"]["file"])
    compared = card.get("backbone_sha256")
    if compared not in (None, backbone_sha256):
        raise InputError(
            f"the adapter of {file} was registered for the backbone {compared[:12]}, not for this one, "
            f"{backbone_sha256[:12]}: name the one it belongs to, or register it again (`cafa models register`)"
        )
    adapter, held = load_published_adapter(
        file, denoiser.settings, card["files"][file.name], alone=compared is not None
    )
    require_same_backbone(held.backbone, denoiser, file)
    return adapter


def require_same_backbone(held: Mapping[str, torch.Tensor], denoiser: StableAudioBackbone, file: Path) -> None:
    """Check that the backbone weights that a checkpoint holds beside its adapter, if any, are those of `denoiser`.

    Raises
    ------
    InputError
        If they are others.
    """
    mine = denoiser.state_dict()
    for name, weight in held.items():
        if name not in mine or not torch.allclose(mine[name].cpu(), weight.float(), **SAME):
            raise InputError(
                f"{file} holds the backbone that its adapter was trained on, and {name} differs from the given "
                "backbone's: register the backbone it belongs to"
            )


def load_joint(folder: str | Path) -> tuple[JointModel, dict[str, Any]]:
    """The joint model of a model folder, and its card."""
    weights, card = load_model(folder, JOINT)
    settings = card["settings"]
    model = JointModel(
        StableAudioSettings.model_validate(settings["model"]), AdapterSettings.model_validate(settings["video"])
    )
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), card
