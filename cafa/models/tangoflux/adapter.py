"""CAFA's adapter on TangoFlux (CAFA-TF): copies of the double and single blocks, one zero projection each.

The paper names this variant without saying where the residuals go. Here, as for Stable Audio: the hint is added to
the embedded latents, every block of the backbone is followed by the residual of its copy, and only the sound stream
is changed. The copies keep a text stream of their own, which starts from the backbone's embedded text.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from cafa.models.block_denoiser import BlockAdapter
from cafa.models.tangoflux.blocks import TangoFluxSettings, TangoFluxStream, run_flux_block
from cafa.models.tangoflux.transformer import DoubleBlock, SingleBlock


class TangoFluxAdapter(BlockAdapter):
    """Residuals for every block of a TangoFlux denoiser; see :class:`cafa.models.block_denoiser.BlockAdapter`."""

    def add_copies(self, backbone: TangoFluxSettings) -> None:
        """The input projection and the blocks."""
        width, heads, head_dim = backbone.width, backbone.heads, backbone.head_dim
        self.project_in = nn.Linear(backbone.latent_channels, width)
        self.double_blocks = nn.ModuleList(DoubleBlock(width, heads, head_dim) for _ in range(backbone.double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(width, heads, head_dim) for _ in range(backbone.single_blocks))

    def copied_blocks(self) -> Sequence[nn.Module]:
        """The double blocks, then the single ones."""
        return [*self.double_blocks, *self.single_blocks]

    def copy_backbone(self, backbone: Any) -> None:
        """Start as a copy of the input projection and the blocks of a denoiser."""
        network = backbone.transformer
        self.project_in.load_state_dict(network.x_embedder.state_dict())
        self.double_blocks.load_state_dict(network.transformer_blocks.state_dict())
        self.single_blocks.load_state_dict(network.single_transformer_blocks.state_dict())

    def wide(self, stream: TangoFluxStream) -> TangoFluxStream:
        """The text passes from block to block as well."""
        return replace(stream, context=stream.context.float())

    def run_block(self, block: nn.Module, hidden: Tensor, stream: TangoFluxStream) -> tuple[Tensor, TangoFluxStream]:
        """See :func:`cafa.models.tangoflux.blocks.run_flux_block`."""
        return run_flux_block(block, hidden, stream, self.gradient_checkpointing)
