"""CAFA's adapter on Stable Audio: copies of its blocks; the hint is not added to the global token.

See :mod:`cafa.models.block_denoiser` for the equations.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cafa.models.block_denoiser import BlockAdapter
from cafa.models.stable_audio.blocks import StableAudioSettings, TokenStream, run_block
from cafa.models.stable_audio.transformer import TransformerBlock


class Adapter(BlockAdapter):
    """Residuals for every block of a Stable Audio denoiser; see :class:`cafa.models.block_denoiser.BlockAdapter`."""

    def add_copies(self, backbone: StableAudioSettings) -> None:
        """The input projection and the blocks."""
        self.project_in = nn.Linear(backbone.latent_channels, backbone.width, bias=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                backbone.width, backbone.heads, backbone.head_dim, backbone.key_value_heads, backbone.text_dim
            )
            for _ in range(backbone.blocks)
        )

    def copied_blocks(self) -> Sequence[nn.Module]:
        """The blocks, in order."""
        return list(self.blocks)

    def copy_backbone(self, backbone: Any) -> None:
        """Start as a copy of the input projection and the blocks of a denoiser."""
        self.project_in.load_state_dict(backbone.dit.proj_in.state_dict())
        self.blocks.load_state_dict(backbone.dit.transformer_blocks.state_dict())

    def embed(self, stream: TokenStream, hint: Tensor) -> Tensor:
        """The global token, and the projected latents with the hint, (B, T + 1, D)."""
        return torch.cat([stream.global_token, super().embed(stream, hint)], dim=1)

    def before_block(self, block: TransformerBlock, stream: TokenStream) -> TokenStream:
        """See :meth:`cafa.models.stable_audio.blocks.TokenStream.for_block`."""
        return stream.for_block(block)

    def run_block(self, block: TransformerBlock, hidden: Tensor, stream: TokenStream) -> tuple[Tensor, TokenStream]:
        """See :func:`cafa.models.stable_audio.blocks.run_block`."""
        return run_block(block, hidden, stream, self.gradient_checkpointing)
