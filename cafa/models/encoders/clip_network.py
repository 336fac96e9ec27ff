"""CLIP's image tower, by the names that transformers gives its parameters.

Written here because transformers imports torch's compiler and its distributed tensors before it gives any network: more
seconds than many a job works. That outputs are those of transformers' ``CLIPVisionModelWithProjection`` to the last
bit is tested.

Shapes: B pictures, P patches and a token for the picture, W width.
"""

from collections.abc import Mapping
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from cafa.models.encoders.settings_file import PublishedSettings

#: beginnings of the names of what belongs to the tower, in a file of the whole CLIP too
PREFIXES = ("vision_model.", "visual_projection.")
#: 0, 1, 2..., which old files store
COUNTER = "vision_model.embeddings.position_ids"


class ClipVisionSettings(PublishedSettings):
    """Size of the tower, by the names of the published ``config.json``; the defaults are those of its class."""

    network = "CLIP's image tower"
    part = "vision_config"

    hidden_size: int = Field(768, gt=0, description="width W")
    intermediate_size: int = Field(3072, gt=0, description="width inside a feed-forward layer")
    projection_dim: int = Field(512, gt=0, description="width of an embedding")
    num_hidden_layers: int = Field(12, ge=0, description="blocks")
    num_attention_heads: int = Field(12, gt=0, description="heads")
    num_channels: Literal[3] = Field(3, description="colours")
    image_size: int = Field(224, gt=0, description="pixels of a side of a picture")
    patch_size: int = Field(32, gt=0, description="pixels of a side of a patch")
    hidden_act: Literal["quick_gelu"] = Field("quick_gelu", description="between linear layers")
    layer_norm_eps: float = Field(1e-5, gt=0, description="added to a variance")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"hidden_size {self.hidden_size} does not divide into {self.num_attention_heads} heads")
        if self.patch_size > self.image_size:
            raise ValueError(f"a patch of {self.patch_size} pixels is larger than a picture of {self.image_size}")
        return self


class Embeddings(nn.Module):
    """Patches and the picture's token, each with its place."""

    def __init__(self, settings: ClipVisionSettings) -> None:
        super().__init__()
        width, patch = settings.hidden_size, settings.patch_size
        # Values are zero until they are loaded: torch imports its compiler to draw them where tensors have no values.
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(settings.num_channels, width, patch, patch, bias=False)
        places = torch.zeros((settings.image_size // patch) ** 2 + 1, width)
        self.position_embedding = nn.Embedding.from_pretrained(places, freeze=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, P, W) of pictures (B, 3, size, size)."""
        patches = self.patch_embedding(pictures.to(self.patch_embedding.weight.dtype)).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pictures), 1, -1)
        embedded: Tensor = torch.cat([first, patches], dim=1) + self.position_embedding.weight[None]
        return embedded


class Attention(nn.Module):
    """Attention among patches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.head_dim = width // heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, P, W) from (B, P, W)."""
        query, key, value = (
            part(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        taken = scaled_dot_product_attention(query, key, value, scale=self.head_dim**-0.5)
        out: Tensor = self.out_proj(taken.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear layers; between them values times their sigmoid at 1.702 times the value (QuickGELU)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, P, W) from (B, P, W)."""
        inner = self.fc1(hidden)
        out: Tensor = self.fc2(inner * torch.sigmoid(1.702 * inner))
        return out


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm and beside a shortcut."""

    def __init__(self, settings: ClipVisionSettings) -> None:
        super().__init__()
        width = settings.hidden_size
        self.self_attn = Attention(width, settings.num_attention_heads)
        self.layer_norm1 = nn.LayerNorm(width, settings.layer_norm_eps)
        self.mlp = FeedForward(width, settings.intermediate_size)
        self.layer_norm2 = nn.LayerNorm(width, settings.layer_norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, P, W) from (B, P, W)."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))
        out: Tensor = hidden + self.mlp(self.layer_norm2(hidden))
        return out


class Blocks(nn.Module):
    """All blocks."""

    def __init__(self, settings: ClipVisionSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(settings) for _ in range(settings.num_hidden_layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, P, W) from (B, P, W)."""
        for block in self.layers:
            hidden = block(hidden)
        return hidden


class Tower(nn.Module):
    """Pictures to states of the picture's token."""

    def __init__(self, settings: ClipVisionSettings) -> None:
        super().__init__()
        width, epsilon = settings.hidden_size, settings.layer_norm_eps
        self.embeddings = Embeddings(settings)
        self.pre_layrnorm = nn.LayerNorm(width, epsilon)  # spelled as it is published
        self.encoder = Blocks(settings)
        self.post_layernorm = nn.LayerNorm(width, epsilon)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, W) of pictures (B, 3, size, size)."""
        hidden = self.encoder(self.pre_layrnorm(self.embeddings(pictures)))
        state: Tensor = self.post_layernorm(hidden[:, 0, :])
        return state


class ClipVision(nn.Module):
    """The tower and its projection.

    Parameters
    ----------
    settings : ClipVisionSettings
    """

    def __init__(self, settings: ClipVisionSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vision_model = Tower(settings)
        self.visual_projection = nn.Linear(settings.hidden_size, settings.projection_dim, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Embeddings (B, projection_dim) of pictures (B, 3, size, size) whose colours are normalised."""
        embeddings: Tensor = self.visual_projection(self.vision_model(pictures))
        return embeddings


def tower_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a published CLIP that belong to its image tower."""
    return {name: value for name, value in tensors.items() if name.startswith(PREFIXES) and name != COUNTER}
