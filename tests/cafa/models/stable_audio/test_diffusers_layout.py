import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cafa.common.errors import WeightsError
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.diffusers_layout import WEIGHTS, denoiser_settings, load_denoiser
from tests.diffusers_layout import diffusers_parts

SIZE = StableAudioSettings(
    latent_channels=4, latents=24, blocks=2, heads=2, head_dim=16, key_value_heads=1, text_dim=32, maximum_seconds=50
)


@pytest.fixture
def configurations(tmp_path: Path) -> tuple[Path, Path]:
    """Both parts as diffusers writes them."""
    transformer, timing = diffusers_parts(StableAudioBackbone(SIZE))
    transformer.save_pretrained(tmp_path / "transformer")
    timing.save_pretrained(tmp_path / "projection_model")
    return tmp_path / "transformer/config.json", tmp_path / "projection_model/config.json"


def change(file: Path, **keys: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def test_what_diffusers_writes_is_read_whole(configurations: tuple[Path, Path]) -> None:
    assert denoiser_settings(*configurations) == SIZE
    loaded = load_denoiser(*configurations)
    files = {"dit": configurations[0], "projection": configurations[1]}
    for part, config in files.items():
        stored, held = load_file(config.with_name(WEIGHTS)), getattr(loaded, part).state_dict()
        assert stored.keys() == held.keys()
        assert all(torch.equal(value, held[name]) for name, value in stored.items())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize(
    ("part", "keys", "message"),
    [
        (0, {"out_channels": 8}, "out_channels is 8; Stable Audio Open of these sizes has 4"),
        (0, {"global_states_input_dim": 32}, "global_states_input_dim is 32"),
        (0, {"cross_attention_input_dim": 64}, "cross_attention_input_dim is 64"),
        (1, {"conditioning_dim": 64}, "conditioning_dim is 64"),
        (1, {"min_value": 1}, "min_value is 1; Stable Audio Open of these sizes has 0"),
    ],
)
def test_another_architecture_is_refused(
    configurations: tuple[Path, Path], part: int, keys: dict[str, int], message: str
) -> None:
    change(configurations[part], **keys)
    with pytest.raises(WeightsError, match=message):
        load_denoiser(*configurations)


def test_weights_of_another_size_are_refused_by_name(configurations: tuple[Path, Path]) -> None:
    change(configurations[0], num_layers=3)
    with pytest.raises(WeightsError, match=r"missing.*transformer_blocks\.2"):
        load_denoiser(*configurations)
