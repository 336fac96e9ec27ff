"""Every file of the table of weights, in the form in which it is published, opens, loads and registers."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from torch import Tensor

from cafa.cli import cli
from cafa.common.errors import WeightsError
from cafa.common.files import sha256_file
from cafa.models.converting import convert
from cafa.models.registry import (
    open_adapter,
    open_backbone,
    open_text,
    open_video_encoder,
    parse_pretrained,
    read_card,
    register,
)
from cafa.models.stable_audio.published_adapter import CafaAvClipAdapter
from cafa.models.weights import read_weight_sources
from metrics.encoders.panns import Cnn14, PannsEncoder, front_end_tables
from metrics.parity.weights import deterministic_tensors
from tests.published_forms import add_what_a_repository_holds, publish_clip, publish_t5, save_flat, save_panns
from tests.tiny_pretrained import (
    make_clip,
    make_published_adapter,
    make_registered,
    make_stable_audio_original,
    stable_audio_parts,
)

CAPTIONS = ["a dog barks", "loud music"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("forms")
    make_registered(root)
    return root


def put(output: Path, **settings: Any) -> dict[str, Any]:
    return register(parse_pretrained(json.dumps(settings)), output)


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_hub_repository_of_both_layouts_is_read_as_diffusers(root: Path, tmp_path: Path):
    folder = shutil.copytree(root / "stable_audio_open", tmp_path / "sao")
    make_stable_audio_original(folder)
    add_what_a_repository_holds(folder)
    index = {"_class_name": "StableAudioPipeline", "vae": ["diffusers", "AutoencoderOobleck"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    card = put(tmp_path / "m", kind="stable_audio_open", source=str(folder))
    assert "vae/config.json" in card["files"]
    assert not {"model.safetensors", "model.ckpt"} & card["files"].keys()
    one, other = open_backbone(tmp_path / "m"), open_backbone(root / "models/backbone")
    assert equal(one.denoiser.state_dict(), other.denoiser.state_dict())


@pytest.mark.parametrize("half", [False, True])
def test_the_original_file_is_read_with_what_lies_beside_it(root: Path, tmp_path: Path, half: bool):
    folder = make_stable_audio_original(tmp_path / "sao")
    add_what_a_repository_holds(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value.half() if half else value for name, value in tensors.items()}, folder / "model.safetensors")
    put(tmp_path / "m", kind="stable_audio_open", source=str(folder), text_source=str(root / "t5"))
    found, wanted = open_backbone(tmp_path / "m").denoiser, open_backbone(root / "models/backbone").denoiser
    for name, value in wanted.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value.half().float() if half else value, rtol=0, atol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_the_whole_t5_gives_the_states_of_its_encoder(root: Path, tmp_path: Path, tied: bool):
    shutil.copytree(root / "t5", tmp_path / "t5")
    publish_t5(tmp_path / "t5", tied)
    names = load_file(tmp_path / "t5/model.safetensors").keys()
    assert ("lm_head.weight" in names) != tied
    assert "decoder.final_layer_norm.weight" in names
    assert "encoder.embed_tokens.weight" not in names
    original = make_stable_audio_original(tmp_path / "sao")
    put(tmp_path / "m", kind="stable_audio_open", source=str(original), text_source=str(tmp_path / "t5"))
    found, wanted = open_text(tmp_path / "m"), open_text(root / "models/backbone")
    assert torch.equal(found.encode(CAPTIONS), wanted.encode(CAPTIONS))


def test_tangoflux_brings_its_own_text_encoder_whose_embedding_is_stored_once(root: Path, tmp_path: Path):
    shutil.copytree(root / "t5", tmp_path / "t5")
    publish_t5(tmp_path / "t5", tied=False)
    folder = shutil.copytree(root / "published_tangoflux", tmp_path / "flux")
    add_what_a_repository_holds(folder)
    names = load_file(folder / "tangoflux.safetensors").keys()
    assert "text_encoder.shared.weight" in names
    assert "text_encoder.encoder.embed_tokens.weight" not in names
    put(tmp_path / "m", kind="tangoflux", source=str(folder), text_source=str(tmp_path / "t5"))
    found, wanted = open_backbone(tmp_path / "m"), open_backbone(root / "models/tangoflux")
    assert torch.equal(found.encode_text(CAPTIONS), wanted.encode_text(CAPTIONS))
    t5 = open_text(root / "models/backbone").encode(CAPTIONS)
    assert not torch.equal(found.encode_text(CAPTIONS)[:, : t5.shape[1]], t5[:, :64]), "its own weights count"


def test_the_whole_clip_with_old_position_ids_gives_the_features_of_its_tower(root: Path, tmp_path: Path):
    folder = make_clip(tmp_path / "clip")
    publish_clip(folder, pickled=False)
    assert {"text_projection.weight", "vision_model.embeddings.position_ids"} < load_file(
        folder / "model.safetensors"
    ).keys()
    card = put(tmp_path / "m", kind="clip", source=str(folder))
    assert card["facts"] == read_card(root / "models/clip")["facts"]
    frames = np.random.default_rng(0).integers(0, 255, (50, 28, 28, 3), np.uint8)
    found, wanted = open_video_encoder(tmp_path / "m"), open_video_encoder(root / "models/clip")
    np.testing.assert_array_equal(found.encode([frames]), wanted.encode([frames]))


def test_a_clip_of_pickles_names_the_command_that_makes_safetensors_of_it(root: Path, tmp_path: Path):
    folder = make_clip(tmp_path / "clip")
    publish_clip(folder, pickled=True)
    pickled, wanted = folder / "pytorch_model.bin", folder / "model.safetensors"
    with pytest.raises(WeightsError, match=rf"`cafa models convert {pickled} {wanted}`"):
        put(tmp_path / "m", kind="clip", source=str(folder))
    done = CliRunner().invoke(cli, ["models", "convert", str(pickled), str(wanted)])
    assert done.exit_code == 0, done.output
    card = put(tmp_path / "m", kind="clip", source=str(folder))
    assert card["converted_from"]["model.safetensors"]["file"] == pickled.name
    frames = np.random.default_rng(0).integers(0, 255, (50, 28, 28, 3), np.uint8)
    found, tower = open_video_encoder(tmp_path / "m"), open_video_encoder(root / "models/clip")
    np.testing.assert_array_equal(found.encode([frames]), tower.encode([frames]))


def flat(file: Path, tensors: dict[str, Tensor]) -> None:
    save_flat(file, tensors)


def half(file: Path, tensors: dict[str, Tensor]) -> None:
    save_flat(file, {name: value.half() for name, value in tensors.items()})


@pytest.mark.parametrize("save", [flat, half])
def test_mmaudios_flat_synchformer_is_the_tower(root: Path, tmp_path: Path, save: Callable[..., None]):
    tensors = load_file(root / "synchformer.safetensors")
    save(tmp_path / "synchformer_state_dict.pth", tensors)
    card = put(tmp_path / "m", kind="synchformer", file=str(tmp_path / "synchformer_state_dict.pth"))
    assert card["facts"] == read_card(root / "models/av_clip")["facts"]
    found = open_video_encoder(tmp_path / "m").network.state_dict()
    wanted = open_video_encoder(root / "models/av_clip").network.state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value.half().float() if save is half else value, rtol=0, atol=0)


@pytest.mark.slow
def test_a_full_size_cnn14_in_its_published_form_gives_embeddings(tmp_path: Path):
    """Random weights; layout, entries and size are those of ``Cnn14_16k_mAP=0.438.pth``."""
    with torch.device("meta"):
        named = Cnn14(16000).state_dict()
    shapes = {name.removeprefix("log_mel."): tuple(tensor.shape) for name, tensor in named.items()}
    tensors = deterministic_tensors(shapes) | front_end_tables(16000)
    file = tmp_path / "Cnn14_16k_mAP=0.438.pth"
    save_panns(file, tensors, clips_per_class=7260)
    row = read_weight_sources()["panns_cnn14_16k"]
    assert row.bytes is not None
    assert file.stat().st_size == pytest.approx(row.bytes, rel=0.01)
    own = dataclasses.replace(row, sha256=sha256_file(file), bytes=file.stat().st_size)
    sounds = list(np.random.default_rng(0).normal(0, 0.1, (2, 16000)).astype(np.float32))
    embeddings = PannsEncoder.from_file(file, own).embed(sounds)
    assert embeddings.shape == (2, 2048)
    assert np.isfinite(embeddings).all()
    assert np.abs(embeddings[0] - embeddings[1]).max() > 0
    made = convert(file, tmp_path / "panns_cnn14_16k.safetensors")
    converted = dataclasses.replace(own, sha256=made.sha256, bytes=made.bytes)
    np.testing.assert_array_equal(PannsEncoder.from_file(made.file, converted).embed(sounds), embeddings)


def test_the_published_adapter_with_backbone_and_autoencoder_in_one_file(root: Path, tmp_path: Path):
    tensors = load_file(make_published_adapter(tmp_path / "CAFA_avclip.safetensors", feature_dim=8, with_backbone=True))
    original = load_file(make_stable_audio_original(tmp_path / "sao") / "model.safetensors")
    autoencoder = {name: value for name, value in original.items() if name.startswith("pretransform.")}
    assert len(autoencoder) == len(stable_audio_parts()[1].state_dict())
    save_file(tensors | autoencoder, tmp_path / "CAFA_avclip.safetensors")
    settings = {"kind": "cafa_adapter", "file": str(tmp_path / "CAFA_avclip.safetensors")}
    card = put(tmp_path / "m", **settings, backbone=str(root / "models/backbone"))
    backbone = open_backbone(root / "models/backbone")
    adapter, _ = open_adapter(tmp_path / "m", backbone)
    theirs = read_card(root / "models/adapter_published")
    sha256 = backbone.identity["weights_sha256"]
    assert equal(adapter.state_dict(), CafaAvClipAdapter.load(theirs, backbone.denoiser, sha256).state_dict())
    assert card["backbone_sha256"] == sha256
