"""Files of pretrained models: which they are, what they must be, what can be known of a model without its network."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from cafa.common.errors import WeightsError
from cafa.models.checkpoint_reader import read_shapes
from cafa.models.encoders.clip import EVERY, INTERPOLATED, ClipFeatures
from cafa.models.encoders.synchformer import CONDITIONING_STRIDE, FRAMES, TOKENS, SynchformerFeatures
from cafa.models.encoders.synchformer_network import SynchformerVisual
from cafa.models.releases import (
    CAFA_AVCLIP,
    CLIP_LARGE,
    FLAN_T5_LARGE,
    STABLE_AUDIO_OPEN,
    SYNCHFORMER,
    T5_BASE,
    TANGOFLUX,
    checked_sha256,
    locate,
    require,
    require_published,
)
from cafa.models.stable_audio import backbone as stable_audio_open
from cafa.models.stable_audio.checkpoint_names import ADAPTER, training_prefix_stripped
from cafa.models.tangoflux import backbone as tangoflux
from cafa.models.weights import WeightSource, load_checkpoint, read_weight_sources

HUB = "https://huggingface.co/{name}/resolve/main/{file}"


@dataclass(frozen=True)
class Found:
    """A pretrained model's files.

    Parameters
    ----------
    places : dict of str to Path
        Folders or file to open it from.
    files : dict of str to Path
        Every file, by name.
    encoders : callable (digests) -> dict
        Identities of its encoders by kind of feature.
    facts : callable () -> dict
        Sizes; called after the files are checked.
    addresses : dict of str to str
        Published addresses of files by name, where they are known by their place in a repository of the hub.
    more : dict
        Further entries of the card.
    """

    places: dict[str, Path]
    files: dict[str, Path]
    encoders: Callable[[Mapping[str, str]], dict[str, dict[str, Any]]]
    facts: Callable[[], dict[str, Any]]
    addresses: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def inspect(settings: Any) -> Found:
    """Find the files of a model described by :class:`cafa.models.registry.PretrainedModel`.

    Raises
    ------
    WeightsError
        If something is missing, with what to do.
    """
    finders: dict[str, Callable[[Any], Found]] = {
        "stable_audio_open": _stable_audio_open,
        "tangoflux": _tangoflux,
        "cafa_adapter": _cafa_adapter,
        "synchformer": _synchformer,
        "clip": _clip,
    }
    return finders[settings.kind](settings)


def listed(table: Path, found: Found) -> dict[str, WeightSource]:
    """Rows of a table of weights that are about a model's files, by the files' names.

    A file of a repository is known by its place there, any other by its own name, which a converted one shares with
    its row. Of several rows the last with a
    SHA-256 counts.
    """
    rows = sorted(read_weight_sources(table).values(), key=lambda row: row.sha256 is not None)
    about: dict[str, WeightSource] = {}
    for name in found.files:
        address = found.addresses.get(name)
        for row in rows:
            url = _any_revision(row.url)
            alone = not found.addresses and name in (PurePosixPath(url).name, row.name)
            if alone or (address and url == _any_revision(address)):
                about[name] = row
    return about


def _any_revision(url: str) -> str:
    """An address of the hub without the revision: a folder does not say of which one its files are."""
    return re.sub(r"^(https://huggingface\.co/[^/]+/[^/]+/resolve)/[^/]+/", r"\1/", url)


def _backbone(settings: Any, module: Any, hub: str, text_hub: str) -> Found:
    files: dict[str, Path] = module.files_of(settings.source, settings.text_source, settings.download)
    places = {"source": next(path for name, path in files.items() if "/" not in name).parent}
    if "text/config.json" in files:
        places["text_source"] = files["text/config.json"].parent
    addresses = {
        name: HUB.format(name=text_hub, file=name.removeprefix("text/"))
        if name.startswith("text/")
        else HUB.format(name=hub, file=name)
        for name in files
    }
    return Found(places, files, module.encoders_of, lambda: asdict(module.facts_of(files)), addresses)


def _stable_audio_open(settings: Any) -> Found:
    return _backbone(settings, stable_audio_open, STABLE_AUDIO_OPEN.name, T5_BASE.name)


def _tangoflux(settings: Any) -> Found:
    return _backbone(settings, tangoflux, TANGOFLUX.name, FLAN_T5_LARGE.name)


def _cafa_adapter(settings: Any) -> Found:
    file = require_published(settings.file, CAFA_AVCLIP)

    def facts() -> dict[str, Any]:
        prepare = f"{ADAPTER}prepare_conditioned_Synchformer.nn_2.weight"
        shapes = {training_prefix_stripped(name): shape for name, shape in read_shapes(file).items()}
        if prepare not in shapes:
            raise WeightsError(f"{file} holds no adapter (no names below {ADAPTER})")
        hint_dim, feature_dim = shapes[prepare]
        return {"adapter": {"feature_dim": feature_dim, "hint_dim": hint_dim}}

    more = {"video_kinds": ["av_clip"], "backbone_model": "stable_audio_open"}
    return Found({"file": file}, {file.name: file}, lambda digests: {}, facts, more=more)


def _synchformer(settings: Any) -> Found:
    file = require_published(settings.file, SYNCHFORMER)

    def encoders(digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        about = {"stride": CONDITIONING_STRIDE, "frames": FRAMES, "half": settings.half}
        return {"av_clip": {"name": "synchformer_av_clip", "weights_sha256": digests[file.name], **about}}

    def facts() -> dict[str, Any]:
        return {"feature_shape": [TOKENS, len(_tower(file, None)["vproj.bias"])]}

    return Found({"file": file}, {file.name: file}, encoders, facts)


def _clip(settings: Any) -> Found:
    from transformers import CLIPVisionConfig

    folder = locate(settings.source, CLIP_LARGE, settings.download)
    names = ("config.json", "model.safetensors")
    files = dict(zip(names, require(folder, names, CLIP_LARGE), strict=True))

    def encoders(digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        about = {"frames_per_second": 25 / EVERY, "interpolated": INTERPOLATED, "half": settings.half}
        return {"clip": {"name": "clip_image", "weights_sha256": digests["model.safetensors"], **about}}

    def facts() -> dict[str, Any]:
        return {"feature_shape": [TOKENS, CLIPVisionConfig.from_pretrained(folder).projection_dim]}

    addresses = {name: HUB.format(name=CLIP_LARGE.name, file=name) for name in names}
    return Found({"source": folder}, files, encoders, facts, addresses)


def _tower(file: Path, sha256: str | None) -> dict[str, Tensor]:
    """State dict of Synchformer; checked where a digest is given."""
    source = WeightSource("synchformer", SYNCHFORMER.url, sha256, SYNCHFORMER.licence, "")
    tensors = load_checkpoint(file, source, unverified=sha256 is None).tensors
    if "vproj.bias" not in tensors:
        raise WeightsError(f"{file} is not Synchformer's checkpoint: it has no vproj.bias")
    return tensors


def tower_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Arguments of ``SynchformerVisual`` from its weights; heads are 64 wide, as in the published one."""
    prefix = "vfeat_extractor."
    width = tensors[f"{prefix}cls_token"].shape[-1]
    blocks = {name.split(".")[2] for name in tensors if name.startswith(f"{prefix}blocks.")}
    patch = tensors[f"{prefix}patch_embed_3d.proj.weight"].shape[-1]
    return {"width": width, "depth": len(blocks), "heads": max(1, width // 64), "patch": patch}


def load_synchformer(card: Mapping[str, Any], device: str) -> SynchformerFeatures:
    """The visual tower of a registered Synchformer."""
    file, settings = Path(card["places"]["file"]), card["settings"]
    tensors = _tower(require_published(file, SYNCHFORMER), card["files"][file.name])
    network = SynchformerVisual.from_tensors(tensors, **tower_sizes(tensors))
    options = {"half": settings["half"], "segments_per_pass": settings["segments_per_pass"]}
    return SynchformerFeatures(network, card["files"][file.name], device=device, **options)


def load_clip(card: Mapping[str, Any], device: str) -> ClipFeatures:
    """The image tower of a registered CLIP."""
    from transformers import CLIPVisionModelWithProjection

    folder = Path(card["places"]["source"])
    names = ("config.json", "model.safetensors")
    files = dict(zip(names, require(folder, names, CLIP_LARGE), strict=True))
    digests = checked_sha256(files, card["files"])
    network = CLIPVisionModelWithProjection.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    identity = {"model.safetensors": digests["model.safetensors"]}
    return ClipFeatures(network, identity, device=device, half=card["settings"]["half"])
