"""Tiny registered models that the tests of one video share."""

from pathlib import Path

import pytest

from tests.cafa.media.conftest import make_clip
from tests.tiny_pretrained import REAL, make_registered, make_trained_adapter

__all__ = ["make_clip", "registered_models"]


@pytest.fixture(scope="package")
def registered_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Backbones, encoders and adapters; nobody writes there."""
    models = make_registered(tmp_path_factory.mktemp("models"), REAL)
    make_trained_adapter(models, "adapter", latents=216)
    make_trained_adapter(models, "adapter_c", kinds=("av_clip", "clip"))
    make_trained_adapter(models, "adapter_tf", "tangoflux")
    return models
