"""Pretrained models in the pipeline: registered once, then used like models that were trained here.

Registering checks that the files are there and are the right ones, loads the model once, so that a file that does not
fit is refused here and not days later, and writes a card. A card has

* ``kind``: ``pretrained``; ``model``: one of the kinds below; ``settings``: as given;
* ``places``: absolute paths of what was found, ``files``: SHA-256 by name, ``weights_sha256``: one digest of all files,
  ``checked``: those files whose SHA-256 was known beforehand (that of the others is recorded as found);
* ``encoders``: kind of feature -> identity of the encoder, exactly what feature files of that kind are stamped with;
* ``facts``: sizes, such as ``latent_shape`` (channels, latents), ``text_shape`` (states, width), ``sample_rate`` and
  ``channels`` of a backbone, ``feature_shape`` of a video encoder; of an adapter its ``settings``;
* ``converted_from``: what files that `cafa models convert` made say of their origin, where there are any;
* for an adapter ``video_kinds`` and ``backbone_model``, as on the card of one that was trained here, and
  ``backbone_sha256`` where it was compared with its backbone.

Every opening compares the files that it reads with the card.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import digest_of, read_json, write_json
from cafa.models.checkpoint_reader import origins_of
from cafa.models.releases import (
    CLIP_LARGE,
    FLAN_T5_LARGE,
    STABLE_AUDIO_OPEN,
    T5_BASE,
    TANGOFLUX,
    checked_sha256,
)

CARD, KIND = "card.json", "pretrained"
BACKBONES, VIDEO_ENCODERS = ("stable_audio_open", "tangoflux"), ("synchformer", "clip")


class _Pretrained(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: dict[str, str] = Field(default_factory=dict, description="SHA-256 that files must have, by name")


class _FromHub(_Pretrained):
    download: bool = Field(False, description="ask the hub for what is not in its local cache")


class StableAudioOpenModel(_FromHub):
    """Stable Audio Open 1.0, in diffusers' layout or the original one."""

    kind: Literal["stable_audio_open"] = "stable_audio_open"
    source: str = Field(STABLE_AUDIO_OPEN.name, description="folder, or hub:owner/name")
    text_source: str = Field(T5_BASE.name, description="folder, or hub:owner/name of T5, for the original layout")


class TangoFluxModel(_FromHub):
    """TangoFlux."""

    kind: Literal["tangoflux"] = "tangoflux"
    source: str = Field(TANGOFLUX.name, description="folder, or hub:owner/name")
    text_source: str = Field(FLAN_T5_LARGE.name, description="folder, or hub:owner/name of flan-T5")


class CafaAdapterModel(_Pretrained):
    """The adapter of a published checkpoint (official names), for Stable Audio Open."""

    kind: Literal["cafa_adapter"] = "cafa_adapter"
    file: str = Field(description="path of CAFA_avclip.safetensors")
    backbone: str | None = Field(
        None,
        description="model folder of the registered backbone (in a configuration: its name among the models): the "
        "backbone that the file holds is compared with it once, here; null: in every job",
    )


class SynchformerModel(_Pretrained):
    """Synchformer's visual tower: AV-CLIP features."""

    kind: Literal["synchformer"] = "synchformer"
    file: str = Field(description="path of synchformer_state_dict.pth or 24-01-04T16-39-21.pt, or of safetensors")
    half: bool = Field(False, description="run in 16 bits; part of the features' identity")
    segments_per_pass: int = Field(9, gt=0, description="segments in the network at once; bounds memory")


class ClipModel(_FromHub):
    """CLIP's image tower: the second features of CAFA-C."""

    kind: Literal["clip"] = "clip"
    source: str = Field(CLIP_LARGE.name, description="folder, or hub:owner/name")
    half: bool = Field(False, description="run in 16 bits; part of the features' identity")


PretrainedModel = Annotated[
    StableAudioOpenModel | TangoFluxModel | CafaAdapterModel | SynchformerModel | ClipModel,
    Field(discriminator="kind"),
]


def parse_pretrained(json_text: str) -> PretrainedModel:
    """Validate a pretrained model's settings given as JSON; ``kind`` says which."""
    return TypeAdapter(PretrainedModel).validate_json(json_text)


