"""Denoiser of a folder in diffusers' layout: ``transformer/`` and ``projection_model/``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cafa.common.errors import WeightsError
from cafa.common.files import read_json
from cafa.models.checkpoint_reader import read_tensors
from cafa.models.stable_audio.blocks import StableAudioSettings
from cafa.models.stable_audio.denoiser import StableAudioBackbone
from cafa.models.weights import load_strict

WEIGHTS = "diffusion_pytorch_model.safetensors"
#: our name of a size: that of ``transformer/config.json``; one that is not there has its published value
SIZES = {
    "latent_channels": "in_channels",
    "latents": "sample_size",
    "blocks": "num_layers",
    "heads": "num_attention_heads",
    "head_dim": "attention_head_dim",
    "key_value_heads": "num_key_value_attention_heads",
    "text_dim": "cross_attention_dim",
    "time_dim": "time_proj_dim",
}


def denoiser_settings(transformer: Path, projection: Path) -> StableAudioSettings:
    """Sizes of a denoiser from its two files ``config.json``.

    Raises
    ------
    WeightsError
        If it is built otherwise than Stable Audio Open.
    """
    config, timing = read_json(transformer), read_json(projection)
    sizes = {ours: config[theirs] for ours, theirs in SIZES.items() if theirs in config}
    settings = StableAudioSettings(**sizes, maximum_seconds=timing["max_value"])
    _require(transformer, config, _same_widths(settings))
    _require(projection, timing, dict.fromkeys(("text_encoder_dim", "conditioning_dim"), settings.text_dim))
    _require(projection, timing, {"min_value": 0})
    return settings


def _same_widths(settings: StableAudioSettings) -> dict[str, int]:
    return {
        "out_channels": settings.latent_channels,
        "cross_attention_input_dim": settings.text_dim,
        "global_states_input_dim": 2 * settings.text_dim,
    }


def _require(file: Path, config: Mapping[str, Any], wanted: Mapping[str, float]) -> None:
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise WeightsError(f"{file}: {key} is {config[key]}; Stable Audio Open of these sizes has {value}")


def load_denoiser(transformer: Path, projection: Path) -> StableAudioBackbone:
    """The denoiser of two files ``config.json`` and the weights beside each, float32, on the CPU.

    Raises
    ------
    WeightsError
        If it is built otherwise than Stable Audio Open, or a file does not hold what its configuration says.
    """
    with torch.device("meta"):
        denoiser = StableAudioBackbone(denoiser_settings(transformer, projection))
    for part, config in ((denoiser.dit, transformer), (denoiser.projection, projection)):
        file = config.with_name(WEIGHTS)
        load_strict(part, read_tensors(file), file=file)
    return denoiser
