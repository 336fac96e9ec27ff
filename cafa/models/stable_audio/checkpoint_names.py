"""Names and layouts of the published single-file checkpoints, and ours; strict and bit-exact in both directions.

The published files are those of stable-audio-tools: ``model.safetensors`` of Stable Audio Open 1.0 and
``CAFA_avclip.safetensors``, which adds the adapter below ``model.model.controlnet.``. Ours are diffusers' names inside
:class:`~cafa.models.stable_audio.denoiser.StableAudioBackbone` and ``AutoencoderOobleck``, and those of
:class:`~cafa.models.stable_audio.adapter.Adapter`. The two differ by names, by fused projections (query, key and value
in one matrix) and by axes of length one; never by values.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from cafa.common.errors import WeightsError

DIT = "model.model."
ADAPTER = "model.model.controlnet."
AUTOENCODER = "pretransform.model."
CONDITIONERS = "conditioner.conditioners."
ROTARY = "rotary_pos_emb.inv_freq"


@dataclass(frozen=True)
class KeyMapping:
    """One published tensor and the tensors of ours that hold its values.

    Parameters
    ----------
    official : str
    ours : tuple of str
        Several names: equal parts of the published tensor's rows, in this order.
    axes : str
        ``column``: the published tensor has one more axis at the end (N, 1); ``channel``: ours is (1, N, 1).
    """

    official: str
    ours: tuple[str, ...]
    axes: Literal["same", "column", "channel"] = "same"

    def split(self, tensor: Tensor) -> dict[str, Tensor]:
        """Ours from the published tensor, as views of it."""
        if self.axes == "column":
            tensor = tensor.squeeze(-1)
        elif self.axes == "channel":
            tensor = tensor.reshape(1, -1, 1)
        if tensor.shape[0] % len(self.ours):
            raise WeightsError(
                f"{self.official} has {tensor.shape[0]} rows, which do not divide into {len(self.ours)} equal parts"
            )
        return dict(zip(self.ours, tensor.chunk(len(self.ours)), strict=True))

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """The published tensor from ours."""
        parts = [tensors[name] for name in self.ours]
        tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
        if self.axes == "column":
            return tensor.unsqueeze(-1)
        return tensor.flatten() if self.axes == "channel" else tensor


def _renamed(official: str, ours: str, names: Iterable[str] = ("weight",)) -> Iterator[KeyMapping]:
    for name in names:
        yield KeyMapping(f"{official}.{name}", (f"{ours}.{name}",))


def block_entries(official: str, ours: str) -> Iterator[KeyMapping]:
    """Entries of one transformer block; both prefixes without the final dot."""
    for theirs, norm in (("pre_norm", "norm1"), ("cross_attend_norm", "norm2"), ("ff_norm", "norm3")):
        yield KeyMapping(f"{official}.{theirs}.gamma", (f"{ours}.{norm}.weight",))
        yield KeyMapping(f"{official}.{theirs}.beta", (f"{ours}.{norm}.bias",))
    query, key, value = (f"{ours}.attn1.to_{letter}.weight" for letter in "qkv")
    yield KeyMapping(f"{official}.self_attn.to_qkv.weight", (query, key, value))
    yield from _renamed(f"{official}.self_attn.to_out", f"{ours}.attn1.to_out.0")
    yield from _renamed(f"{official}.cross_attn.to_q", f"{ours}.attn2.to_q")
    key, value = (f"{ours}.attn2.to_{letter}.weight" for letter in "kv")
    yield KeyMapping(f"{official}.cross_attn.to_kv.weight", (key, value))
    yield from _renamed(f"{official}.cross_attn.to_out", f"{ours}.attn2.to_out.0")
    yield from _renamed(f"{official}.ff.ff.0.proj", f"{ours}.ff.net.0.proj", ("weight", "bias"))
    yield from _renamed(f"{official}.ff.ff.2", f"{ours}.ff.net.2", ("weight", "bias"))


def denoiser_entries(blocks: int, official: str = DIT) -> list[KeyMapping]:
    """Entries of the denoiser; ours are names inside ``StableAudioBackbone``."""
    entries = [KeyMapping(f"{official}timestep_features.weight", ("dit.time_proj.weight",), "column")]
    for layer in (0, 2):
        entries += _renamed(f"{official}to_timestep_embed.{layer}", f"dit.timestep_proj.{layer}", ("weight", "bias"))
        entries += _renamed(f"{official}to_global_embed.{layer}", f"dit.global_proj.{layer}")
        entries += _renamed(f"{official}to_cond_embed.{layer}", f"dit.cross_attention_proj.{layer}")
    for name in ("preprocess_conv", "postprocess_conv"):
        entries += _renamed(f"{official}{name}", f"dit.{name}")
    entries += _renamed(f"{official}transformer.project_in", "dit.proj_in")
    entries += _renamed(f"{official}transformer.project_out", "dit.proj_out")
    for block in range(blocks):
        entries += block_entries(f"{official}transformer.layers.{block}", f"dit.transformer_blocks.{block}")
    return entries


def conditioner_entries(official: str = CONDITIONERS) -> list[KeyMapping]:
    """Entries of the timing conditioners; ours are names inside ``StableAudioBackbone``."""
    entries: list[KeyMapping] = []
    for theirs, ours in (("seconds_start", "start"), ("seconds_total", "end")):
        prefix = f"{official}{theirs}.embedder.embedding"
        mine = f"projection.{ours}_number_conditioner.time_positional_embedding"
        entries += _renamed(f"{prefix}.0", f"{mine}.0", ("weights",))
        entries += _renamed(f"{prefix}.1", f"{mine}.1", ("weight", "bias"))
    return entries


def adapter_entries(blocks: int, official: str = ADAPTER) -> list[KeyMapping]:
    """Entries of the adapter; ours are names inside ``Adapter``."""
    prepare = f"{official}prepare_conditioned_Synchformer"
    entries: list[KeyMapping] = []
    for layer in (1, 2):
        entries += _renamed(f"{prepare}.nn_{layer}", f"hint.linear{layer}")
        entries += _renamed(f"{prepare}.layernorm_{layer}", f"hint.norm{layer}", ("weight", "bias"))
    entries += _renamed(f"{official}project_in_Synchformer", "hint_projection")
    entries += _renamed(f"{official}project_in", "project_in")
    for block in range(blocks):
        entries += block_entries(f"{official}layers.{block}", f"blocks.{block}")
        entries += _renamed(f"{official}zero_convs.{block}", f"zero_projections.{block}")
    return entries


_CONVOLUTION = ("weight_g", "weight_v", "bias")


def _snake(official: str, ours: str) -> Iterator[KeyMapping]:
    for name in ("alpha", "beta"):
        yield KeyMapping(f"{official}.{name}", (f"{ours}.{name}",), "channel")


def _residual_unit(official: str, ours: str) -> Iterator[KeyMapping]:
    yield from _snake(f"{official}.layers.0", f"{ours}.snake1")
    yield from _renamed(f"{official}.layers.1", f"{ours}.conv1", _CONVOLUTION)
    yield from _snake(f"{official}.layers.2", f"{ours}.snake2")
    yield from _renamed(f"{official}.layers.3", f"{ours}.conv2", _CONVOLUTION)


def autoencoder_entries(strides: int = 5, official: str = AUTOENCODER) -> list[KeyMapping]:
    """Entries of the autoencoder with `strides` strided blocks; ours are names inside ``AutoencoderOobleck``."""
    entries: list[KeyMapping] = []
    for side in ("encoder", "decoder"):
        layers = f"{official}{side}.layers"
        entries += _renamed(f"{layers}.0", f"{side}.conv1", _CONVOLUTION)
        for stride in range(strides):
            theirs, ours = f"{layers}.{stride + 1}.layers", f"{side}.block.{stride}"
            first = 0 if side == "encoder" else 2
            for unit in range(3):
                entries += _residual_unit(f"{theirs}.{first + unit}", f"{ours}.res_unit{unit + 1}")
            snake, convolution, name = (3, 4, "conv1") if side == "encoder" else (0, 1, "conv_t1")
            entries += _snake(f"{theirs}.{snake}", f"{ours}.snake1")
            entries += _renamed(f"{theirs}.{convolution}", f"{ours}.{name}", _CONVOLUTION)
        entries += _snake(f"{layers}.{strides + 1}", f"{side}.snake1")
        last = _CONVOLUTION if side == "encoder" else _CONVOLUTION[:2]
        entries += _renamed(f"{layers}.{strides + 2}", f"{side}.conv2", last)
    return entries


def rotary_frequencies(rotary_dim: int) -> Tensor:
    """The published rotary table's frequencies, (rotary_dim / 2,): a constant, stored with every checkpoint."""
    return 1.0 / 10000 ** (torch.arange(0, rotary_dim, 2).float() / rotary_dim)


