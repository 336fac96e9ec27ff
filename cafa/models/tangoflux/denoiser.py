"""The TangoFlux denoiser: diffusers' FluxTransformer2DModel, run so that an adapter can reach its blocks.

Shapes: B batch, C latent channels, T latents, L text states, D width of a text state, W width of the token stream.
A rectified flow: z_t = (1 - t) signal + t noise, and the network predicts noise - signal.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from diffusers import FluxTransformer2DModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioNumberConditioner
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cafa.common.errors import InputError
from cafa.models.adapter_parts import add_to_first


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
    """What the denoiser is told, apart from the video.

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
    """

    context: Tensor
    present: Tensor
    pooled: Tensor
    null: "TangoFluxConditioning | None" = None

    def joined(self, null: "TangoFluxConditioning | None") -> "TangoFluxConditioning":
        """Conditioning of [conditional ; unconditional]; without `null` the latter has the empty caption."""
        null = null or self.null
        if null is None:
            raise InputError("TangoFlux is guided against the empty caption, and this conditioning does not hold it")
        return TangoFluxConditioning(
            torch.cat([self.context, null.context]),
            torch.cat([self.present, null.present]),
            torch.cat([self.pooled, null.pooled]),
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
    block: nn.Module, hidden: Tensor, context: Tensor, stream: TangoFluxStream, recompute: bool = False
) -> tuple[Tensor, Tensor]:
    """Sound (B, T, W) and text (B, L + 1, W) after one double or single block.

    With `recompute`, the block keeps only its input and is run again in the backward pass.
    """
    attention = {} if stream.mask is None else {"attention_mask": stream.mask}
    arguments = (hidden, context, stream.modulation, stream.rotary, attention)
    if recompute and torch.is_grad_enabled():
        context, hidden = checkpoint(block, *arguments, use_reentrant=False)
    else:
        context, hidden = block(*arguments)
    return hidden, context


class TangoFluxDenoiser(nn.Module):
    """Denoiser with its pooling and duration embedder.

    Parameters
    ----------
    settings : TangoFluxSettings

    Attributes
    ----------
    gradient_checkpointing : bool
        Recompute every block in the backward pass; off unless training sets it.
    """

    def __init__(self, settings: TangoFluxSettings) -> None:
        super().__init__()
        self.settings = settings
        self.gradient_checkpointing = False
        self.transformer = FluxTransformer2DModel(
            in_channels=settings.latent_channels,
            num_layers=settings.double_blocks,
            num_single_layers=settings.single_blocks,
            attention_head_dim=settings.head_dim,
            num_attention_heads=settings.heads,
            joint_attention_dim=settings.joint_dim,
            pooled_projection_dim=settings.text_dim,
            guidance_embeds=False,
            axes_dims_rope=settings.rotary_axes,
        )
        self.pool = nn.Sequential(nn.Linear(settings.text_dim, settings.joint_dim), nn.ReLU())
        self.duration = StableAudioNumberConditioner(settings.text_dim, 0, settings.maximum_seconds)

    def condition(
        self, text: Tensor, present: Tensor, seconds: Tensor, pooled_from: Tensor | None = None
    ) -> TangoFluxConditioning:
        """Conditioning of captions.

        Parameters
        ----------
        text : Tensor, (B, L, D)
        present : Tensor of bool, (B, L)
            Tokens that the transformer sees.
        seconds : Tensor, (B,)
        pooled_from : Tensor of bool, (B, L), optional
            Tokens that are averaged; by default those in `present`.
        """
        counted = (present if pooled_from is None else pooled_from).to(text).unsqueeze(-1)
        pooled = self.pool((text * counted).sum(1) / counted.sum(1))
        context = torch.cat([text, self.duration(seconds)], dim=1)
        return TangoFluxConditioning(context, nn.functional.pad(present.bool(), (0, 1), value=True), pooled)

    def tokens(self, latents: Tensor, time: Tensor, conditioning: TangoFluxConditioning) -> TangoFluxStream:
        """Prepare the input of the blocks; `latents` (B, C, T), `time` (B,) in [0, 1]."""
        network, words, sounds = self.transformer, conditioning.context.shape[1], latents.shape[2]
        # Text has position 0 on all three axes; latent i has position i on all three.
        positions = torch.cat([torch.zeros(words), torch.arange(sounds)]).to(latents.device)
        present = nn.functional.pad(conditioning.present, (0, sounds), value=True)
        return TangoFluxStream(
            latents.transpose(1, 2),
            network.context_embedder(conditioning.context),
            network.time_text_embed(time.to(latents.dtype) * 1000, conditioning.pooled),
            network.pos_embed(positions.unsqueeze(1).expand(-1, 3)),
            None if bool(present.all()) else present[:, None, None, :],
        )

    def run_blocks(self, stream: TangoFluxStream, controls: Iterable[Tensor] | None = None) -> Tensor:
        """Run the transformer and return the predicted velocity, (B, C, T).

        Parameters
        ----------
        stream : TangoFluxStream
        controls : iterable of Tensor, (N, T, W), optional
            Control i is added to the sound stream after block i (double blocks, then single ones), for the first N
            items.
        """
        network, context = self.transformer, stream.context
        hidden = network.x_embedder(stream.latents)
        remaining = iter(controls) if controls is not None else None
        for block in (*network.transformer_blocks, *network.single_transformer_blocks):
            hidden, context = run_flux_block(block, hidden, context, stream, self.gradient_checkpointing)
            if remaining is not None:
                hidden = add_to_first(hidden, next(remaining))
        out = network.proj_out(network.norm_out(hidden, stream.modulation))
        return out.transpose(1, 2)

    def forward(self, latents: Tensor, time: Tensor, conditioning: TangoFluxConditioning) -> Tensor:
        """Predicted velocity without a video, (B, C, T)."""
        return self.run_blocks(self.tokens(latents, time, conditioning))
