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
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from cafa.backbones.stable_audio import Conditioning, StableAudioBackbone, StableAudioSettings, TokenStream
from cafa.errors import InputError


class AdapterSettings(BaseModel):
    """Size of an adapter's video input; the defaults are those of the published adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_dim: int = Field(768, gt=0, description="width of a video feature")
    hint_dim: int = Field(1024, gt=0, description="width of a prepared feature")
    dropout: float = Field(0.15, ge=0, lt=1, description="after each LayerNorm of the hint network")


class HintNetwork(nn.Module):
    """Two times Linear, ReLU, LayerNorm, dropout (no biases in the linear layers)."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__()
        self.linear1 = nn.Linear(settings.feature_dim, settings.feature_dim, bias=False)
        self.norm1 = nn.LayerNorm(settings.feature_dim)
        self.linear2 = nn.Linear(settings.feature_dim, settings.hint_dim, bias=False)
        self.norm2 = nn.LayerNorm(settings.hint_dim)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, feature_dim) -> (B, F, hint_dim)."""
        hidden = self.dropout(self.norm1(functional.relu(self.linear1(features))))
        return self.dropout(self.norm2(functional.relu(self.linear2(hidden))))


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """Linear layer without bias whose weights start at zero."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def pad_to(hint: Tensor, length: int) -> Tensor:
    """Pad (B, F, D) with zeros at the end to (B, length, D); refuse a hint that is longer."""
    if hint.shape[1] > length:
        raise InputError(f"{hint.shape[1]} video features do not fit {length} latents: use a longer window")
    return functional.pad(hint, (0, 0, 0, length - hint.shape[1]))


class Adapter(nn.Module):
    """Residuals for every block of a Stable Audio backbone.

    Parameters
    ----------
    backbone : StableAudioSettings
        Size of the backbone it belongs to.
    settings : AdapterSettings
    """

    def __init__(self, backbone: StableAudioSettings, settings: AdapterSettings) -> None:
        super().__init__()
        self.settings = settings
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
        features : Tensor, (B, F, feature_dim)
            Feature j belongs to latent j; F <= T.
        scale : Tensor, (B,), optional
            Multiplies the residuals of each item.
        """
        hint = pad_to(self.hint_projection(self.hint(features)), stream.latents.shape[1])
        hidden = torch.cat([stream.global_token, self.project_in(stream.latents) + hint], dim=1)
        for block, projection in zip(self.blocks, self.zero_projections, strict=True):
            hidden = block(hidden, encoder_hidden_states=stream.context, rotary_embedding=stream.rotary)
            control = projection(hidden)
            yield control if scale is None else control * scale.view(-1, 1, 1)


def adapted_velocity(
    backbone: StableAudioBackbone,
    adapter: Adapter,
    latents: Tensor,
    time: Tensor,
    conditioning: Conditioning,
    features: Tensor,
    scale: Tensor | None = None,
) -> Tensor:
    """Velocity predicted by the backbone with the adapter, (B, C, T)."""
    stream = backbone.tokens(latents, time, conditioning)
    return backbone.run_blocks(stream, adapter.controls(stream, features, scale))