@dataclass
class PublishedWeights:
    """Weights of a published file under our names; a part that the file does not hold is empty.

    Parameters
    ----------
    backbone : dict of str to Tensor
        Names inside ``StableAudioBackbone``.
    adapter : dict of str to Tensor
        Names inside ``Adapter``.
    autoencoder : dict of str to Tensor
        Names inside ``AutoencoderOobleck``.
    rotary : dict of str to Tensor
        Published names of the rotary frequencies. They are constants, not weights; kept so that an export gives back
        the same bits, whichever formula the file was written with.
    """

    backbone: dict[str, Tensor] = field(default_factory=dict)
    adapter: dict[str, Tensor] = field(default_factory=dict)
    autoencoder: dict[str, Tensor] = field(default_factory=dict)
    rotary: dict[str, Tensor] = field(default_factory=dict)


def _count(names: Iterable[str], pattern: str) -> int:
    """Number of consecutive indices from 0 that `pattern`'s group takes among `names`."""
    found = {int(match[1]) for name in names if (match := re.match(pattern, name))}
    return next(number for number in range(len(found) + 1) if number not in found)


def entries_of(names: Iterable[str]) -> dict[str, list[KeyMapping]]:
    """Entries of every part that a file with these published names holds.

    Returns
    -------
    dict
        ``backbone``, ``adapter``, ``autoencoder``; empty where the file does not begin such a part.
    """
    names = list(names)

    def holds(prefix: str, without: str = "\0") -> bool:
        return any(name.startswith(prefix) and not name.startswith(without) for name in names)

    parts: dict[str, list[KeyMapping]] = {"backbone": [], "adapter": [], "autoencoder": []}
    if holds(DIT, ADAPTER):
        parts["backbone"] += denoiser_entries(_count(names, re.escape(DIT) + r"transformer\.layers\.(\d+)\."))
    if holds(CONDITIONERS):
        parts["backbone"] += conditioner_entries()
    if holds(ADAPTER):
        parts["adapter"] += adapter_entries(_count(names, re.escape(ADAPTER) + r"layers\.(\d+)\."))
    if holds(AUTOENCODER):
        strides = _count(names, re.escape(AUTOENCODER) + r"encoder\.layers\.(\d+)\.") - 3
        parts["autoencoder"] += autoencoder_entries(strides)
    return parts


