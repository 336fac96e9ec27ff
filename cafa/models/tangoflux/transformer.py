"""The networks of a TangoFlux denoiser, by the names that diffusers gives their parameters.

Written here because diffusers' package imports every transformer that it knows, and torch's compiler, before it gives
this one: more seconds than many a job works. That weights for a seed, outputs and gradients are those of diffusers'
``FluxTransformer2DModel`` to the last bit is tested.

Shapes: B batch, S tokens (L of text, then T latents), W width, H heads of width E (W = H x E).
"""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

Rotary = tuple[Tensor, Tensor]
#: channels of the sines and cosines of a time
TIME_CHANNELS = 256
EPSILON = 1e-6


class AxesPositions(nn.Module):
    """Cosines and sines of the rotary embedding of positions on several axes.

    Parameters
    ----------
    channels : sequence of int
        Rotated channels per axis; even.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)

    def forward(self, positions: Tensor) -> Rotary:
        """Two tables (S, E), float32, of positions (S, axes); each value stands for two channels."""
        angles = [
            torch.outer(places, 1.0 / (10000.0 ** (_steps_of_two(width, places) / width)))
            for width, places in zip(self.channels, positions.float().unbind(1), strict=True)
        ]
        pairs = torch.cat(angles, dim=-1)
        cos, sin = (table.repeat_interleave(2, dim=1).float() for table in (pairs.cos(), pairs.sin()))
        return cos, sin


def _steps_of_two(width: int, like: Tensor) -> Tensor:
    # Apple's GPUs have no float64.
    exact = torch.float32 if like.device.type == "mps" else torch.float64
    return torch.arange(0, width, 2, dtype=exact, device=like.device)


def rotate(values: Tensor, rotary: Rotary) -> Tensor:
    """Rotate neighbouring channels of each head, in float32; `values` (B, S, H, E), `rotary` (S, E)."""
    cos, sin = (table[None, :, None].to(values.device) for table in rotary)
    real, imaginary = values.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-imaginary, real], dim=-1).flatten(3)
    return (values.float() * cos + turned.float() * sin).to(values.dtype)


class TwoLayers(nn.Module):
    """Two linear layers with a SiLU between them."""

    def __init__(self, entering: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(entering, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, values: Tensor) -> Tensor:
        """(B, W) from (B, entering)."""
        out: Tensor = self.linear_2(nn.functional.silu(self.linear_1(values)))
        return out


class TimeAndText(nn.Module):
    """What the blocks are modulated by: time and pooled text."""

    def __init__(self, width: int, pooled: int) -> None:
        super().__init__()
        self.timestep_embedder = TwoLayers(TIME_CHANNELS, width)
        self.text_embedder = TwoLayers(pooled, width)

    def forward(self, time: Tensor, pooled: Tensor) -> Tensor:
        """(B, W) from time (B,) in [0, 1000] and pooled text (B, D)."""
        embedded: Tensor = self.timestep_embedder(time_features(time).to(pooled.dtype)) + self.text_embedder(pooled)
        return embedded


def time_features(time: Tensor) -> Tensor:
    """Cosines and sines (B, 256), float32, of times (B,)."""
    half = TIME_CHANNELS // 2
    places = torch.arange(half, dtype=torch.float32, device=time.device)
    angles = time[:, None].float() * torch.exp(-log(10000) * places / half)[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Modulation(nn.Module):
    """A layer norm whose shift and scale, and gates for later, come from time and text.

    Parameters
    ----------
    width : int
    parts : int
        Shift, scale, and so many less two that are returned.
    """

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(width, parts * width)
        self.norm = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)

    def forward(self, hidden: Tensor, modulation: Tensor) -> tuple[Tensor, ...]:
        """(B, S, W) of (B, S, W), and the other parts (B, W)."""
        shift, scale, *others = self.linear(nn.functional.silu(modulation)).chunk(self.parts, dim=1)
        return self.norm(hidden) * (1 + scale[:, None]) + shift[:, None], *others


class LastNorm(nn.Module):
    """A layer norm whose scale and shift come from time and text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)

    def forward(self, hidden: Tensor, modulation: Tensor) -> Tensor:
        """(B, S, W) of (B, S, W)."""
        scale, shift = self.linear(nn.functional.silu(modulation).to(hidden.dtype)).chunk(2, dim=1)
        out: Tensor = self.norm(hidden) * (1 + scale)[:, None, :] + shift[:, None, :]
        return out


