"""Encoders on a device without values (:mod:`tests.accelerator`): all is computed there, and read once at the end."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.models.registry import open_backbone, open_video_encoder
from tests.accelerator import META, Waits, without_autocast
from tests.tiny_pretrained import make_registered


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_registered(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("kind", ["av_clip", "clip"])
def test_features_are_read_once_and_no_pass_waits(models: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    without_autocast(monkeypatch)
    encoder = open_video_encoder(models / kind)
    encoder.network.to(META)
    encoder.device = META
    frames, read = 250 // encoder.every, []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: (read.append(tensor), torch.zeros(tensor.shape))[1])
    with Waits() as waits:
        found = encoder.encode([np.zeros((frames, encoder.size, encoder.size, 3), np.uint8)] * 2)
    assert found.shape == (2, *encoder.shape)
    assert [tensor.device for tensor in read] == [META]
    assert not waits.found


@pytest.mark.parametrize("name", ["backbone", "tangoflux"])
def test_latents_and_sounds_stay_on_the_device(models: Path, name: str):
    audio = open_backbone(models / name).audio.to(META)
    sound = torch.zeros(2, audio.channels, 4 * audio.samples_per_latent)
    latents = audio.encode(sound, seeds=[0, 1])
    assert latents.device == META == audio.decode(latents).device
    assert audio.decode(latents).shape == sound.shape
