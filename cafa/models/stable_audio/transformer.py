"""The networks of a Stable Audio denoiser, by the names that diffusers gives their parameters.

Written here because diffusers' package imports every transformer that it knows, and torch's compiler, before it gives
this one: more seconds than many a job works. That the values are those of diffusers' ``StableAudioDiTModel`` to the
last bit, for the same seed of the initial weights too, and within rounding those of the official code is tested.

Shapes: B batch, S tokens (T latents and a global token), L text states, D width, H heads of width E (D = H x E).
"""

from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from cafa.models.stable_audio.timing import standard_normal

Rotary = tuple[Tensor, Tensor]


def rotary_angles(channels: int, positions: int, base: float = 10000.0) -> Rotary:
    """Cosines and sines, (positions, channels), of the rotary embedding in its half-split form.

    Parameters
    ----------
    channels : int
        Channels of a head that are rotated; even.
    positions : int
    base : float
        Of the geometric series of angular frequencies.

    References
    ----------
    Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021.
    """
    frequencies = 1.0 / (base ** (torch.arange(0, channels, 2, dtype=torch.float32) / channels))
    angles = torch.outer(torch.arange(positions), frequencies)
    return torch.cat([angles.cos()] * 2, dim=-1), torch.cat([angles.sin()] * 2, dim=-1)


def rotate(values: Tensor, rotary: Rotary) -> Tensor:
    """Rotate the first channels of each head, in float32; `values` (B, H, S, E), `rotary` (S, R) with R <= E."""
    half = rotary[0].shape[-1] // 2
    cos, sin = (table[:, :half].to(values.device) for table in rotary)  # the other half is the same
    rotated: Tensor = _Rotation.apply(values, cos, sin)
    return rotated


