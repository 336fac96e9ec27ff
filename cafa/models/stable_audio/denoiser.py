"""The Stable Audio denoiser: diffusers' StableAudioDiTModel, run so that an adapter can reach its blocks.

The same class serves the published size (24 blocks of width 1536) and the miniature; only the configuration
differs. Shapes: B batch, C latent channels, T latents, L text states, D width; tokens = T + 1 (one global token).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from diffusers import StableAudioDiTModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from diffusers.models.transformers.stable_audio_transformer import StableAudioDiTBlock
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cafa.models.adapter_parts import add_to_first


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
class Conditioning:
    """What a denoiser is told, apart from the video.

    Parameters
    ----------
    context : Tensor, (N, L + 2, text_dim)
        Text states and the two timing tokens, of the first N <= B items. All zeros = the null text. Items beyond N
        have the null text too: its cross-attention is exactly zero (no biases), so it is not computed for them.
    timing : Tensor, (B, 2 * text_dim)
        Embeddings of start and total seconds; never dropped.
    """

    context: Tensor
    timing: Tensor

    def null_text(self) -> "Conditioning":
        """The same timing with the null text: the whole sequence, timing tokens included, is zero."""
        return Conditioning(torch.zeros_like(self.context), self.timing)

    def joined(self, null: "Conditioning | None") -> "Conditioning":
        """Conditioning of [conditional ; unconditional]; without `null` the latter has the null text."""
        timing = self.timing if null is None else null.timing
        context = self.context if null is None else torch.cat([self.context, null.context])
        return Conditioning(context, torch.cat([self.timing, timing]))


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
    """

    latents: Tensor
    global_token: Tensor
    context: Tensor
    rotary: tuple[Tensor, Tensor]

    def first(self, items: int) -> "TokenStream":
        """The stream of the first `items` items."""
        return TokenStream(self.latents[:items], self.global_token[:items], self.context[:items], self.rotary)


def rotary_table(rotary_dim: int, tokens: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rotary embedding of the first `rotary_dim` channels of a head (half-split form, base 10000)."""
    cos, sin = get_1d_rotary_pos_embed(rotary_dim, tokens, use_real=True, repeat_interleave_real=False)
    return cos.to(device), sin.to(device)


def run_block(block: StableAudioDiTBlock, hidden: Tensor, stream: TokenStream, recompute: bool = False) -> Tensor:
    """Output of one transformer block, (B, T + 1, D).

    The block's own forward pass in parts, so that items without text skip the cross-attention.

    Parameters
    ----------
    block : StableAudioDiTBlock
    hidden : Tensor, (B, T + 1, D)
    stream : TokenStream
    recompute : bool
        Gradient checkpointing: keep only the input and recompute the block in the backward pass.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(run_block, block, hidden, stream, use_reentrant=False)
    hidden = hidden + block.attn1(block.norm1(hidden), rotary_emb=stream.rotary)
    told = hidden[: len(stream.context)]
    if len(told):
        told = told + block.attn2(block.norm2(told), encoder_hidden_states=stream.context)
        hidden = told if len(told) == len(hidden) else torch.cat([told, hidden[len(told) :]])
    return hidden + block.ff(block.norm3(hidden))


class StableAudioBackbone(nn.Module):
    """Denoiser with its timing conditioners.

    Parameters
    ----------
    settings : StableAudioSettings

    Attributes
    ----------
    gradient_checkpointing : bool
        Recompute every block in the backward pass; off unless training sets it.
    """

    def __init__(self, settings: StableAudioSettings) -> None:
        super().__init__()
        self.settings = settings
        self.gradient_checkpointing = False
        self.dit = StableAudioDiTModel(
            sample_size=settings.latents,
            in_channels=settings.latent_channels,
            out_channels=settings.latent_channels,
            num_layers=settings.blocks,
            num_attention_heads=settings.heads,
            attention_head_dim=settings.head_dim,
            num_key_value_attention_heads=settings.key_value_heads,
            cross_attention_dim=settings.text_dim,
            cross_attention_input_dim=settings.text_dim,
            global_states_input_dim=2 * settings.text_dim,
            time_proj_dim=settings.time_dim,
        )
        self.projection = StableAudioProjectionModel(
            settings.text_dim, settings.text_dim, 0.0, settings.maximum_seconds
        )

    def condition(self, text: Tensor, seconds_start: Tensor, seconds_total: Tensor) -> Conditioning:
        """Conditioning from text states and timing.

        Parameters
        ----------
        text : Tensor, (B, L, text_dim)
            States of the text encoder, zero at padded positions (they take part in the attention:
            Stable Audio was trained with the mask discarded).
        seconds_start, seconds_total : Tensor, (B,)
        """
        projected = self.projection(text, seconds_start, seconds_total)
        timing = (projected.seconds_start_hidden_states, projected.seconds_end_hidden_states)
        context = torch.cat([projected.text_hidden_states, *timing], dim=1)
        return Conditioning(context, torch.cat([part.squeeze(1) for part in timing], dim=1))

    def tokens(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> TokenStream:
        """Prepare the input of the blocks; `latents` (B, C, T), `time` (B,) in [0, 1]."""
        dit = self.dit
        timing = dit.global_proj(conditioning.timing.unsqueeze(1))
        when = dit.timestep_proj(dit.time_proj(time.to(latents.dtype))).unsqueeze(1)
        mixed = (dit.preprocess_conv(latents) + latents).transpose(1, 2)
        rotary = rotary_table(self.settings.rotary_dim, mixed.shape[1] + 1, latents.device)
        return TokenStream(mixed, timing + when, dit.cross_attention_proj(conditioning.context), rotary)

    def run_blocks(
        self, stream: TokenStream, controls: Iterable[Tensor] | None = None, offset: Tensor | None = None
    ) -> Tensor:
        """Run the transformer and return the predicted velocity, (B, C, T).

        Parameters
        ----------
        stream : TokenStream
        controls : iterable of Tensor, (N, T + 1, D), optional
            Control i is added to the output of block i (the adapter's residuals), for the first N <= B items.
        offset : Tensor, (B, T, D), optional
            Added to the projected latents before the first block (joint models).
        """
        dit = self.dit
        hidden = dit.proj_in(stream.latents)
        if offset is not None:
            hidden = hidden + offset
        hidden = torch.cat([stream.global_token, hidden], dim=1)
        remaining: Iterator[Tensor] | None = iter(controls) if controls is not None else None
        for block in dit.transformer_blocks:
            hidden = run_block(block, hidden, stream, self.gradient_checkpointing)
            if remaining is not None:
                hidden = add_to_first(hidden, next(remaining))
        out = dit.proj_out(hidden)[:, 1:].transpose(1, 2)
        return dit.postprocess_conv(out) + out

    def forward(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """Predicted velocity without a video, (B, C, T)."""
        return self.run_blocks(self.tokens(latents, time, conditioning))
