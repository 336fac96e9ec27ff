"""Pretrained models in the pipeline: registered once, then used like models that were trained here.

Registering checks that the files are there and are the right ones, loads the model once, so that a file that does not
fit is refused here and not days later, and writes a card. A card has

* ``kind``: ``pretrained``; ``model``: its kind, a name in one of the registries; ``settings``: as given;
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
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import digest_of, read_json, write_json
from cafa.models.backbones import BACKBONES
from cafa.models.checkpoint_reader import origins_of
from cafa.models.interface import AdapterTarget, AudioAutoencoder, TextEncoder
from cafa.models.kinds import PretrainedModel
from cafa.models.pretrained import PretrainedSettings
from cafa.models.published_adapters import PUBLISHED_ADAPTERS
from cafa.models.releases import checked_sha256
from cafa.models.video_encoders import VIDEO_ENCODERS

if TYPE_CHECKING:
    from cafa.models.diffusion_backbone import DiffusionBackbone
    from cafa.models.encoders.video_encoder import VideoEncoder

CARD, KIND = "card.json", "pretrained"
#: encoder of a model folder whose card names none: what training writes
_OWN_VIDEO_ENCODER = "miniature_{kind}"


def parse_pretrained(json_text: str) -> PretrainedSettings:
    """Validate a pretrained model's settings given as JSON; ``kind`` says which."""
    return TypeAdapter[PretrainedSettings](PretrainedModel).validate_json(json_text)


def register(
    settings: PretrainedSettings, output: str | Path, weights_table: str | Path | None = None
) -> dict[str, Any]:
    """Check a pretrained model's files and write its card.

    Parameters
    ----------
    settings : PretrainedSettings
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


def _open_once(folder: str, settings: PretrainedSettings) -> dict[str, Any]:
    """Load a model from its card, whose files were just compared with their checksums; what that adds to the card."""
    if settings.kind in BACKBONES:
        open_backbone(folder)
        return {}
    if settings.kind in VIDEO_ENCODERS:
        open_video_encoder(folder)
        return {}
    place, card = getattr(settings, "backbone", None), read_card(folder)
    if place is None:
        PUBLISHED_ADAPTERS[settings.kind].check(card)
        return {}
    backbone = open_backbone(place)
    digest = {"backbone_sha256": backbone.identity["weights_sha256"]}
    if set(card["files"].values()) & set(backbone.identity["files"].values()):
        # The backbone was read from the adapter's own file: no value need be compared.
        write_json(Path(folder) / CARD, card | digest)
    open_adapter(folder, backbone)
    return digest


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


def registered_card(folder: str | Path, models: Mapping[str, Any]) -> dict[str, Any]:
    """Card of a registered model, which must be in the registry `models`.

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


def open_backbone(folder: str | Path, device: str = "cpu") -> "DiffusionBackbone":
    """A registered backbone (:class:`~cafa.models.interface.Backbone`), frozen, float32.

    ``backbone.identity["weights_sha256"]`` is the card's, and ``backbone.encoders`` are the card's.

    Raises
    ------
    WeightsError
        If a file is missing or is not what the card says.
    """
    card = registered_card(folder, BACKBONES)
    return BACKBONES[card["model"]].load(**card["places"], device=device, sha256=card["files"])


def open_text(folder: str | Path, device: str = "cpu") -> TextEncoder:
    """The text encoder of a registered backbone alone (:class:`~cafa.models.interface.TextEncoder`).

    Its states, ``encode(captions)``, are stamped with ``card["encoders"]["text"]``.
    """
    card = registered_card(folder, BACKBONES)
    backbone = BACKBONES[card["model"]]
    return backbone.load_text(_checked_files(card, backbone.text_files), device)


def open_audio(folder: str | Path, device: str = "cpu") -> AudioAutoencoder:
    """The autoencoder of a registered backbone alone (:class:`~cafa.models.interface.AudioAutoencoder`).

    Latents are drawn from the posterior with a seed per clip, ``encode(waveform, seeds)``, as stable-audio-tools
    draws them (it without a seed of each clip), and stamped with ``card["encoders"]["latents"]``.
    """
    card = registered_card(folder, BACKBONES)
    backbone = BACKBONES[card["model"]]
    return backbone.load_audio(_checked_files(card, backbone.audio_files), device)


def _checked_files(card: Mapping[str, Any], part: tuple[str, ...]) -> dict[str, Path]:
    """Files of a registered backbone, of which those of a part are compared with the card."""
    files = BACKBONES[card["model"]].files_of(**card["places"])
    checked_sha256({name: path for name, path in files.items() if name.startswith(part)}, card["files"])
    return files


def open_video_encoder(folder: str | Path, device: str = "cpu") -> "VideoEncoder":
    """An encoder of video, registered or trained here (:class:`~cafa.models.encoders.video_encoder.VideoEncoder`).

    Its ``kind`` is that of its features, and its ``encoder`` is the identity on the card of a registered one.

    Raises
    ------
    WeightsError
        If a file is missing or is not what the card says, or the folder holds another kind of model.
    """
    card = read_card(folder)
    name = card.get("model", _OWN_VIDEO_ENCODER.format(kind=card["kind"]))
    if name not in VIDEO_ENCODERS:
        found = card.get("model", card["kind"])
        raise WeightsError(f"{folder} holds {found!r}, wanted an encoder of video: {' or '.join(VIDEO_ENCODERS)}")
    encoder = VIDEO_ENCODERS[name].load(folder, card, device)
    if card["kind"] == KIND:
        encoder.encoder = card["encoders"][encoder.kind]
    return encoder


def check_adapter_fits(card: Mapping[str, Any], folder: str | Path, backbone: AdapterTarget) -> None:
    """Refuse an adapter of another backbone.

    Parameters
    ----------
    card : mapping
        Of the adapter, registered or trained here.
    folder : path
        Where it is, for the message.
    backbone : AdapterTarget

    Raises
    ------
    InputError
    """
    if card["kind"] == KIND and card["backbone_model"] != backbone.name:
        raise InputError(f"the adapter in {folder} is for {card['backbone_model']}, not for {backbone.name}")
    if card["kind"] != KIND and card.get("backbone_sha256") != backbone.weights_sha256:
        raise InputError(
            f"the adapter in {folder} was trained on another backbone than this {backbone.name}: train it again, "
            "or name the backbone it belongs to"
        )


def open_adapter(folder: str | Path, backbone: AdapterTarget, device: Any = "cpu") -> tuple[Any, dict[str, Any]]:
    """An adapter, registered or trained here, on a backbone; and its card.

    Parameters
    ----------
    folder : path
        Model folder of the adapter.
    backbone : AdapterTarget
        As :func:`open_backbone` gives it, or a trained one.
    device : str or torch.device

    Raises
    ------
    InputError
        If the adapter belongs to another backbone.
    WeightsError
        If a file is missing, is not what the card says, or does not fit.
    """
    from cafa.models.loading import load_adapter

    card = registered_card(folder, PUBLISHED_ADAPTERS) if is_registered(folder) else read_card(folder)
    check_adapter_fits(card, folder, backbone)
    if card["kind"] == KIND:
        kind = PUBLISHED_ADAPTERS[card["model"]]
        adapter = kind.load(card, backbone.denoiser, backbone.weights_sha256)
    else:
        adapter, card = load_adapter(folder, backbone.denoiser)
    return adapter.to(device), card
