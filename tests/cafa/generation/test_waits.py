"""Sampling puts no question to the device between its steps, nor waits for it to copy."""

from pathlib import Path

import pytest
import torch

from cafa.diffusion.samplers import SAMPLERS
from cafa.diffusion.schedules import Velocity
from cafa.generation import windows
from cafa.generation.windows import begin_windows
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.interface import SamplingDefaults
from cafa.models.registry import open_backbone
from tests.accelerator import META, Waits, without_autocast
from tests.tiny_pretrained import TEXT_DIM, make_registered

ITEMS, FEATURES = 3, 8


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return make_registered(tmp_path_factory.mktemp("waits"))


@pytest.mark.parametrize("gamma", [None, 0.0, 0.5])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("name", ["backbone", "tangoflux"])
def test_no_step_waits(
    models: Path, monkeypatch: pytest.MonkeyPatch, name: str, sampler: str, gamma: float | None
) -> None:
    without_autocast(monkeypatch)
    backbone = open_backbone(models / name)
    adapter = backbone.denoiser.new_adapter(AdapterSettings(feature_dim=FEATURES, hint_dim=12)).to(META)
    backbone.denoiser.to(META)
    text = torch.zeros(ITEMS, backbone.text_length, TEXT_DIM)
    marks: list[int] = []  # places found before each step

    def marked(velocity: Velocity) -> Velocity:
        def step(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            marks.append(len(waits.found))
            return velocity(x, time)

        return step

    monkeypatch.setattr(windows, "looking", marked)
    video = {} if gamma is None else {"adapter": adapter, "features": torch.zeros(ITEMS, 16, FEATURES)}
    how = SamplingDefaults(sampler, steps=5, asymmetric_scale=gamma or 0.0)
    with Waits() as waits:
        begin_windows(backbone, text, 0.001, range(ITEMS), defaults=how, half=True, **video)
    assert len(marks) == 5
    assert waits.found[marks[1] :] == []
