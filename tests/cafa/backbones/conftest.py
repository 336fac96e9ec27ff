"""Tiny pretrained models on disk."""

from pathlib import Path

import pytest

from tests.tiny_pretrained import (
    make_published_adapter,
    make_stable_audio_open,
    make_stable_audio_original,
    make_text_encoder,
)


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
