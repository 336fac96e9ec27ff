import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError, WeightsError
from cafa.models.weights import WeightSource
from metrics.encoders.interface import Encoder
from metrics.encoders.vggish import LEAST_SAMPLES, Vggish, VggishEncoder, log_mel_pieces, postprocess, published_shapes
from metrics.judges.synthetic_signals import wave
from metrics.parity.weights import deterministic_tensors
from tests.published_forms import save_flat

SIZES = {"channels": (1, 2, 2, 3, 3, 4, 4), "hidden": 8}
SOURCE = WeightSource("vggish", "https://example.org/vggish.pth", None, "", "")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> VggishEncoder:
    path = tmp_path_factory.mktemp("vggish") / "vggish.pth"
    save_flat(path, deterministic_tensors(published_shapes(**SIZES), 2.0))
    return VggishEncoder.from_file(path, SOURCE, unverified=True, **SIZES)


def test_published_names_and_sizes():
    shapes = published_shapes()
    assert len(shapes) == 18
    assert shapes["features.13.weight"] == (512, 512, 3, 3)
    assert (shapes["embeddings.0.weight"], shapes["embeddings.4.bias"]) == ((4096, 12288), (128,))


def test_a_row_for_every_whole_piece(judge: VggishEncoder):
    assert isinstance(judge, Encoder)
    ready = [judge.prepare(wave(index, 48000, 4.0), 48000, 4.0) for index in range(2)]
    found = judge.embed(ready)
    assert (found.shape, found.dtype) == ((2, 4, 128), np.float32)
    assert np.abs(judge.embed(ready[1:])[0] - found[1]).max() < 1e-5
    # pieces are 0.96 s apart, so the second is the first of sound that begins there
    assert np.abs(judge.embed([ready[0][15360:]])[0, 0] - found[0, 1]).max() < 1e-5


def test_the_shortest_sound(judge: VggishEncoder):
    assert judge.embed([wave(0, 16000, 1.0)[:LEAST_SAMPLES]]).shape == (1, 1, 128)
    with pytest.raises(ClipError, match=f"this judge needs at least {LEAST_SAMPLES}"):
        judge.embed([wave(0, 16000, 1.0)[: LEAST_SAMPLES - 1]])


def test_log_mel_of_silence_is_its_floor():
    mel = log_mel_pieces(torch.zeros(1, 16000))
    assert mel.shape == (1, 1, 96, 64)
    assert torch.allclose(mel, torch.tensor(0.01).log())


def test_last_relu_is_a_choice(judge: VggishEncoder):
    sound = [wave(0, 16000, 2.0)]
    without = judge.embed(sound)
    tensors = deterministic_tensors(published_shapes(**SIZES), 2.0)
    with_relu = VggishEncoder(Vggish.from_tensors(tensors, last_relu=True, **SIZES), "").embed(sound)
    assert without.min() < 0
    assert np.array_equal(with_relu, without.clip(min=0))


def test_postprocessing_centres_turns_cuts_and_counts_steps():
    vectors = np.eye(3)[[1, 0, 2]]
    found = postprocess(np.asarray([[1.0, 3.0, -9.0], [1.0, 1.0, 2.0]]), vectors, np.asarray([[1.0], [1.0], [0.0]]))
    # 0 lies between steps 127 and 128: numpy and torch round a half to the even one
    assert found.tolist() == [[255.0, 128.0, 0.0], [128.0, 128.0, 255.0]]


def test_files_of_other_networks_are_refused():
    tensors = deterministic_tensors(published_shapes(**SIZES), 2.0)
    with pytest.raises(WeightsError, match="of another shape"):
        Vggish.from_tensors(tensors)