def register(settings: PretrainedModel, output: str | Path, weights_table: str | Path | None = None) -> dict[str, Any]:
    """Check a pretrained model's files and write its card.

    Parameters
    ----------
    settings : PretrainedModel
    output : path
        Model folder; gets ``card.json``.
    weights_table : path, optional
        Table of weights: files whose published address it lists with a size or a SHA-256 must have these.
        A digest in the settings comes before it.

    Returns
    -------
    dict
        The card, as stored.

    Raises
    ------
    WeightsError
        If a file is missing (says what to download, where to accept the licence, and where to put it), is another, or
        does not fit the model.
    InputError
        If the settings name a digest of a file that the model does not have.
    """
    from cafa.models.registry_files import inspect, listed
    from cafa.models.weights import require_size

    found = inspect(settings)
    if unknown := set(settings.sha256) - set(found.files):
        raise InputError(f"sha256 names {sorted(unknown)}, but the files are {sorted(found.files)}")
    rows = listed(Path(weights_table), found) if weights_table is not None else {}
    for name in rows.keys() - settings.sha256.keys():
        require_size(found.files[name], rows[name])
    known = {**{name: row.sha256 for name, row in rows.items() if row.sha256}, **settings.sha256}
    digests = checked_sha256(found.files, known)
    card = {
        "kind": KIND,
        "model": settings.kind,
        "settings": settings.model_dump(mode="json"),
        "places": {name: str(path.absolute()) for name, path in found.places.items()},
        "files": digests,
        "checked": sorted(known),
        "weights_sha256": digest_of(digests),
        "encoders": found.encoders(digests),
        "facts": found.facts(),
        **found.more,
    }
    with TemporaryDirectory() as trial:
        write_json(Path(trial) / CARD, card)
        card |= _open_once(trial, settings)
    if origins := origins_of(found.files):
        card["converted_from"] = origins
    write_json(Path(output) / CARD, card)
    return read_card(output)


def _open_once(folder: str, settings: PretrainedModel) -> dict[str, Any]:
    """Load a model from its card, whose files were just compared with their checksums; what that adds to the card."""
    if settings.kind in BACKBONES:
        open_backbone(folder)
    elif settings.kind in VIDEO_ENCODERS:
        open_features(folder)
    elif settings.backbone is not None:
        backbone = open_backbone(settings.backbone)
        open_adapter(folder, backbone)
        return {"backbone_sha256": backbone.identity["weights_sha256"]}
    else:
        from cafa.models.stable_audio.backbone import read_published

        read_published(read_card(folder)["places"]["file"])  # its size is the backbone's, which is not known here
    return {}


def read_card(folder: str | Path) -> dict[str, Any]:
    """Card of a model folder, registered or trained.

    Raises
    ------
    WeightsError
        If there is none, with what to do.
    """
    folder = Path(folder)
    if not (folder / CARD).is_file():
        raise WeightsError(
            f"{folder} is not a model folder ({CARD} is missing): train the model, or register a pretrained one with "
            f"`cafa models register --settings JSON --output {folder}`"
        )
    return read_json(folder / CARD)


def is_registered(folder: str | Path) -> bool:
    """Whether a model folder holds the card of a pretrained model."""
    return read_card(folder)["kind"] == KIND


def registered_card(folder: str | Path, models: tuple[str, ...]) -> dict[str, Any]:
    """Card of a registered model, which must be one of `models`.

    Raises
    ------
    WeightsError
        If the folder holds another.
    """
    card = read_card(folder)
    if card["kind"] != KIND or card["model"] not in models:
        found = card.get("model", card["kind"])
        raise WeightsError(f"{folder} holds {found!r}, wanted a registered model: {' or '.join(models)}")
    return card


def encoder_digest(card: Mapping[str, Any], kind: str) -> str:
    """Digest that feature files of `kind` (``latents``, ``text``, ``av_clip``, ``clip``) of a model carry.

    Raises
    ------
    WeightsError
        If the model makes no features of that kind.
    """
    if kind not in card["encoders"]:
        raise WeightsError(f"a registered {card['model']} makes no {kind} features: register another model there")
    return digest_of(card["encoders"][kind])


