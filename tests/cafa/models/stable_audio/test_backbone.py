import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import sha256_file
from cafa.diffusion.guidance import adapter_velocity
from cafa.models.interface import Backbone, Denoiser
from cafa.models.releases import STABLE_AUDIO_OPEN, checked_sha256, how_to_get, locate
from cafa.models.stable_audio.backbone import StableAudioOpen
from cafa.models.stable_audio.checkpoint_config import model_sizes
from cafa.models.stable_audio.checkpoint_names import PublishedWeights
from cafa.models.stable_audio.denoiser import StableAudioSettings
from cafa.models.stable_audio.published_adapter import load_published_adapter
from cafa.models.stable_audio.published_files import read_published, write_published


@pytest.fixture(scope="module")
def loaded(layouts: dict[str, Path]) -> dict[str, StableAudioOpen]:
    return {
        "diffusers": StableAudioOpen.load(layouts["diffusers"]),
        "original": StableAudioOpen.load(layouts["original"], text_source=layouts["t5"]),
    }


def test_both_layouts_give_the_same_model(loaded: dict[str, StableAudioOpen]):
    one, other = loaded["diffusers"], loaded["original"]
    assert isinstance(one, Backbone)
    assert isinstance(one.denoiser, Denoiser)
    assert one.denoiser.settings == other.denoiser.settings
    assert (one.sample_rate, one.samples_per_latent, one.latent_channels, one.latents) == (44100, 8, 4, 24)
    x, time = torch.randn(2, 4, 24), torch.tensor([0.2, 0.7])
    outputs: list[tuple[Tensor, ...]] = []
    for backbone in (one, other):
        text = backbone.encode_text(["a dog barks", "music"])
        told = backbone.condition(text, torch.tensor([3.0, 10.0]))
        outputs.append((text, backbone.denoiser(x, time, told), backbone.decode_audio(x)))
    for left, right in zip(*outputs, strict=True):
        assert left.std() > 1e-3
        assert torch.equal(left, right)


def test_the_published_configuration_is_the_default_size():
    sizes = {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8]}
    config = {
        "sample_size": 2097152,
        "sample_rate": 44100,
        "audio_channels": 2,
        "model": {
            "pretransform": {
                "config": {
                    "encoder": {"config": {**sizes, "latent_dim": 128}},
                    "decoder": {"config": {**sizes, "latent_dim": 64, "final_tanh": False}},
                    "downsampling_ratio": 2048,
                }
            },
            "conditioning": {"configs": [{"id": "seconds_total", "type": "number", "config": {"max_val": 512}}]},
            "diffusion": {
                "config": {
                    "io_channels": 64,
                    "embed_dim": 1536,
                    "depth": 24,
                    "num_heads": 24,
                    "cond_token_dim": 768,
                    "global_cond_dim": 1536,
                    "project_cond_tokens": False,
                }
            },
        },
    }
    settings, arguments = model_sizes(config)
    assert settings == StableAudioSettings()
    assert (settings.width, settings.rotary_dim) == (1536, 32)
    assert arguments["decoder_input_channels"] == 64
    other = copy.deepcopy(config)
    other["model"]["diffusion"]["config"]["global_cond_dim"] = 768
    with pytest.raises(InputError, match="global_cond_dim is 768, wanted twice"):
        model_sizes(other)
    del other["model"]["pretransform"]
    with pytest.raises(InputError, match="no entry 'pretransform'"):
        model_sizes(other)


def test_text_states_do_not_depend_on_the_batch_and_are_zero_at_padding(loaded: dict[str, StableAudioOpen]):
    backbone = loaded["diffusers"]
    together = backbone.encode_text(["a dog barks", "music", "a loud dog barks"])
    assert together.shape == (3, 128, 32)
    assert [int((row != 0).any(-1).sum()) for row in together] == [4, 2, 5]
    torch.testing.assert_close(backbone.encode_text(["music"])[0], together[1], rtol=0, atol=1e-6)
    with pytest.warns(UserWarning, match="caption cut to 128 tokens"):
        backbone.encode_text(["dog " * 128])


