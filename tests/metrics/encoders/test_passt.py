from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError, InputError, WeightsError
from cafa.models.weights import WeightSource
from metrics.encoders.interface import Encoder
from metrics.encoders.passt import CLIP_SAMPLES, PasstEncoder, fit_length, log_mel, published_shapes
from metrics.judges.synthetic_signals import wave
from metrics.parity.weights import deterministic_tensors
from tests.published_forms import save_flat

SIZES = {"width": 24, "depth": 1, "heads": 2}
SOURCE = WeightSource("passt", "https://example.org/passt.pt", None, "", "")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("passt") / "passt.pt"
    save_flat(path, deterministic_tensors(published_shapes(**SIZES), 2.0))
    return path


@pytest.fixture(scope="module")
def judge(file: Path) -> PasstEncoder:
    return PasstEncoder.from_file(file, SOURCE, unverified=True, **SIZES)


def test_the_published_form_is_read_and_gives_embedding_and_logits(judge: PasstEncoder):
    assert isinstance(judge, Encoder)
    sounds = [judge.prepare(wave(index, 44100, 2.0), 44100, 2.0) for index in range(2)]
    embedding, logits = judge.embed_with_logits(sounds)
    assert (embedding.shape, logits.shape, embedding.dtype) == ((2, 24), (2, 527), np.float32)
    assert np.array_equal(judge.embed(sounds), embedding)
    assert len(judge.weights_sha256) == 64


def test_a_clip_does_not_depend_on_its_batch(judge: PasstEncoder):
    sounds = [wave(index, 32000, 3.0) for index in range(3)]
    together, alone = judge.embed(sounds), judge.embed(sounds[1:2])
    assert np.abs(together[1] - alone[0]).max() < 1e-5
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_sound_is_filled_up_or_cut_to_ten_seconds(judge: PasstEncoder):
    sound = wave(0, 32000, 12.0)
    assert np.array_equal(judge.embed([sound]), judge.embed([sound[:CLIP_SAMPLES]]))
    short = fit_length(torch.ones(1, 5))
    assert short.shape == (1, CLIP_SAMPLES)
    assert short.sum() == 5


def test_log_mel_of_silence_is_its_floor():
    mel = log_mel(torch.zeros(1, CLIP_SAMPLES))
    assert mel.shape == (1, 128, 1000)
    assert torch.allclose(mel, (torch.tensor(1e-5).log() + 4.5) / 5)


def test_prepare_averages_channels_removes_dc_and_refuses_short_sound(judge: PasstEncoder):
    stereo = np.stack((wave(0, 32000, 1.0) + 0.5, wave(1, 32000, 1.0)))
    ready = judge.prepare(stereo, 32000, None)
    assert np.allclose(ready, stereo.mean(0) - stereo.mean(), atol=1e-6)
    with pytest.raises(ClipError, match="sound has 32000 samples at 32000 Hz, 64000 are scored"):
        judge.prepare(stereo, 32000, 2.0)
    with pytest.raises(InputError, match="no clips"):
        judge.embed([])


def test_other_files_are_refused(tmp_path: Path):
    tensors = deterministic_tensors(published_shapes(**SIZES), 2.0)
    save_flat(tmp_path / "less.pt", {name: value for name, value in tensors.items() if name != "dist_token"})
    with pytest.raises(WeightsError, match=r"1 missing: \['dist_token'\]"):
        PasstEncoder.from_file(tmp_path / "less.pt", SOURCE, unverified=True, **SIZES)
    save_flat(tmp_path / "more.pt", tensors | {"extra.weight": torch.zeros(2)})
    with pytest.raises(WeightsError, match=r"1 unknown: \['extra.weight'\]"):
        PasstEncoder.from_file(tmp_path / "more.pt", SOURCE, unverified=True, **SIZES)
    with pytest.raises(WeightsError, match="no SHA-256 is recorded"):
        PasstEncoder.from_file(tmp_path / "more.pt", SOURCE, **SIZES)