def training_prefix_stripped(name: str) -> str:
    """Published loading rule: a name that begins with ``diffusion.`` loses every occurrence of it."""
    return name.replace("diffusion.", "") if name.startswith("diffusion.") else name


def in_training(prefix: str) -> tuple[str, str]:
    """A prefix as it is in a published file, and as training leaves it, see :func:`training_prefix_stripped`."""
    return prefix, f"diffusion.{prefix}"


def check_names(found: Iterable[str], entries: Iterable[KeyMapping]) -> None:
    """Refuse a file whose names are not exactly those of `entries` (rotary frequencies apart)."""
    found = {name for name in found if not name.endswith(ROTARY)}
    wanted = {entry.official for entry in entries}
    if found != wanted:
        missing, unknown = sorted(wanted - found), sorted(found - wanted)
        raise WeightsError(
            f"the checkpoint does not have the published layout: {len(missing)} names are missing "
            f"({', '.join(missing[:4])}) and {len(unknown)} are not known ({', '.join(unknown[:4])})"
        )


def from_published(tensors: Mapping[str, Tensor]) -> PublishedWeights:
    """Weights under our names, from a published checkpoint's tensors.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Any combination of denoiser, timing conditioners, adapter and autoencoder; each complete.

    Raises
    ------
    WeightsError
        If a name is missing or not known, or a rotary frequency is not the constant it should be.
    """
    stripped = {training_prefix_stripped(name): tensor for name, tensor in tensors.items()}
    parts = entries_of(stripped)
    check_names(stripped, [entry for entries in parts.values() for entry in entries])
    weights = PublishedWeights(rotary={name: value for name, value in stripped.items() if name.endswith(ROTARY)})
    for name, value in weights.rotary.items():
        rounding = max(1e-6, torch.finfo(value.dtype).eps)  # a file may be stored in 16 bits
        if not torch.allclose(value.float(), rotary_frequencies(2 * len(value)), rtol=rounding, atol=0):
            raise WeightsError(f"{name} does not hold the rotary frequencies with base 10000")
    for part, entries in parts.items():
        for entry in entries:
            # Parts of a fused tensor are copied: a file cannot hold tensors that share memory.
            for name, value in entry.split(stripped[entry.official]).items():
                getattr(weights, part)[name] = value.clone() if len(entry.ours) > 1 else value
    return weights


