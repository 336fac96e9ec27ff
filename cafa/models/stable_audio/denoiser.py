"""The Stable Audio denoiser, run so that an adapter can reach its blocks.

The same class serves the published size (24 blocks of width 1536) and the miniature; only the configuration
differs. Shapes: B batch, C latent channels, T latents, L text states, D width; tokens = T + 1 (one global token).
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from cafa.models.block_denoiser import BlockAdapter, BlockDenoiser
from cafa.models.made_once import MadeOnce
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.blocks import (
    StableAudioConditioning,
    StableAudioSettings,
    TokenStream,
    rotary_table,
    run_block,
)
from cafa.models.stable_audio.timing import TimingProjection
from cafa.models.stable_audio.transformer import Transformer, TransformerBlock


class StableAudioBackbone(BlockDenoiser):
    """Denoiser with its timing conditioners.

    Parameters
    ----------
    settings : StableAudioSettings
    """

    adapter_class: ClassVar[type[BlockAdapter]] = Adapter
    settings: StableAudioSettings

    def __init__(self, settings: StableAudioSettings) -> None:
        super().__init__(settings)
        self.dit = Transformer(
            settings.latent_channels,
            settings.blocks,
            settings.heads,
            settings.head_dim,
            settings.key_value_heads,
            settings.text_dim,
            settings.time_dim,
        )
        self.projection = TimingProjection(settings.text_dim, 0.0, settings.maximum_seconds)

    def condition(self, text: Tensor, seconds_start: Tensor, seconds_total: Tensor) -> StableAudioConditioning:
        """Conditioning from text states and timing.

        Parameters
        ----------
        text : Tensor, (B, L, text_dim)
            States of the text encoder, zero at padded positions (they take part in the attention:
            Stable Audio was trained with the mask discarded).
        seconds_start, seconds_total : Tensor, (B,)
        """
        timing = self.projection(seconds_start, seconds_total)
        context = torch.cat([text, *timing], dim=1)
        return StableAudioConditioning(context, torch.cat([part.squeeze(1) for part in timing], dim=1))

    def of_captions(self, text: Tensor, seconds: Tensor) -> StableAudioConditioning:
        """Conditioning of captions for sounds that last `seconds` (B,), from their beginning; see :meth:`condition`."""
        return self.condition(text, torch.zeros_like(seconds), seconds)

    def tokens(self, latents: Tensor, time: Tensor, conditioning: StableAudioConditioning) -> TokenStream:
        """Prepare the input of the blocks; `latents` (B, C, T), `time` (B,) in [0, 1]."""
        dit, once = self.dit, (conditioning.of_text or MadeOnce()).once
        items, told = len(conditioning.timing), len(conditioning.context)
        timing = once(dit.global_proj, items, lambda: dit.global_proj(conditioning.timing.unsqueeze(1)))
        text = once(dit.cross_attention_proj, told, lambda: dit.cross_attention_proj(conditioning.context))
        when = dit.timestep_proj(dit.time_proj(time.to(latents.dtype))).unsqueeze(1)
        mixed = (dit.preprocess_conv(latents) + latents).transpose(1, 2)
        rotary = rotary_table(self.settings.rotary_dim, mixed.shape[1] + 1, latents.device)
        return TokenStream(mixed, timing + when, text, rotary, conditioning.of_text)

    def transformer_blocks(self) -> Sequence[nn.Module]:
        """The blocks, in order."""
        return list(self.dit.transformer_blocks)

    def embed(self, stream: TokenStream, offset: Tensor | None = None) -> Tensor:
        """The global token and the projected latents, (B, T + 1, D)."""
        hidden = self.dit.proj_in(stream.latents)
        if offset is not None:
            hidden = hidden + offset
        return torch.cat([stream.global_token, hidden], dim=1)

    def before_block(self, block: TransformerBlock, stream: TokenStream) -> TokenStream:
        """See :meth:`cafa.models.stable_audio.blocks.TokenStream.for_block`."""
        return stream.for_block(block)

    def run_block(self, block: TransformerBlock, hidden: Tensor, stream: TokenStream) -> tuple[Tensor, TokenStream]:
        """See :func:`cafa.models.stable_audio.blocks.run_block`."""
        return run_block(block, hidden, stream, self.gradient_checkpointing)

    def output(self, hidden: Tensor, stream: TokenStream) -> Tensor:
        """Velocity (B, C, T)."""
        out = self.dit.proj_out(hidden)[:, 1:].transpose(1, 2)
        return self.dit.postprocess_conv(out) + out