def _backbone_module(card: Mapping[str, Any]) -> Any:
    if card["model"] == "tangoflux":
        from cafa.models.tangoflux import backbone as tangoflux

        return tangoflux
    from cafa.models.stable_audio import backbone as stable_audio_open

    return stable_audio_open


def open_backbone(folder: str | Path, device: str = "cpu") -> Any:
    """A registered backbone (:class:`~cafa.models.interface.Backbone`), frozen, float32.

    ``backbone.identity["weights_sha256"]`` is the card's, and ``backbone.encoders`` are the card's.

    Raises
    ------
    WeightsError
        If a file is missing or is not what the card says.
    """
    card = registered_card(folder, BACKBONES)
    module = _backbone_module(card)
    kind = module.TangoFlux if card["model"] == "tangoflux" else module.StableAudioOpen
    return kind.load(**card["places"], device=device, sha256=card["files"])


def _checked_part(folder: str | Path, part: str) -> tuple[Any, dict[str, Path]]:
    """Module of a registered backbone, and its files, of which those of a part are compared with the card."""
    card = registered_card(folder, BACKBONES)
    module = _backbone_module(card)
    files = module.files_of(**card["places"])
    mine = {name: path for name, path in files.items() if name.startswith(getattr(module, part))}
    checked_sha256(mine, card["files"])
    return module, files


def open_text(folder: str | Path, device: str = "cpu") -> Any:
    """The text encoder of a registered backbone alone (:class:`~cafa.models.encoders.t5.T5Text`).

    Its states, ``encode(captions)``, are stamped with ``card["encoders"]["text"]``.
    """
    module, files = _checked_part(folder, "TEXT_FILES")
    return module.load_text(files, device)


def open_audio(folder: str | Path, device: str = "cpu") -> Any:
    """The autoencoder of a registered backbone alone (:class:`~cafa.models.encoders.oobleck.OobleckAudio`).

    Latents are drawn from the posterior with a seed per clip, ``encode(waveform, seeds)``, as stable-audio-tools
    draws them (it without a seed of each clip), and stamped with ``card["encoders"]["latents"]``.
    """
    module, files = _checked_part(folder, "AUDIO_FILES")
    return module.load_audio(files, device)


def open_features(folder: str | Path, device: str = "cpu") -> Any:
    """A registered encoder of video (:class:`~cafa.features.from_video.VideoEncoder`).

    Its ``kind`` is ``av_clip`` (Synchformer) or ``clip``, and its ``encoder`` is the identity on the card.

    Raises
    ------
    WeightsError
        If a file is missing or is not what the card says.
    """
    from cafa.models.registry_files import load_clip, load_synchformer

    card = registered_card(folder, VIDEO_ENCODERS)
    features = (load_clip if card["model"] == "clip" else load_synchformer)(card, device)
    features.encoder = card["encoders"][features.kind]
    return features


def open_adapter(folder: str | Path, backbone: Any, device: str = "cpu") -> tuple[Any, dict[str, Any]]:
    """An adapter, registered or trained here, on a registered backbone; and its card.

    Parameters
    ----------
    folder : path
        Model folder of the adapter.
    backbone : Backbone
        As :func:`open_backbone` gives it.
    device : str

    Raises
    ------
    InputError
        If the adapter belongs to another backbone.
    WeightsError
        If a file is missing, is not what the card says, or does not fit.
    """
    from cafa.models.loading import load_adapter, load_registered_adapter

    card = read_card(folder)
    if card["kind"] == KIND:
        card = registered_card(folder, ("cafa_adapter",))
        if backbone.name != card["backbone_model"]:
            raise InputError(f"the adapter in {folder} is for {card['backbone_model']}, not for {backbone.name}")
        adapter = load_registered_adapter(card, backbone.denoiser, backbone.identity["weights_sha256"])
    else:
        if card.get("backbone_sha256") != backbone.identity["weights_sha256"]:
            raise InputError(
                f"the adapter in {folder} was trained on another backbone than this {backbone.name}: train it again, "
                "or name the backbone it belongs to"
            )
        adapter, card = load_adapter(folder, backbone.denoiser)
    return adapter.to(device), card