def _turned(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = cos.shape[-1]
    single = values.float()
    real, imaginary, kept = single[..., :half], single[..., half : 2 * half], single[..., 2 * half :]
    return torch.cat([real * cos - imaginary * sin, imaginary * cos + real * sin, kept], dim=-1).to(values.dtype)


class _Rotation(torch.autograd.Function):
    """A rotation, whose gradient is rotated back: nothing but the angles has to be held for it."""

    @staticmethod
    def forward(context: Any, values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        context.save_for_backward(cos, sin)
        return _turned(values, cos, sin)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = context.saved_tensors
        return _turned(gradients[0], cos, -sin), None, None


class Attention(nn.Module):
    """Attention among tokens, or of tokens to text states; no biases.

    Parameters
    ----------
    width : int
        D.
    heads, head_dim : int
        H and E.
    key_value_heads : int
        Heads of keys and values; each serves as many heads of queries in turn.
    context_dim : int
        Width of what is attended to.
    """

    def __init__(self, width: int, heads: int, head_dim: int, key_value_heads: int, context_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.to_q = nn.Linear(width, heads * head_dim, bias=False)
        self.to_k = nn.Linear(context_dim, key_value_heads * head_dim, bias=False)
        self.to_v = nn.Linear(context_dim, key_value_heads * head_dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(heads * head_dim, width, bias=False)])

    def forward(
        self,
        hidden: Tensor,
        context: Tensor | None = None,
        rotary: Rotary | None = None,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """What each token takes from the others, or from `context` (B, L, context_dim); (B, S, D).

        Parameters
        ----------
        hidden : Tensor, (B, S, D)
        context : Tensor, (B, L, context_dim), optional
        rotary : tuple of Tensor, (S, R), optional
            For queries and keys; see :func:`rotate`.
        known : tuple of Tensor, optional
            :meth:`keys_values` of the context, where they are known already.
        """
        query = self._split(self.to_q(hidden))
        key, value = known or self.keys_values(hidden if context is None else context)
        if (times := query.shape[1] // key.shape[1]) > 1:
            key = torch.repeat_interleave(key, times, dim=1, output_size=query.shape[1])
            value = torch.repeat_interleave(value, times, dim=1, output_size=query.shape[1])
        if rotary is not None:
            query, key = rotate(query, rotary), rotate(key, rotary)
        taken = scaled_dot_product_attention(query, key, value)
        joined: Tensor = self.to_out[0](taken.transpose(1, 2).reshape(len(hidden), -1, self.heads * self.head_dim))
        return joined

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, (B, heads of keys, L, E), of what is attended to, (B, L, context_dim)."""
        return self._split(self.to_k(context)), self._split(self.to_v(context))

    def _split(self, values: Tensor) -> Tensor:
        """(B, S, heads x E) as (B, heads, S, E)."""
        return values.view(len(values), values.shape[1], -1, self.head_dim).transpose(1, 2)


class GatedLinear(nn.Module):
    """One half of a projection times the SiLU of the other (SwiGLU)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., inner) from (..., width)."""
        gated: Tensor = _Gate.apply(self.proj(hidden))
        return gated


class _Gate(torch.autograd.Function):
    """The gate of a projection, (..., 2 x inner): held for the gradient is the projection alone.

    The gradients of both halves are written where they belong, without a copy to join them.
    """

    @staticmethod
    def forward(context: Any, projected: Tensor) -> Tensor:
        context.save_for_backward(projected)
        value, gate = projected.chunk(2, dim=-1)
        return silu(gate).mul_(value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (projected,) = context.saved_tensors
        value, gate = projected.chunk(2, dim=-1)
        gradient, joined = gradients[0], torch.empty_like(projected)
        of_value, of_gate = joined.chunk(2, dim=-1)
        torch.mul(gradient, silu(gate), out=of_value)
        torch.ops.aten.silu_backward.grad_input(gradient * value, gate, grad_input=of_gate)
        return joined


class FeedForward(nn.Module):
    """A gated layer of four times the width, and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # The second place is of a dropout in published checkpoints' names; it has no parameters.
        self.net = nn.Sequential(GatedLinear(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, S, D) from (B, S, D)."""
        out: Tensor = self.net(hidden)
        return out


class TransformerBlock(nn.Module):
    """Self-attention, attention to the text and feed-forward layer, each behind its own layer norm.

    The parts are called by :func:`cafa.models.stable_audio.blocks.run_block`.

    Parameters
    ----------
    width, heads, head_dim : int
    key_value_heads : int
        Of the attention to the text.
    text_dim : int
    """

    def __init__(self, width: int, heads: int, head_dim: int, key_value_heads: int, text_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads, head_dim, heads, width)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, heads, head_dim, key_value_heads, text_dim)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)


class FourierFeatures(nn.Module):
    """Cosines and sines of random frequencies, which are not trained."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(standard_normal(size // 2), requires_grad=False)

    def forward(self, time: Tensor) -> Tensor:
        """(B, size) from (B,)."""
        angles = 2 * pi * time[:, None] @ self.weight[None]
        return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Transformer(nn.Module):
    """What a Stable Audio denoiser is made of, apart from its timing conditioners.

    Parameters
    ----------
    latent_channels, blocks, heads, head_dim, key_value_heads, text_dim, time_dim : int
        See :class:`cafa.models.stable_audio.blocks.StableAudioSettings`.
    """

    def __init__(
        self,
        latent_channels: int,
        blocks: int,
        heads: int,
        head_dim: int,
        key_value_heads: int,
        text_dim: int,
        time_dim: int,
    ) -> None:
        super().__init__()
        width = heads * head_dim
        self.time_proj = FourierFeatures(time_dim)
        self.timestep_proj = _two_layers(time_dim, width, bias=True)
        self.global_proj = _two_layers(2 * text_dim, width)
        self.cross_attention_proj = _two_layers(text_dim, text_dim)
        self.preprocess_conv = nn.Conv1d(latent_channels, latent_channels, 1, bias=False)
        self.proj_in = nn.Linear(latent_channels, width, bias=False)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(width, heads, head_dim, key_value_heads, text_dim) for _ in range(blocks)
        )
        self.proj_out = nn.Linear(width, latent_channels, bias=False)
        self.postprocess_conv = nn.Conv1d(latent_channels, latent_channels, 1, bias=False)


def _two_layers(entering: int, width: int, bias: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Linear(entering, width, bias=bias), nn.SiLU(), nn.Linear(width, width, bias=bias))
