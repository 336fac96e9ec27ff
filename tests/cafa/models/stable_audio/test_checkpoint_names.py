import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import load_file, save_file
from torch import Tensor

from cafa.common.errors import WeightsError
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.checkpoint_names import (
    PublishedWeights,
    copy_published,
    entries_of,
    from_published,
    rotary_frequencies,
    to_published,
)
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings

SMALL = StableAudioSettings(
    latent_channels=4, latents=24, blocks=2, heads=2, head_dim=64, key_value_heads=1, text_dim=64
)


def small_autoencoder() -> AutoencoderOobleck:
    return AutoencoderOobleck(
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
        decoder_channels=8,
        decoder_input_channels=4,
    )


@pytest.fixture
def published() -> dict[str, Tensor]:
    """A whole checkpoint with random values under the published names."""
    torch.manual_seed(0)
    parts = PublishedWeights(
        backbone=StableAudioBackbone(SMALL).state_dict(),
        adapter=Adapter(SMALL, AdapterSettings()).state_dict(),
        autoencoder=small_autoencoder().state_dict(),
    )
    return {name: torch.randn(value.shape) for name, value in to_published(parts).items()} | {
        "model.model.transformer.rotary_pos_emb.inv_freq": rotary_frequencies(32),
        "model.model.controlnet.rotary_pos_emb.inv_freq": rotary_frequencies(32).nextafter(torch.tensor(9.0)),
    }


def published_keys(folder: Path, stem: str) -> dict[str, list[int]]:
    about = json.loads((folder / f"{stem}.json").read_text())
    return {about["key_prefix"] + name: shape for name, shape in about["keys"].items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one)


def test_round_trip_from_the_published_layout_is_bit_exact(published: dict[str, Tensor], tmp_path: Path):
    weights = from_published(published)
    assert_same(to_published(weights), published)
    StableAudioBackbone(SMALL).load_state_dict(weights.backbone, strict=True)
    Adapter(SMALL, AdapterSettings()).load_state_dict(weights.adapter, strict=True)
    small_autoencoder().load_state_dict(weights.autoencoder, strict=True)
    save_file(weights.adapter, tmp_path / "adapter.safetensors")  # refuses tensors that share memory
    assert_same(load_file(tmp_path / "adapter.safetensors"), weights.adapter)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_round_trip_keeps_half_precision(published: dict[str, Tensor], dtype: torch.dtype):
    halved = {name: value.to(dtype) for name, value in published.items() if not name.endswith("inv_freq")}
    weights = from_published(halved)
    back = to_published(weights)
    assert_same({name: value for name, value in back.items() if not name.endswith("inv_freq")}, halved)


def test_round_trip_from_our_layout_is_bit_exact():
    torch.manual_seed(1)
    ours = PublishedWeights(adapter=Adapter(SMALL, AdapterSettings()).state_dict())
    again = from_published(to_published(ours))
    assert_same(again.adapter, ours.adapter)
    assert again.backbone == again.autoencoder == {}


@pytest.mark.parametrize("stem", ["full_dit", "full_vae"])
def test_every_name_and_shape_of_the_full_size_is_known(golden_generator: Path, stem: str):
    shapes = published_keys(golden_generator, stem)
    on_paper = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    parts = entries_of(shapes)
    entries = [entry for part in parts.values() for entry in part]
    assert {entry.official for entry in entries} == {n for n in shapes if not n.endswith("inv_freq")}
    ours = {name: v for entry in entries for name, v in entry.split(on_paper[entry.official]).items()}
    with torch.device("meta"):
        backbone, adapter = (
            StableAudioBackbone(StableAudioSettings()),
            Adapter(StableAudioSettings(), AdapterSettings()),
        )
        autoencoder = AutoencoderOobleck()
    if stem == "full_vae":
        wanted = autoencoder.state_dict()
    else:
        wanted = {n: v for n, v in backbone.state_dict().items() if n.startswith("dit.")} | adapter.state_dict()
        biases_of_norms = 2 * 24 * 3 * 1536  # published as buffers, not parameters
        assert sum(v.numel() for v in wanted.values()) == 2_164_472_448 + biases_of_norms
    assert {name: v.shape for name, v in ours.items()} == {name: v.shape for name, v in wanted.items()}


def test_prefix_of_a_training_checkpoint_is_removed(published: dict[str, Tensor]):
    wrapped = {f"diffusion.{name}": value for name, value in published.items()}
    assert_same(to_published(from_published(wrapped)), published)


def test_a_fused_projection_is_split_in_the_order_query_key_value(published: dict[str, Tensor]):
    fused = published["model.model.controlnet.layers.1.self_attn.to_qkv.weight"]
    weights = from_published(published).adapter
    for number, letter in enumerate("qkv"):
        rows = fused[128 * number : 128 * (number + 1)]
        assert torch.equal(weights[f"blocks.1.attn1.to_{letter}.weight"], rows)


def test_incomplete_and_foreign_checkpoints_are_refused(published: dict[str, Tensor]):
    lacking = {name: value for name, value in published.items() if not name.endswith("zero_convs.1.weight")}
    with pytest.raises(WeightsError, match=r"1 names are missing \(model.model.controlnet.zero_convs.1.weight\)"):
        from_published(lacking)
    with pytest.raises(WeightsError, match=r"1 are not known \(model.model.surprise\)"):
        from_published(published | {"model.model.surprise": torch.zeros(1)})
    wrong = rotary_frequencies(32) * 2
    with pytest.raises(WeightsError, match="rotary frequencies with base 10000"):
        from_published(published | {"model.model.controlnet.rotary_pos_emb.inv_freq": wrong})
    clip = Adapter(SMALL, AdapterSettings(clip_dim=768)).state_dict()
    with pytest.raises(WeightsError, match="adapter has no published layout: 3 names differ"):
        to_published(PublishedWeights(adapter=clip))


def test_copying_one_tensor_at_a_time_gives_the_same_network(published: dict[str, Tensor]):
    network = Adapter(SMALL, AdapterSettings())
    entries = entries_of(published)["adapter"]
    copy_published(network.state_dict(), entries, lambda name, shape: published[name])
    assert_same(dict(network.state_dict()), from_published(published).adapter)
    with pytest.raises(WeightsError, match="has shape"):
        copy_published(network.state_dict(), entries, lambda name, shape: published[name][..., :1])
    with pytest.raises(WeightsError, match="names of the network"):
        copy_published(network.state_dict(), entries[1:], lambda name, shape: published[name])
