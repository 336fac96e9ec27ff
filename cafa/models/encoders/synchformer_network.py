"""Synchformer's visual encoder (AV-CLIP): one implementation for the judge and for the conditioning.

The network is a Motionformer with *divided* space-time attention, ViT-B/16, on segments of 16 frames at
25 frames per second. Its 8 x 14 x 14 patch tokens are pooled over space by one transformer layer, which
leaves 8 vectors per segment.

Two users read it at two places:

* **DeSync** (`metrics`): segments every 8 frames, features *before* ``vproj``.
* **CAFA's conditioning** (`cafa`): segments every 9 frames from frame 0, features *after* ``vproj``;
  250 frames give 27 segments, 216 vectors.

Sources: Iashin et al., "Synchformer" (ICASSP 2024); Patrick et al., "Motionformer" (NeurIPS 2021);
parameter names are those of the published checkpoint.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import InputError
from cafa.models.encoders.layers import ClsPooling, FeedForward
from cafa.models.weights import load_strict

FRAME_RATE = 25.0
FRAME_SIZE = 224
SEGMENT_FRAMES = 16
DESYNC_STRIDE = 8
CONDITIONING_STRIDE = 9

# The checkpoint also carries the 2-D patch embedding of the image model it started from; no video passes it.
_UNUSED = ("vfeat_extractor.patch_embed.proj.weight", "vfeat_extractor.patch_embed.proj.bias")
_OTHER_TOWERS = ("afeat_extractor.", "aproj.", "transformer.")


def segment_starts(frames: int, stride: int, length: int = SEGMENT_FRAMES) -> range:
    """First frame of every whole segment: 0, stride, ...

    Parameters
    ----------
    frames
        Frames of the clip.
    stride
        Frames from one segment to the next.
    length
        Frames of a segment.

    Raises
    ------
    InputError
        If the clip does not hold one segment, or a size is not positive.
    """
    if stride < 1 or length < 1:
        raise InputError(f"stride and length must be positive, got {stride} and {length}")
    if frames < length:
        raise InputError(f"a segment needs {length} frames, the clip has {frames}")
    return range(0, frames - length + 1, stride)


def take_segments(frames: Tensor, stride: int, length: int = SEGMENT_FRAMES) -> Tensor:
    """Overlapping segments ``(clips, segments, length, ...)`` of ``(clips, frames, ...)``, as a view."""
    segment_starts(frames.shape[1], stride, length)
    return frames.unfold(1, length, stride).movedim(-1, 2)


def normalise_frames(frames: Tensor) -> Tensor:
    """Map uint8 (0..255) to float32 in [-1, 1]: ``(x / 255 - 0.5) / 0.5``."""
    if frames.dtype != torch.uint8:
        raise InputError(f"frames must be uint8, got {frames.dtype}")
    return (frames.float() / 255 - 0.5) / 0.5


class DividedAttention(nn.Module):
    """Multi-head attention along one axis of the token grid (Bertasius et al. 2021, "divided").

    A patch token sees the tokens of its group (same place over time, or same time over space) and the
    CLS token; the CLS token sees everything.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, times: int, axis: str) -> Tensor:
        """Attend along ``axis``.

        Parameters
        ----------
        tokens
            ``(batch, 1 + times * places, width)``, CLS first, then time-major.
        times
            Time steps of the grid.
        axis
            ``"time"`` or ``"space"``.
        """
        batch, length, width = tokens.shape
        split = self.qkv(tokens).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head width)
        cls = functional.scaled_dot_product_attention(query[:, :, :1], key, value)

        # (batch, heads, times, places, head width) -> groups before heads, attended tokens last but one
        order = (0, 3, 1, 2, 4) if axis == "time" else (0, 2, 1, 3, 4)
        back = (0, 2, 3, 1, 4) if axis == "time" else (0, 2, 1, 3, 4)

        def grouped(part: Tensor) -> Tensor:
            return part[:, :, 1:].unflatten(2, (times, -1)).permute(order)

        def with_cls(part: Tensor) -> Tensor:
            groups = grouped(part)
            first = part[:, None, :, :1].expand(-1, groups.shape[1], -1, -1, -1)
            return torch.cat((first, groups), dim=-2)

        patches = functional.scaled_dot_product_attention(grouped(query), with_cls(key), with_cls(value))
        mixed = torch.cat((cls, patches.permute(back).flatten(2, 3)), dim=2)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, width))


