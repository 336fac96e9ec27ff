"""Size, conditioning, stream and block of a Stable Audio denoiser: what it shares with its adapter.

Shapes: B batch, C latent channels, T latents, L text states, D width; tokens = T + 1 (one global token).
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cafa.models.made_once import MadeOnce
from cafa.models.stable_audio.transformer import TransformerBlock, rotary_angles


class StableAudioSettings(BaseModel):
    """Size of a Stable Audio denoiser; the defaults are those of Stable Audio Open 1.0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latent_channels: int = Field(64, gt=0, description="channels of a latent")
    latents: int = Field(1024, gt=0, description="latents of the longest window")
    blocks: int = Field(24, gt=0, description="transformer blocks")
    heads: int = Field(24, gt=0, description="attention heads")
    head_dim: int = Field(64, gt=0, description="width of a head; the model's width is heads x head_dim")
    key_value_heads: int = Field(12, gt=0, description="key and value heads of the cross-attention")
    text_dim: int = Field(768, gt=0, description="width of a text state")
    time_dim: int = Field(256, gt=0, description="Fourier features of the diffusion time")
    maximum_seconds: float = Field(512.0, gt=0, description="range of the timing conditioners")

    @property
    def width(self) -> int:
        """Width D of the token stream."""
        return self.heads * self.head_dim

    @property
    def rotary_dim(self) -> int:
        """Channels of a head that are rotated: half of them, but at least 32 where there are as many."""
        return min(self.head_dim, max(self.head_dim // 2, 32))


@dataclass(frozen=True)
class StableAudioConditioning:
    """What the denoiser is conditioned on, apart from the video.

    Parameters
    ----------
    context : Tensor, (N, L + 2, text_dim)
        Text states and the two timing tokens, of the first N <= B items. All zeros = the null text. Items beyond N
        have the null text too: its cross-attention is exactly zero (no biases), so it is not computed for them.
    timing : Tensor, (B, 2 * text_dim)
        Embeddings of start and total seconds; never dropped.
    of_text : MadeOnce, optional
        Keeps what layers make of it, see :meth:`for_steps`.
    """

    context: Tensor
    timing: Tensor
    of_text: MadeOnce | None = field(default=None, compare=False, repr=False)

    def for_steps(self) -> "StableAudioConditioning":
        """The same for the steps of one sampling run, between which neither it nor the weights change."""
        return replace(self, of_text=MadeOnce())

    def null_text(self) -> "StableAudioConditioning":
        """The same timing with the null text: the whole sequence, timing tokens included, is zero."""
        return StableAudioConditioning(torch.zeros_like(self.context), self.timing)

    def joined(self, null: "StableAudioConditioning | None") -> "StableAudioConditioning":
        """Conditioning of [conditional ; unconditional]; without `null` the latter has the null text."""
        timing = self.timing if null is None else null.timing
        context = self.context if null is None else torch.cat([self.context, null.context])
        return StableAudioConditioning(context, torch.cat([self.timing, timing]))

    def with_dropped_text(self, keep: Tensor) -> "StableAudioConditioning":
        """The null text for the items whose `keep` (B,) is 0: the whole text sequence is zero, the timing stays."""
        return StableAudioConditioning(self.context * keep.view(-1, 1, 1), self.timing)


@dataclass(frozen=True)
class TokenStream:
    """Input of the transformer blocks.

    Parameters
    ----------
    latents : Tensor, (B, T, C)
        Latents after the residual 1x1 convolution, before the input projection.
    global_token : Tensor, (B, 1, D)
        Timing and diffusion time.
    context : Tensor, (N, L + 2, text_dim)
        Projected text of the first N <= B items; the others have the null text.
    rotary : tuple of Tensor
        Cosines and sines, (T + 1, rotary_dim).
    of_text : MadeOnce, optional
        Keeps what blocks make of the text.
    known : tuple of Tensor, optional
        Keys and values of the text for the next block, where they are kept.
    """

    latents: Tensor
    global_token: Tensor
    context: Tensor
    rotary: tuple[Tensor, Tensor]
    of_text: MadeOnce | None = field(default=None, compare=False, repr=False)
    known: tuple[Tensor, Tensor] | None = None

    def first(self, items: int) -> "TokenStream":
        """The stream of the first `items` items."""
        first = (self.latents[:items], self.global_token[:items], self.context[:items])
        return TokenStream(*first, self.rotary, self.of_text)

    def for_block(self, block: TransformerBlock) -> "TokenStream":
        """The stream with a block's keys and values of the text, if these are kept for further steps."""
        items = len(self.context)
        if self.of_text is None or not items:
            return self
        return replace(self, known=self.of_text.once(block.attn2, items, lambda: block.attn2.keys_values(self.context)))


@lru_cache(maxsize=8)
def rotary_table(rotary_dim: int, tokens: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rotary embedding of the first `rotary_dim` channels of a head (half-split form, base 10000); made once."""
    with torch.inference_mode(False):  # made while sampling it must also serve training
        cos, sin = rotary_angles(rotary_dim, tokens)
        return cos.to(device), sin.to(device)


def run_block(
    block: TransformerBlock, hidden: Tensor, stream: TokenStream, recompute: bool = False
) -> tuple[Tensor, TokenStream]:
    """Output of one transformer block, (B, T + 1, D), and the stream for the next one, which is the same.

    In parts, so that items without text skip the cross-attention.

    Parameters
    ----------
    block : TransformerBlock
    hidden : Tensor, (B, T + 1, D)
    stream : TokenStream
    recompute : bool
        Gradient checkpointing: hold only the input and recompute the block in the backward pass.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(_output, block, hidden, stream, use_reentrant=False), stream
    return _output(block, hidden, stream), stream


def _output(block: TransformerBlock, hidden: Tensor, stream: TokenStream) -> Tensor:
    hidden = hidden + block.attn1(block.norm1(hidden), rotary=stream.rotary)
    with_text = hidden[: len(stream.context)]
    if len(with_text):
        with_text = with_text + block.attn2(block.norm2(with_text), context=stream.context, known=stream.known)
        hidden = with_text if len(with_text) == len(hidden) else torch.cat([with_text, hidden[len(with_text) :]])
    return hidden + block.ff(block.norm3(hidden))