class Attention(nn.Module):
    """Attention among all tokens, queries and keys normed by their root mean square.

    Parameters
    ----------
    width, heads, head_dim : int
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner, self.head_dim = heads * head_dim, head_dim
        self.norm_q = nn.RMSNorm(head_dim, eps=EPSILON)
        self.norm_k = nn.RMSNorm(head_dim, eps=EPSILON)
        self.to_q = nn.Linear(width, inner)
        self.to_k = nn.Linear(width, inner)
        self.to_v = nn.Linear(width, inner)

    def forward(self, hidden: Tensor, rotary: Rotary, mask: Tensor | None) -> Tensor:
        """(B, S, W) of (B, S, W)."""
        query, key = self.norm_q(self.split(self.to_q(hidden))), self.norm_k(self.split(self.to_k(hidden)))
        return attend(query, key, self.split(self.to_v(hidden)), rotary, mask)

    def split(self, values: Tensor) -> Tensor:
        """(B, S, H x E) as (B, S, H, E)."""
        return values.unflatten(-1, (-1, self.head_dim))


class TwoStreamAttention(Attention):
    """Attention among all tokens, those of the text with projections of their own."""

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__(width, heads, head_dim)
        inner = heads * head_dim
        # The second place is of a dropout in published checkpoints' names; it has no parameters.
        self.to_out = nn.ModuleList([nn.Linear(inner, width), nn.Identity()])
        self.norm_added_q = nn.RMSNorm(head_dim, eps=EPSILON)
        self.norm_added_k = nn.RMSNorm(head_dim, eps=EPSILON)
        self.add_q_proj = nn.Linear(width, inner)
        self.add_k_proj = nn.Linear(width, inner)
        self.add_v_proj = nn.Linear(width, inner)
        self.to_add_out = nn.Linear(inner, width)

    def both(self, hidden: Tensor, context: Tensor, rotary: Rotary, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sound (B, T, W) and text (B, L, W) of the same."""
        query, key = self.norm_q(self.split(self.to_q(hidden))), self.norm_k(self.split(self.to_k(hidden)))
        words_query = self.norm_added_q(self.split(self.add_q_proj(context)))
        words_key = self.norm_added_k(self.split(self.add_k_proj(context)))
        value = torch.cat([self.split(self.add_v_proj(context)), self.split(self.to_v(hidden))], dim=1)
        taken = attend(torch.cat([words_query, query], 1), torch.cat([words_key, key], 1), value, rotary, mask)
        words, sounds = taken.split_with_sizes([context.shape[1], hidden.shape[1]], dim=1)
        return self.to_out[0](sounds.contiguous()), self.to_add_out(words.contiguous())


def attend(query: Tensor, key: Tensor, value: Tensor, rotary: Rotary, mask: Tensor | None) -> Tensor:
    """What queries take from values, (B, S, W), all given as (B, S, H, E); `mask` (B, 1, 1, S) of keys that exist."""
    query, key, value = (part.transpose(1, 2) for part in (rotate(query, rotary), rotate(key, rotary), value))
    return scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2, 3).to(query.dtype)


class TanhGelu(nn.Module):
    """A linear layer and the GELU by tanh."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, inner)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., inner) from (..., width)."""
        return gelu(self.proj(hidden), approximate="tanh")


class FeedForward(nn.Module):
    """A layer of four times the width, and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # The second place is of a dropout in published checkpoints' names; it has no parameters.
        self.net = nn.Sequential(TanhGelu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, S, W) from (B, S, W)."""
        out: Tensor = self.net(hidden)
        return out


