"""Audiobox-Aesthetics' network: WavLM (base) and a small head for each of four axes.

Each axis takes its own mean of WavLM's thirteen layers (weights by softmax), the mean of that over time, and its norm
to 1, before a few linear layers. The networks predict normalised values; `axes` of the settings say the mean and
standard deviation of each axis. Source: Tjandra et al., "Meta Audiobox Aesthetics" (2025).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import WeightsError
from cafa.common.files import read_json
from cafa.models.weights import load_strict
from metrics.encoders.audiobox.checkpoint import to_transformers

if TYPE_CHECKING:
    from transformers import WavLMConfig

#: Content enjoyment, content usefulness, production complexity, production quality; in the publisher's order.
AXES = ("CE", "CU", "PC", "PQ")


@dataclass(frozen=True)
class Settings:
    """What the publisher's ``config.json`` says, with the defaults of its class.

    Attributes
    ----------
    target_transform
        Axis -> ``mean`` and ``std`` of the ratings.
    proj_num_layer, proj_ln
        Linear layers of a head; whether a LayerNorm follows all but the last.
    nth_layer
        Layers that are averaged: that before the first block, and those after the blocks.
    use_weighted_layer_sum, normalize_embed, output_dim, proj_act_fn
        Only what the published file says is supported.
    """

    target_transform: Mapping[str, Mapping[str, float]]
    proj_num_layer: int = 1
    proj_ln: bool = False
    nth_layer: int = 13
    use_weighted_layer_sum: bool = True
    normalize_embed: bool = True
    output_dim: int = 1
    proj_act_fn: str = "gelu"
    wavlm: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> "Settings":
        """Read ``config.json``; entries that only training uses are left out.

        Raises
        ------
        WeightsError
            If the file is missing, has no means and deviations, or asks for another head than the published one.
        """
        if not path.is_file():
            raise WeightsError(f"settings {path} not found: download config.json of facebook/audiobox-aesthetics")
        content = read_json(path)
        return cls.from_content(content, path)

    @classmethod
    def from_content(cls, content: Mapping[str, Any], path: Path) -> "Settings":
        """As `from_file`, from what the file holds."""
        known = {entry.name for entry in fields(cls)} - {"wavlm"}
        transform = content.get("target_transform")
        if not isinstance(transform, dict) or any({"mean", "std"} - set(transform.get(axis, {})) for axis in AXES):
            raise WeightsError(f"{path}: target_transform must give mean and std of {AXES}, found {transform!r:.200}")
        settings = cls(**{name: value for name, value in content.items() if name in known})
        expected = {"use_weighted_layer_sum": True, "normalize_embed": True, "output_dim": 1, "proj_act_fn": "gelu"}
        other = {name: getattr(settings, name) for name, value in expected.items() if getattr(settings, name) != value}
        if other:
            raise WeightsError(f"{path} asks for another head than the published one: {other}, expected {expected}")
        return settings


def wavlm_config(**sizes: Any) -> "WavLMConfig":
    """WavLM base; ``sizes`` replace single entries (for tests)."""
    from transformers import WavLMConfig

    settings: dict[str, Any] = {"layerdrop": 0.0, "apply_spec_augment": False, **sizes}
    return WavLMConfig(**settings)


def _head(width: int, settings: Settings) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(settings.proj_num_layer - 1):
        layers += [nn.Linear(width, width), *([nn.LayerNorm(width)] if settings.proj_ln else []), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(width, 1))


class Aesthetics(nn.Module):
    """From pieces of sound to four values each.

    Parameters
    ----------
    settings
        Of the publisher.
    """

    def __init__(self, settings: Settings):
        super().__init__()
        from transformers import WavLMModel

        config = wavlm_config(**settings.wavlm)
        if settings.nth_layer != config.num_hidden_layers + 1:
            raise WeightsError(f"nth_layer is {settings.nth_layer}, WavLM gives {config.num_hidden_layers + 1} layers")
        self.wavlm = WavLMModel(config)
        self.proj_layer = nn.ModuleDict({axis: _head(config.hidden_size, settings) for axis in AXES})
        self.layer_weights = nn.ParameterDict({axis: nn.Parameter(torch.zeros(settings.nth_layer)) for axis in AXES})
        self.settings = settings

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], settings: Settings, *, device: torch.device | str = "cpu"
    ) -> "Aesthetics":
        """Build from the published tensors, strictly (see `metrics.encoders.audiobox.checkpoint`)."""
        with torch.device("meta"):
            network = cls(settings)
        load_strict(network, to_transformers(tensors), device=device)
        return network

    def _layers(self, sound: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """All layers ``(layers, pieces, frames, width)``, and which frames are sound ``(pieces, frames)``."""
        features = self.wavlm.feature_extractor(sound).mT
        features = self.wavlm.feature_projection(features)[0]
        # A frame is silence where all the samples of its share of the piece were filled in.
        frames = features.shape[1]
        share = heard.shape[1] // frames
        real = heard[:, : share * frames].unflatten(1, (frames, share)).any(-1)
        encoder = self.wavlm.encoder
        hidden = features.masked_fill(~real[..., None], 0)
        hidden = encoder.layer_norm(hidden + encoder.pos_conv_embed(hidden))
        found, bias = [hidden], None
        with warnings.catch_warnings():
            # transformers hands torch a mask of truth values beside one of numbers
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            for layer in encoder.layers:
                hidden, bias = layer(hidden, attention_mask=real, position_bias=bias)
                found.append(hidden)
        return torch.stack(found), real

    def forward(self, sound: Tensor, heard: Tensor) -> Tensor:
        """Predictions ``(pieces, 4)`` in the order of `AXES`, on the scale of the ratings.

        Parameters
        ----------
        sound
            ``(pieces, samples)``, mono, 16 kHz.
        heard
            Boolean of the same shape: False where silence was filled in.
        """
        layers, real = self._layers(sound, heard)
        weights = real[..., None].to(layers)
        found = []
        for axis in AXES:
            mixed = torch.einsum("lbtc,l->btc", layers, self.layer_weights[axis].softmax(-1))
            mean = (mixed * weights).sum(1) / weights.sum(1).clamp(min=1)
            value = self.proj_layer[axis](functional.normalize(mean, dim=-1))[:, 0]
            scale = self.settings.target_transform[axis]
            found.append(value * scale["std"] + scale["mean"])
        return torch.stack(found, dim=-1)