def test_sound_to_latents_and_back(loaded: dict[str, StableAudioOpen]):
    backbone = loaded["diffusers"]
    sound = torch.rand(2, 2, 61) - 0.5
    mean = backbone.audio.encode(sound)
    assert mean.shape == (2, 4, 8)  # padded to 64 samples
    assert backbone.decode_audio(mean).shape == (2, 2, 64)
    drawn = backbone.audio.encode(sound, seeds=[1, 2])
    torch.testing.assert_close(backbone.audio.encode(sound[1:], seeds=[2])[0], drawn[1], rtol=0, atol=1e-5)
    assert not torch.equal(drawn, mean)
    assert torch.equal(backbone.audio.encode(sound[:, :1]), backbone.audio.encode(sound[:, :1].repeat(1, 2, 1)))
    with pytest.raises(InputError, match="1 or 2, samples"):
        backbone.audio.encode(torch.zeros(1, 3, 8))


def test_published_adapter_is_imported_and_exported(
    loaded: dict[str, StableAudioOpen], layouts: dict[str, Path], tmp_path: Path
):
    backbone = loaded["original"]
    adapter, weights = load_published_adapter(layouts["adapter"], backbone.denoiser.settings)
    told = backbone.condition(backbone.encode_text(["a dog barks"]), torch.tensor([3.0]))
    velocity = adapter_velocity(backbone.denoiser, adapter, told, torch.randn(1, 16, 768), 7, 0.5)
    with torch.inference_mode():
        assert velocity(torch.randn(1, 4, 24), torch.tensor([0.5])).isfinite().all()
    write_published(tmp_path / "again.safetensors", PublishedWeights(adapter=adapter.state_dict()))
    assert sha256_file(tmp_path / "again.safetensors") == sha256_file(layouts["adapter"])
    assert weights.backbone == {}
    with pytest.raises(WeightsError, match="does not fit Adapter"):
        load_published_adapter(layouts["adapter"], StableAudioSettings())
    with pytest.raises(WeightsError, match="holds no adapter"):
        load_published_adapter(layouts["original"] / "model.safetensors", backbone.denoiser.settings)
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        read_published(layouts["original"] / "model_config.json")
    with pytest.raises(WeightsError, match=r"there is no file .*nowhere\.safetensors"):
        read_published(tmp_path / "nowhere.safetensors")


def test_missing_weights_say_what_to_do(layouts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        WeightsError, match=r"not in the local cache.*accept the licence there.*cafa weights get stable_audio_open"
    ):
        StableAudioOpen.load("stabilityai/stable-audio-open-1.0")
    with pytest.raises(WeightsError, match=r"there is no folder \./nowhere"):
        StableAudioOpen.load("./nowhere")
    with pytest.raises(WeightsError, match=r"there is no folder weights/stable-audio-open-1\.0"):
        StableAudioOpen.load("weights/stable-audio-open-1.0", download=True)
    with pytest.raises(WeightsError, match="hub:owner/name is not in the local cache"):
        StableAudioOpen.load("hub:owner/name")
    with pytest.raises(WeightsError, match=r"neither model_index\.json"):
        StableAudioOpen.load(tmp_path)
    shutil.copytree(layouts["diffusers"], tmp_path / "part")
    (tmp_path / "part/vae/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks vae/diffusion_pytorch_model\.safetensors.*cafa weights get"):
        StableAudioOpen.load(tmp_path / "part")
    assert STABLE_AUDIO_OPEN.page in how_to_get(STABLE_AUDIO_OPEN, "x")
    assert locate(tmp_path, STABLE_AUDIO_OPEN) == tmp_path


def test_known_digests_are_checked(loaded: dict[str, StableAudioOpen], layouts: dict[str, Path]):
    found = loaded["original"].identity["files"]["model.safetensors"]
    assert found == sha256_file(layouts["original"] / "model.safetensors")
    assert {"vae/config.json", "text_encoder/model.safetensors", "tokenizer/tokenizer.json"} < set(
        loaded["diffusers"].identity["files"]
    )
    with pytest.raises(WeightsError, match="expected 000"):
        checked_sha256([layouts["original"] / "model.safetensors"], {"model.safetensors": "0" * 64})


def test_a_configuration_of_another_size_is_refused(layouts: dict[str, Path], tmp_path: Path):
    shutil.copytree(layouts["original"], tmp_path / "odd")
    config = json.loads((tmp_path / "odd/model_config.json").read_text())
    config["model"]["diffusion"]["config"]["depth"] = 3
    (tmp_path / "odd/model_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="does not fit StableAudioBackbone"):
        StableAudioOpen.load(tmp_path / "odd", text_source=layouts["t5"])
