"""Size, conditioning, stream and blocks of the TangoFlux denoiser: what it shares with its adapter.

Shapes: B batch, C latent channels, T latents, L text states, D width of a text state, W width of the token stream.
"""

from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cafa.common.errors import InputError


class TangoFluxSettings(BaseModel):
    """Size of the denoiser; the defaults are those of TangoFlux."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latent_channels: int = Field(64, gt=0, description="channels of a latent")
    latents: int = Field(645, gt=0, description="latents of its only window, 30 s")
    double_blocks: int = Field(6, ge=0, description="blocks with separate text and sound streams")
    single_blocks: int = Field(18, ge=0, description="blocks with one stream")
    heads: int = Field(8, gt=0, description="attention heads")
    head_dim: int = Field(128, gt=0, description="width of a head")
    rotary_axes: tuple[int, int, int] = Field((16, 56, 56), description="rotated channels per axis; sum = head_dim")
    text_dim: int = Field(1024, gt=0, description="width of a text state")
    joint_dim: int = Field(1024, gt=0, description="width of the pooled text; must be that of a text state")
    maximum_seconds: float = Field(30.0, gt=0, description="range of the duration embedder")

    @property
    def width(self) -> int:
        """Width W of the token stream."""
        return self.heads * self.head_dim


@dataclass(frozen=True)
class TangoFluxConditioning:
    """What the denoiser is conditioned on, apart from the video.

    Parameters
    ----------
    context : Tensor, (B, L + 1, D)
        Text states and one duration token.
    present : Tensor of bool, (B, L + 1)
        Tokens that exist; the others only fill the batch and are masked, as if they were not there.
    pooled : Tensor, (B, D)
        Pooled text.
    null : TangoFluxConditioning, optional
        Of the empty caption, which is what TangoFlux contrasts with (not zeros).
    complete : bool
        Whether it is known that all tokens exist: then nothing is masked.
    """

    context: Tensor
    present: Tensor
    pooled: Tensor
    null: "TangoFluxConditioning | None" = None
    complete: bool = False

    def null_text(self) -> "TangoFluxConditioning":
        """Conditioning of the empty caption.

        Raises
        ------
        InputError
            If this conditioning does not hold it.
        """
        if self.null is None:
            raise InputError("the null text of TangoFlux is the empty caption, which this conditioning does not hold")
        return self.null

    def joined(self, null: "TangoFluxConditioning | None") -> "TangoFluxConditioning":
        """Conditioning of [conditional ; unconditional]; without `null` the latter has the empty caption."""
        null = null or self.null_text()
        return TangoFluxConditioning(
            torch.cat([self.context, null.context]),
            torch.cat([self.present, null.present]),
            torch.cat([self.pooled, null.pooled]),
            complete=self.complete and null.complete,
        )

    def with_dropped_text(self, keep: Tensor) -> "TangoFluxConditioning":
        """The encoded empty caption for the items whose `keep` (B,) is 0."""
        null, kept = self.null_text(), keep.bool().unsqueeze(-1)
        return TangoFluxConditioning(
            torch.where(kept.unsqueeze(-1), self.context, null.context),
            torch.where(kept, self.present, null.present),
            torch.where(kept, self.pooled, null.pooled),
            complete=self.complete and null.complete,
        )


@dataclass(frozen=True)
class TangoFluxStream:
    """Input of the blocks.

    Parameters
    ----------
    latents : Tensor, (B, T, C)
    context : Tensor, (B, L + 1, W)
        Embedded text.
    modulation : Tensor, (B, W)
        Time and pooled text.
    rotary : tuple of Tensor
        Cosines and sines, (L + 1 + T, head_dim).
    mask : Tensor of bool, (B, 1, 1, L + 1 + T), or None
        Keys that exist; None = all.
    """

    latents: Tensor
    context: Tensor
    modulation: Tensor
    rotary: tuple[Tensor, Tensor]
    mask: Tensor | None

    def first(self, items: int) -> "TangoFluxStream":
        """The stream of the first `items` items."""
        mask = None if self.mask is None else self.mask[:items]
        return TangoFluxStream(self.latents[:items], self.context[:items], self.modulation[:items], self.rotary, mask)


def run_flux_block(
    block: nn.Module, hidden: Tensor, stream: TangoFluxStream, recompute: bool = False
) -> tuple[Tensor, TangoFluxStream]:
    """Sound (B, T, W) after one double or single block, and the stream with the text after it.

    With `recompute`, the block holds only its input and is run again in the backward pass.
    """
    arguments = (hidden, stream.context, stream.modulation, stream.rotary, stream.mask)
    if recompute and torch.is_grad_enabled():
        context, hidden = checkpoint(block, *arguments, use_reentrant=False)
    else:
        context, hidden = block(*arguments)
    return hidden, replace(stream, context=context)
