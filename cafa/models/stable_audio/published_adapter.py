"""The adapter of a published checkpoint such as ``CAFA_avclip.safetensors``, on Stable Audio Open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from cafa.common.errors import InputError, WeightsError
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.checkpoint_reader import read_shapes
from cafa.models.pretrained import InspectedFiles, PretrainedSettings
from cafa.models.published_adapters import PublishedAdapter
from cafa.models.releases import CAFA_AVCLIP, checked_sha256, require_published
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.blocks import StableAudioSettings
from cafa.models.stable_audio.checkpoint_names import (
    ADAPTER,
    PublishedWeights,
    in_training,
    training_prefix_stripped,
)
from cafa.models.stable_audio.denoiser import StableAudioBackbone
from cafa.models.stable_audio.published_files import read_published
from cafa.models.weights import load_strict

#: a published backbone may be stored in 16 bits beside the adapter
RTOL, ATOL = 1e-2, 1e-5


class CafaAdapterModel(PretrainedSettings):
    """The adapter of a published checkpoint (official names), for Stable Audio Open."""

    kind: Literal["cafa_adapter"] = "cafa_adapter"
    file: str = Field(description="path of CAFA_avclip.safetensors")
    backbone: str | None = Field(
        None,
        description="model folder of the registered backbone (in a configuration: its name among the models): the "
        "backbone that the file holds is compared with it once, here; null: in every job",
    )


class CafaAvClipAdapter(PublishedAdapter):
    """The published adapter ``cafa_adapter``; see :class:`~cafa.models.published_adapters.PublishedAdapter`.

    Its checkpoint may hold the backbone that the adapter was trained on, which must then be the given one.
    """

    settings: ClassVar[type[PretrainedSettings]] = CafaAdapterModel

    @classmethod
    def inspect(cls, settings: CafaAdapterModel) -> InspectedFiles:
        """Find the file of the model that `settings` describe; raises WeightsError with what to do."""
        file = require_published(settings.file, CAFA_AVCLIP)

        def facts() -> dict[str, Any]:
            prepare = f"{ADAPTER}prepare_conditioned_Synchformer.nn_2.weight"
            shapes = {training_prefix_stripped(name): shape for name, shape in read_shapes(file).items()}
            if prepare not in shapes:
                raise WeightsError(f"{file} holds no adapter (no names below {ADAPTER})")
            hint_dim, feature_dim = shapes[prepare]
            return {"adapter": {"feature_dim": feature_dim, "hint_dim": hint_dim}}

        more = {"video_kinds": ["av_clip"], "backbone_model": "stable_audio_open"}
        return InspectedFiles({"file": file}, {file.name: file}, lambda digests: {}, facts, more=more)

    @classmethod
    def load(cls, card: Mapping[str, Any], denoiser: StableAudioBackbone, backbone_sha256: str) -> Adapter:
        """The adapter of a registered checkpoint.

        If it was compared with its backbone at registration, digests are compared, and the adapter alone is read; else
        the values.

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

    @classmethod
    def check(cls, card: Mapping[str, Any]) -> None:
        """Read the file; its size is the backbone's, which is not known here."""
        read_published(card["places"]["file"])


def require_same_backbone(held: Mapping[str, torch.Tensor], denoiser: StableAudioBackbone, file: Path) -> None:
    """Check that the backbone weights that a checkpoint holds beside its adapter, if any, are those of `denoiser`.

    Raises
    ------
    InputError
        If they are others.
    """
    mine = denoiser.state_dict()
    for name, weight in held.items():
        if name not in mine or not torch.allclose(mine[name].cpu(), weight.float(), rtol=RTOL, atol=ATOL):
            raise InputError(
                f"{file} holds the backbone that its adapter was trained on, and {name} differs from the given "
                "backbone's: register the backbone it belongs to"
            )


def load_published_adapter(
    file: str | Path, backbone: StableAudioSettings, sha256: str | None = None, *, alone: bool = False
) -> tuple[Adapter, PublishedWeights]:
    """The adapter of a published checkpoint such as ``CAFA_avclip.safetensors``.

    Parameters
    ----------
    file : path
    backbone : StableAudioSettings
        Size of the backbone that it belongs to.
    sha256 : str, optional
        Digest that the file must have.
    alone : bool
        Read nothing else of the file.

    Returns
    -------
    adapter : Adapter
        In evaluation mode, frozen.
    weights : PublishedWeights
        All that the file holds; it may carry the backbone and the autoencoder as well.

    Raises
    ------
    WeightsError
        If the file is not the one of `sha256`, holds no adapter, or one of another size.
    """
    file = require_published(file, CAFA_AVCLIP)
    if sha256 is not None:
        checked_sha256([file], {file.name: sha256})
    weights = read_published(file, in_training(ADAPTER) if alone else "")
    if not weights.adapter:
        raise WeightsError(f"{file} holds no adapter (no names below model.model.controlnet.)")
    hint_dim, feature_dim = weights.adapter["hint.linear2.weight"].shape
    with torch.device("meta"):
        adapter = Adapter(backbone, AdapterSettings(feature_dim=feature_dim, hint_dim=hint_dim))
    load_strict(adapter, weights.adapter, file=Path(file))
    return adapter, weights
