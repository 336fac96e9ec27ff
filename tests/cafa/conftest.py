"""Tiny models of the generator."""

from pathlib import Path

import pytest
import torch

from cafa.models.adapter_parts import AdapterSettings
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioConditioning, StableAudioSettings
from tests.tiny_pretrained import (
    make_published_adapter,
    make_stable_audio_open,
    make_stable_audio_original,
    make_text_encoder,
)


@pytest.fixture(scope="session")
def tiny_settings() -> StableAudioSettings:
    return StableAudioSettings(
        latent_channels=4, latents=24, blocks=2, heads=2, head_dim=32, key_value_heads=1, text_dim=32, time_dim=16
    )


@pytest.fixture(scope="session")
def tiny_backbone(tiny_settings: StableAudioSettings) -> StableAudioBackbone:
    torch.manual_seed(1)
    return StableAudioBackbone(tiny_settings).requires_grad_(False).eval()


@pytest.fixture
def new_adapter(tiny_settings: StableAudioSettings, tiny_backbone: StableAudioBackbone) -> Adapter:
    """As training starts: a copy of the backbone behind projections that are zero."""
    torch.manual_seed(2)
    adapter = Adapter(tiny_settings, AdapterSettings(feature_dim=6, hint_dim=10))
    adapter.copy_backbone(tiny_backbone)
    return adapter.eval()


@pytest.fixture
def trained_adapter(new_adapter: Adapter) -> Adapter:
    """With projections that are no longer zero."""
    for name, weight in new_adapter.named_parameters():
        if "project" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return new_adapter.requires_grad_(False)


@pytest.fixture
def told(tiny_backbone: StableAudioBackbone) -> StableAudioConditioning:
    """StableAudioConditioning of 7 items."""
    text = torch.randn(7, 5, 32, generator=torch.Generator().manual_seed(3))
    return tiny_backbone.condition(text, torch.zeros(7), torch.linspace(1, 10, 7))


@pytest.fixture
def features() -> torch.Tensor:
    """Video features of 7 items."""
    return torch.randn(7, 16, 6, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def latents() -> torch.Tensor:
    """Noisy latents of 7 items."""
    return torch.randn(7, 4, 24, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="session")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same tiny model in diffusers' layout, in the original one, and its text encoder."""
    root = tmp_path_factory.mktemp("stable_audio_open")
    make_text_encoder(root / "t5", root / "t5")
    return {
        "diffusers": make_stable_audio_open(root / "diffusers"),
        "original": make_stable_audio_original(root / "original"),
        "t5": root / "t5",
        "adapter": make_published_adapter(root / "CAFA_avclip.safetensors"),
    }