def to_published(weights: PublishedWeights, rotary_dim: int = 32) -> dict[str, Tensor]:
    """A published checkpoint's tensors, from weights under our names; the inverse of :func:`from_published`.

    Parameters
    ----------
    weights : PublishedWeights
        `rotary` may be empty: the frequencies are then made by the published formula.
    rotary_dim : int
        Rotated channels of a head.

    Raises
    ------
    WeightsError
        If a part has a name too many or too few, such as an adapter with CLIP features, which was never published.
    """
    timing = any(name.startswith("projection.") for name in weights.backbone)
    denoiser = any(name.startswith("dit.") for name in weights.backbone)
    blocks = _count(weights.backbone, r"dit\.transformer_blocks\.(\d+)\.")
    parts = {
        "backbone": (denoiser_entries(blocks) if denoiser else []) + (conditioner_entries() if timing else []),
        "adapter": adapter_entries(_count(weights.adapter, r"blocks\.(\d+)\.")) if weights.adapter else [],
        "autoencoder": autoencoder_entries(_count(weights.autoencoder, r"encoder\.block\.(\d+)\."))
        if weights.autoencoder
        else [],
    }
    published: dict[str, Tensor] = {}
    for part, entries in parts.items():
        mine: dict[str, Tensor] = getattr(weights, part)
        wanted = {name for entry in entries for name in entry.ours}
        if wanted != mine.keys():
            odd = sorted(wanted ^ mine.keys())
            raise WeightsError(f"{part} has no published layout: {len(odd)} names differ ({', '.join(odd[:4])})")
        published |= {entry.official: entry.join(mine) for entry in entries}
    constants = {
        prefix + ROTARY: rotary_frequencies(rotary_dim)
        for prefix, present in ((f"{DIT}transformer.", denoiser), (ADAPTER, bool(weights.adapter)))
        if present
    }
    return published | constants | weights.rotary


@torch.no_grad()
def copy_published(
    targets: Mapping[str, Tensor], entries: Iterable[KeyMapping], read: Callable[[str, tuple[int, ...]], Tensor]
) -> None:
    """Copy published tensors into a network one at a time, so that no second copy of a large model is held.

    Parameters
    ----------
    targets : mapping of str to Tensor
        ``state_dict()`` of the network (views of its weights).
    entries : iterable of Entry
        All names of `targets` must occur.
    read : callable (published name, published shape) -> Tensor

    Raises
    ------
    WeightsError
        If a name or a shape does not fit.
    """
    entries = list(entries)
    names = {name for entry in entries for name in entry.ours}
    if names != targets.keys():
        odd = sorted(names ^ targets.keys())
        raise WeightsError(f"{len(odd)} names of the network and the checkpoint differ: {', '.join(odd[:4])}")
    for entry in entries:
        shape = tuple(entry.join({name: targets[name].to("meta") for name in entry.ours}).shape)
        tensor = read(entry.official, shape)
        if tuple(tensor.shape) != shape:
            raise WeightsError(f"{entry.official} has shape {tuple(tensor.shape)}, the network wants {shape}")
        for name, value in entry.split(tensor).items():
            targets[name].copy_(value)
