"""The adapter: a trainable copy of the backbone's blocks that turns video features into residuals.

CAFA (arXiv 2504.06778), section 4. With z the preprocessed latents, g the global token, f the video features:

    hint   = ZeroFC(prepare(f)), padded with zeros at the end to the length of z
    h_0    = [g ; project_in(z) + hint]            the hint is not added to the global token
    h_i+1  = AdapterBlock_i(h_i, text)             c_i = ZeroFC_i(h_i+1)
    b_i+1  = BackboneBlock_i(b_i, text) + s * c_i  s = 1, or the asymmetric scale in the unconditional half
"""

from collections.abc import Iterator

import torch
from diffusers.models.transformers.stable_audio_transformer import StableAudioDiTBlock
from torch import Tensor, nn

from cafa.models.adapter_parts import AdapterSettings, HintNetwork, pad_to, zero_linear
from cafa.models.stable_audio.denoiser import (
    StableAudioBackbone,
    StableAudioSettings,
    TokenStream,
    run_block,
)


class Adapter(nn.Module):
    """Residuals for every block of a Stable Audio backbone.

    Parameters
    ----------
    backbone : StableAudioSettings
        Size of the backbone it belongs to.
    settings : AdapterSettings

    Attributes
    ----------
    gradient_checkpointing : bool
        Recompute every block in the backward pass; off unless training sets it.
    """

    def __init__(self, backbone: StableAudioSettings, settings: AdapterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.gradient_checkpointing = False
        width = backbone.width
        self.hint = HintNetwork(settings)
        self.hint_projection = zero_linear(settings.hint_dim, width)
        self.project_in = nn.Linear(backbone.latent_channels, width, bias=False)
        self.blocks = nn.ModuleList(
            StableAudioDiTBlock(
                dim=width,
                num_attention_heads=backbone.heads,
                num_key_value_attention_heads=backbone.key_value_heads,
                attention_head_dim=backbone.head_dim,
                cross_attention_dim=backbone.text_dim,
            )
            for _ in range(backbone.blocks)
        )
        self.zero_projections = nn.ModuleList(zero_linear(width, width) for _ in range(backbone.blocks))

    def copy_backbone(self, backbone: StableAudioBackbone) -> None:
        """Start as a copy of the backbone's input projection and blocks."""
        self.project_in.load_state_dict(backbone.dit.proj_in.state_dict())
        self.blocks.load_state_dict(backbone.dit.transformer_blocks.state_dict())

    def controls(self, stream: TokenStream, features: Tensor, scale: Tensor | None = None) -> Iterator[Tensor]:
        """Residuals c_i, one per block, each (B, T + 1, D), made as they are asked for.

        Parameters
        ----------
        stream : TokenStream
            Of the backbone.
        features : Tensor, (N, F, input_dim)
            Feature j belongs to latent j; F <= T. With N < B only the first N items of the stream are controlled,
            and the adapter is not run for the others.
        scale : Tensor, (N,), optional
            Multiplies the residuals of each item.
        """
        stream = stream.first(len(features))
        hint = pad_to(self.hint_projection(self.hint(features)), stream.latents.shape[1])
        hidden = torch.cat([stream.global_token, self.project_in(stream.latents) + hint], dim=1)
        for block, projection in zip(self.blocks, self.zero_projections, strict=True):
            hidden = run_block(block, hidden, stream, self.gradient_checkpointing)
            control = projection(hidden)
            yield control if scale is None else control * scale.view(-1, 1, 1)
