import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cafa.common.errors import ClipError, WeightsError
from cafa.models.weights import WeightSource
from metrics.encoders.audiobox.checkpoint import to_transformers
from metrics.encoders.audiobox.encoders import AudioboxEncoder
from metrics.encoders.audiobox.network import AXES, Aesthetics, Settings
from metrics.encoders.interface import Encoder
from metrics.judges.synthetic_signals import wave
from metrics.parity.later_cases import SMALL_WAVLM, TRANSFORM, audiobox_network
from metrics.parity.published_names import audiobox_shapes
from metrics.parity.weights import deterministic_tensors

SOURCE = WeightSource("audiobox", "https://example.org/model.safetensors", None, "", "")
SMALL = Settings(TRANSFORM, proj_num_layer=2, proj_ln=True, nth_layer=3, wavlm=SMALL_WAVLM)
#: As huggingface_hub's mixin writes it.
CONFIG = {
    "freeze_encoder": True,
    "normalize_embed": True,
    "nth_layer": 13,
    "output_dim": 1,
    "precision": "32",
    "proj_act_fn": "gelu",
    "proj_dropout": 0,
    "proj_ln": True,
    "proj_num_layer": 5,
    "target_transform": TRANSFORM,
    "use_weighted_layer_sum": True,
}


@pytest.fixture(scope="module")
def judge() -> AudioboxEncoder:
    return AudioboxEncoder(audiobox_network(2.0, SMALL), "0" * 64)


def test_four_ratings_of_each_clip(judge: AudioboxEncoder):
    assert isinstance(judge, Encoder)
    assert AXES == ("CE", "CU", "PC", "PQ")
    ready = [judge.prepare(wave(index, 48000, 2.0), 48000, 2.0) for index in range(3)]
    found = judge.embed(ready)
    assert found.shape == (3, 4)
    assert np.abs(judge.embed(ready[2:])[0] - found[2]).max() < 1e-5


def test_a_clip_of_two_pieces_is_their_mean_by_what_was_heard(judge: AudioboxEncoder):
    sound = wave(0, 16000, 15.0)
    both, first, rest = (judge.embed([part])[0] for part in (sound, sound[:160000], sound[160000:]))
    assert np.allclose(both, (first + 0.5 * rest) / 1.5, atol=1e-5)
    with pytest.raises(ClipError, match="this judge needs at least 400"):
        judge.embed([sound[:399]])


def test_settings_are_those_of_the_publishers_file(tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG))
    settings = Settings.from_file(file)
    assert (settings.proj_num_layer, settings.proj_ln, settings.nth_layer) == (5, True, 13)
    assert settings.target_transform["PQ"] == TRANSFORM["PQ"]
    file.write_text(json.dumps({"target_transform": TRANSFORM}))
    assert Settings.from_file(file).proj_num_layer == 1  # the default of the publisher's class
    for change, message in (
        ({"target_transform": None}, "must give mean and std"),
        ({"target_transform": {"CE": {"mean": 1}}}, "must give mean and std"),
        ({"use_weighted_layer_sum": False}, "asks for another head than the published one: {'use_weighted"),
    ):
        file.write_text(json.dumps(CONFIG | change))
        with pytest.raises(WeightsError, match=message):
            Settings.from_file(file)
    with pytest.raises(WeightsError, match=r"download config\.json of facebook/audiobox-aesthetics"):
        Settings.from_file(tmp_path / "none.json")


def test_names_without_a_place_and_missing_ones_are_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"1 names do not belong to Audiobox-Aesthetics: \['wavlm_model.extra'\]"):
        to_transformers({"wavlm_model.mask_emb": torch.zeros(1), "wavlm_model.extra": torch.zeros(1)})
    with torch.device("meta"):
        shapes = audiobox_shapes(Aesthetics(SMALL))
    tensors = deterministic_tensors(shapes, 2.0)
    del tensors["layer_weights.PQ"]
    with pytest.raises(WeightsError, match=r"1 missing: \['layer_weights.PQ'\]"):
        Aesthetics.from_tensors(tensors, SMALL)
    with pytest.raises(WeightsError, match="nth_layer is 9, WavLM gives 3 layers"):
        Aesthetics(Settings(TRANSFORM, nth_layer=9, wavlm=SMALL_WAVLM))


@pytest.mark.slow
def test_the_published_form_at_its_size(tmp_path: Path):
    settings = Settings(TRANSFORM, proj_num_layer=5, proj_ln=True)
    with torch.device("meta"):
        shapes = audiobox_shapes(Aesthetics(settings))
    save_file(deterministic_tensors(shapes, 2.0), tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    judge = AudioboxEncoder.from_files(
        tmp_path / "model.safetensors", tmp_path / "config.json", SOURCE, unverified=True
    )
    assert judge.embed([wave(0, 16000, 1.0)]).shape == (1, 4)
