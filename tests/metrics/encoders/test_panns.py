import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError, InputError, WeightsError
from cafa.common.files import sha256_file
from cafa.models.weights import WeightSource
from metrics.encoders.interface import Encoder
from metrics.encoders.panns import Cnn14, PannsEncoder, front_end_tables, published_shapes
from metrics.judges.synthetic_signals import waves
from metrics.parity.weights import deterministic_tensors


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return deterministic_tensors(published_shapes(16000), gain=2.0) | front_end_tables(16000)


@pytest.fixture(scope="module")
def judge(weights: dict[str, torch.Tensor]) -> PannsEncoder:
    return PannsEncoder(Cnn14.from_tensors(weights, 16000), 16000, "0" * 64)


def test_names_and_shapes_are_the_published_ones(golden: Path):
    published = json.loads((golden / "panns_16k_keys.json").read_text())
    assert {name: list(shape) for name, shape in published_shapes(16000).items()} == published
    assert len(published) == 84


def test_it_is_an_encoder(judge: PannsEncoder):
    assert isinstance(judge, Encoder)
    assert (judge.name, judge.sample_rate, judge.frame_rate) == ("panns_cnn14_16k", 16000, None)


def test_embedding_is_after_relu_and_logits_before_sigmoid(judge: PannsEncoder):
    embedding, logits = judge.embed_with_logits(waves(2, 16000, 0.4))
    assert embedding.shape == (2, 2048)
    assert logits.shape == (2, 527)
    assert embedding.min() == 0
    assert 0.2 < (embedding == 0).mean() < 0.8
    assert logits.min() < 0 < logits.max()
    np.testing.assert_array_equal(judge.embed(waves(2, 16000, 0.4)), embedding)


def test_stereo_is_the_mean_of_its_channels(judge: PannsEncoder):
    left, right = waves(2, 16000, 0.4)
    stereo = judge.embed([np.stack([left, right])])
    np.testing.assert_allclose(stereo, judge.embed([(left + right) / 2]), atol=1e-5)
    assert np.abs(stereo - judge.embed([left])).max() > 1e-2


def test_a_clip_does_not_depend_on_its_batch(judge: PannsEncoder):
    sounds = waves(3, 16000, 0.4)
    np.testing.assert_allclose(judge.embed(sounds)[1], judge.embed(sounds[1:2])[0], atol=1e-5)


def test_sound_of_31_hops_is_the_shortest(judge: PannsEncoder):
    assert judge.embed(np.zeros((1, 31 * 160), np.float32)).shape == (1, 2048)
    with pytest.raises(ClipError, match="short: sound has 4959 samples, this judge needs at least 4960"):
        judge.embed(np.zeros((1, 31 * 160 - 1), np.float32))


def test_a_checkpoint_file_gives_the_same_judge(weights: dict[str, torch.Tensor], judge: PannsEncoder, tmp_path: Path):
    path = tmp_path / "Cnn14.pth"
    torch.save({"iteration": 1, "model": weights}, path)
    source = WeightSource("panns_cnn14_16k", "https://example.org", sha256_file(path), "MIT", "metrics")
    loaded = PannsEncoder.from_file(path, source)
    assert loaded.weights_sha256 == source.sha256
    sound = waves(1, 16000, 0.4)
    np.testing.assert_allclose(loaded.embed(sound), judge.embed(sound), atol=1e-6)
    path.unlink()


def test_preparing_removes_dc_before_cutting(judge: PannsEncoder):
    ramp = np.linspace(0, 1, 16000, dtype=np.float32)
    assert judge.prepare(ramp, 16000, 0.5).mean() == pytest.approx(-0.25, abs=1e-3)


def test_other_rates_and_other_weights_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"\[16000, 32000\] Hz, not for 44100"):
        Cnn14(44100)
    tables = {name: torch.zeros(shape) for name, shape in published_shapes(32000).items()}
    with pytest.raises(WeightsError, match="of another shape"):
        Cnn14.from_tensors(tables, 16000)