class DoubleBlock(nn.Module):
    """Text and sound with weights of their own, which attend to each other.

    Parameters
    ----------
    width, heads, head_dim : int
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm1 = Modulation(width, 6)
        self.norm1_context = Modulation(width, 6)
        self.attn = TwoStreamAttention(width, heads, head_dim)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)
        self.ff = FeedForward(width)
        self.norm2_context = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)
        self.ff_context = FeedForward(width)

    def forward(
        self, hidden: Tensor, context: Tensor, modulation: Tensor, rotary: Rotary, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Text (B, L, W) and sound (B, T, W) after the block, of sound, text, and what :class:`TimeAndText` gives."""
        normed, gate, shift, scale, last_gate = self.norm1(hidden, modulation)
        words, words_gate, words_shift, words_scale, words_last_gate = self.norm1_context(context, modulation)
        taken, words_taken = self.attn.both(normed, words, rotary, mask)
        hidden = hidden + gate.unsqueeze(1) * taken
        normed = self.norm2(hidden) * (1 + scale[:, None]) + shift[:, None]
        hidden = hidden + last_gate.unsqueeze(1) * self.ff(normed)
        context = context + words_gate.unsqueeze(1) * words_taken
        words = self.norm2_context(context) * (1 + words_scale[:, None]) + words_shift[:, None]
        context = context + words_last_gate.unsqueeze(1) * self.ff_context(words)
        return _within_half(context), hidden


class SingleBlock(nn.Module):
    """Text and sound as one sequence; attention and feed-forward layer side by side.

    Parameters
    ----------
    width, heads, head_dim : int
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm = Modulation(width, 3)
        self.proj_mlp = nn.Linear(width, 4 * width)
        self.proj_out = nn.Linear(5 * width, width)
        self.attn = Attention(width, heads, head_dim)

    def forward(
        self, hidden: Tensor, context: Tensor, modulation: Tensor, rotary: Rotary, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As that of :class:`DoubleBlock`."""
        joined = torch.cat([context, hidden], dim=1)
        normed, gate = self.norm(joined, modulation)
        inner = gelu(self.proj_mlp(normed), approximate="tanh")
        out = self.proj_out(torch.cat([self.attn(normed, rotary, mask), inner], dim=2))
        joined = _within_half(joined + gate.unsqueeze(1) * out)
        return joined[:, : context.shape[1]], joined[:, context.shape[1] :]


def _within_half(values: Tensor) -> Tensor:
    return values.clip(-65504, 65504) if values.dtype == torch.float16 else values


class Transformer(nn.Module):
    """What a TangoFlux denoiser is made of, apart from its pooling and duration embedder.

    Parameters
    ----------
    latent_channels, double_blocks, single_blocks, heads, head_dim, text_dim, joint_dim : int
    rotary_axes : sequence of int
        See :class:`cafa.models.tangoflux.blocks.TangoFluxSettings`.
    """

    def __init__(
        self,
        latent_channels: int,
        double_blocks: int,
        single_blocks: int,
        heads: int,
        head_dim: int,
        text_dim: int,
        joint_dim: int,
        rotary_axes: Sequence[int],
    ) -> None:
        super().__init__()
        width = heads * head_dim
        self.pos_embed = AxesPositions(rotary_axes)
        self.time_text_embed = TimeAndText(width, text_dim)
        self.context_embedder = nn.Linear(joint_dim, width)
        self.x_embedder = nn.Linear(latent_channels, width)
        self.transformer_blocks = nn.ModuleList(DoubleBlock(width, heads, head_dim) for _ in range(double_blocks))
        self.single_transformer_blocks = nn.ModuleList(
            SingleBlock(width, heads, head_dim) for _ in range(single_blocks)
        )
        self.norm_out = LastNorm(width)
        self.proj_out = nn.Linear(width, latent_channels)
