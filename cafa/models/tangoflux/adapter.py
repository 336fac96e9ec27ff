"""CAFA's adapter on TangoFlux (CAFA-TF): copies of the double and single blocks, one zero projection each.

The paper names this variant without saying where the residuals go. Here, as for Stable Audio: the hint is added to
the embedded latents, every block of the backbone is followed by the residual of its copy, and only the sound stream
is changed. The copies keep a text stream of their own, which starts from the backbone's embedded text.
"""

from collections.abc import Iterator

from diffusers.models.transformers.transformer_flux import FluxSingleTransformerBlock, FluxTransformerBlock
from torch import Tensor, nn

from cafa.models.adapter_parts import AdapterSettings, HintNetwork, pad_to, zero_linear
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser, TangoFluxSettings, TangoFluxStream, run_flux_block


class TangoFluxAdapter(nn.Module):
    """Residuals for every block of a TangoFlux backbone.

    Parameters
    ----------
    backbone : TangoFluxSettings
        Size of the backbone it belongs to.
    settings : AdapterSettings

    Attributes
    ----------
    gradient_checkpointing : bool
        Recompute every block in the backward pass; off unless training sets it.
    """

    def __init__(self, backbone: TangoFluxSettings, settings: AdapterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.gradient_checkpointing = False
        width, heads, head_dim = backbone.width, backbone.heads, backbone.head_dim
        self.hint = HintNetwork(settings)
        self.hint_projection = zero_linear(settings.hint_dim, width)
        self.project_in = nn.Linear(backbone.latent_channels, width)
        self.double_blocks = nn.ModuleList(
            FluxTransformerBlock(width, heads, head_dim) for _ in range(backbone.double_blocks)
        )
        self.single_blocks = nn.ModuleList(
            FluxSingleTransformerBlock(width, heads, head_dim) for _ in range(backbone.single_blocks)
        )
        count = backbone.double_blocks + backbone.single_blocks
        self.zero_projections = nn.ModuleList(zero_linear(width, width) for _ in range(count))

    def copy_backbone(self, backbone: TangoFluxDenoiser) -> None:
        """Start as a copy of the backbone's input projection and blocks."""
        network = backbone.transformer
        self.project_in.load_state_dict(network.x_embedder.state_dict())
        self.double_blocks.load_state_dict(network.transformer_blocks.state_dict())
        self.single_blocks.load_state_dict(network.single_transformer_blocks.state_dict())

    def controls(self, stream: TangoFluxStream, features: Tensor, scale: Tensor | None = None) -> Iterator[Tensor]:
        """Residuals, one per block, each (N, T, W), made as they are asked for; see :meth:`Adapter.controls`."""
        stream = stream.first(len(features))
        hint = pad_to(self.hint_projection(self.hint(features)), stream.latents.shape[1])
        hidden, context = self.project_in(stream.latents) + hint, stream.context
        blocks = (*self.double_blocks, *self.single_blocks)
        for block, projection in zip(blocks, self.zero_projections, strict=True):
            hidden, context = run_flux_block(block, hidden, context, stream, self.gradient_checkpointing)
            control: Tensor = projection(hidden)
            yield control if scale is None else control * scale.view(-1, 1, 1)