class DividedBlock(nn.Module):
    """Time attention, space attention, feed-forward; each pre-norm with a residual."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = DividedAttention(width, heads)
        self.timeattn = DividedAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width, 4 * width)
        self.norm3 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor, times: int) -> Tensor:
        """Map ``(batch, 1 + times * places, width)`` to the same shape."""
        tokens = tokens + self.timeattn(self.norm3(tokens), times, "time")
        tokens = tokens + self.attn(self.norm1(tokens), times, "space")
        return tokens + self.mlp(self.norm2(tokens))


class PatchEmbedding3d(nn.Module):
    """Non-overlapping patches of 2 frames x ``patch`` x ``patch`` pixels."""

    def __init__(self, width: int, patch: int):
        super().__init__()
        self.proj = nn.Conv3d(3, width, (2, patch, patch), (2, patch, patch))


class Motionformer(nn.Module):
    """Segments to 8 vectors each; the defaults are the published size.

    Parameters
    ----------
    width, depth, heads
        Of the transformer.
    size, patch, frames
        Pixels of a side, pixels of a patch side, frames of a segment.
    """

    def __init__(
        self,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        size: int = FRAME_SIZE,
        patch: int = 16,
        frames: int = SEGMENT_FRAMES,
    ):
        super().__init__()
        self.times = frames // 2
        self.segment_shape = (frames, 3, size, size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (size // patch) ** 2, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, self.times, width))
        self.patch_embed_3d = PatchEmbedding3d(width, patch)
        self.blocks = nn.ModuleList(DividedBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.spatial_attn_agg = ClsPooling(width, heads, 4 * width)

    def forward(self, segments: Tensor) -> Tensor:
        """Encode normalised segments ``(n, frames, 3, height, width)`` as ``(n, frames // 2, width)``.

        Raises
        ------
        ValueError
            If a segment has another shape than the network's.
        """
        if segments.shape[1:] != self.segment_shape:
            raise InputError(f"segments have shape {tuple(segments.shape[1:])}, expected {self.segment_shape}")
        patches = self.patch_embed_3d.proj(segments.transpose(1, 2)).flatten(3)  # (n, width, times, places)
        # The CLS token gets the spatial position 0 only; patches get their place plus their time.
        position = self.pos_embed[:, None, 1:] + self.temp_embed[:, :, None]
        tokens = patches.permute(0, 2, 3, 1) + position
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat((cls, tokens.flatten(1, 2)), dim=1)
        for block in self.blocks:
            tokens = block(tokens, self.times)
        places = self.norm(tokens[:, 1:]).unflatten(1, (self.times, -1))
        return self.spatial_attn_agg(places.flatten(0, 1)).unflatten(0, (-1, self.times))


class SynchformerVisual(nn.Module):
    """Motionformer with the projection into the synchronisation space.

    Parameters
    ----------
    **sizes
        Of `Motionformer`; the defaults are the published size.
    """

    def __init__(self, **sizes: int):
        super().__init__()
        self.vfeat_extractor = Motionformer(**sizes)
        width = self.vfeat_extractor.norm.normalized_shape[0]
        self.vproj = nn.Linear(width, width)

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu", **sizes: int
    ) -> "SynchformerVisual":
        """Build from a published Synchformer state dict, strictly.

        The audio tower and the offset head, where present, are left out; any other unknown name is an error.
        """
        with torch.device("meta"):
            network = cls(**sizes)
        load_strict(network, tensors, unused=(*_UNUSED, *_OTHER_TOWERS), device=device)
        return network

    def forward(self, segments: Tensor, *, segments_per_pass: int = 8) -> Tensor:
        """Features *before* ``vproj``.

        Parameters
        ----------
        segments
            Normalised, ``(clips, segments, 16, 3, 224, 224)``.
        segments_per_pass
            Segments in the network at once; bounds memory, about 0.15 GB each in float32.

        Returns
        -------
        Tensor
            ``(clips, segments, 8, 768)``.
        """
        flat = segments.flatten(0, 1)
        parts = [self.vfeat_extractor(part) for part in flat.split(segments_per_pass)]
        return torch.cat(parts).unflatten(0, segments.shape[:2])

    def project(self, features: Tensor) -> Tensor:
        """Features *after* ``vproj``, same shape."""
        return self.vproj(features)
