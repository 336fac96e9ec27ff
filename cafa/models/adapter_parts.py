"""What the adapters of all backbones are made of: settings, and the network that prepares video features."""

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import InputError

#: kinds of video features that an adapter takes unless its settings name others: AV-CLIP, and CLIP (CAFA-C)
VIDEO_KINDS = ("av_clip", "clip")


def add_to_first(hidden: Tensor, control: Tensor) -> Tensor:
    """Add `control` (N, ...) to the first N items of `hidden` (B, ...)."""
    if len(control) == len(hidden):
        return hidden + control
    return torch.cat([hidden[: len(control)] + control, hidden[len(control) :]])


class AdapterSettings(BaseModel):
    """Size of an adapter's video input; the defaults are those of the published adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_dim: int = Field(768, gt=0, description="width of a feature of the first kind: AV-CLIP")
    clip_dim: int = Field(0, ge=0, description="width of a feature of the second kind, CLIP, that follows; 0 = none")
    hint_dim: int = Field(1024, gt=0, description="width of a prepared feature")
    dropout: float = Field(0.15, ge=0, lt=1, description="after each LayerNorm of the hint network")
    latents: int | None = Field(
        None, gt=0, description="latents of the windows it was trained with; null = the backbone's longest"
    )
    kinds: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=2,
        exclude_if=lambda kinds: kinds is None,  # cards of adapters that take the usual kinds do not say them
        description="kinds of video features that it takes, the second only with clip_dim; null = av_clip, and clip",
    )

    @model_validator(mode="after")
    def _widths_can_be_summed(self) -> "AdapterSettings":
        if self.clip_dim not in (0, self.feature_dim):
            raise ValueError(
                f"features of the second kind, of width {self.clip_dim}, cannot be summed with those of the first, of "
                f"width {self.feature_dim}: use an encoder of that width (CLIP ViT-L/14 and AV-CLIP: 768)"
            )
        if self.kinds is not None and (len(set(self.kinds)) != len(self.kinds) or len(self.kinds) != len(self.widths)):
            raise ValueError(
                f"kinds must name {len(self.widths)} different kinds of video features (clip_dim is {self.clip_dim}), "
                f"got {', '.join(self.kinds)}"
            )
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the features of each kind."""
        return (self.feature_dim, self.clip_dim) if self.clip_dim else (self.feature_dim,)

    @property
    def video_kinds(self) -> tuple[str, ...]:
        """Kinds of video features, in the order in which they lie side by side."""
        return self.kinds or VIDEO_KINDS[: len(self.widths)]


class HintNetwork(nn.Module):
    """Two times Linear, ReLU, LayerNorm, dropout (no biases in the linear layers).

    With CLIP features (CAFA-C; paper, appendix A) a block of the same form prepares them at their own width, and
    its output is summed with that of the first block before the second.
    """

    clip_linear: nn.Linear | None
    clip_norm: nn.LayerNorm | None

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__()
        self.linear1 = nn.Linear(settings.feature_dim, settings.feature_dim, bias=False)
        self.norm1 = nn.LayerNorm(settings.feature_dim)
        self.linear2 = nn.Linear(settings.feature_dim, settings.hint_dim, bias=False)
        self.norm2 = nn.LayerNorm(settings.hint_dim)
        self.dropout = nn.Dropout(settings.dropout)
        self.feature_dim = settings.feature_dim
        if settings.clip_dim:
            self.clip_linear = nn.Linear(settings.clip_dim, settings.clip_dim, bias=False)
            self.clip_norm = nn.LayerNorm(settings.clip_dim)
        else:
            self.clip_linear = self.clip_norm = None

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, feature_dim + clip_dim) -> (B, F, hint_dim)."""
        width = self.feature_dim + (self.clip_linear.in_features if self.clip_linear else 0)
        if features.shape[-1] != width:
            raise InputError(
                f"the adapter takes video features of width {width}, got {features.shape[-1]}: "
                "these features belong to another encoder or variant"
            )
        av_clip, clip = features.split([self.feature_dim, width - self.feature_dim], dim=-1)
        hidden = self.dropout(self.norm1(functional.relu(self.linear1(av_clip))))
        if self.clip_linear is not None and self.clip_norm is not None:
            hidden = hidden + self.dropout(self.clip_norm(functional.relu(self.clip_linear(clip))))
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
