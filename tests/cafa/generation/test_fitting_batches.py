"""A batch that memory does not hold is made in parts."""

import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import CafaError
from cafa.generation import pretrained
from cafa.generation.fitting_batches import FittingBatches
from cafa.generation.generate_options import GenerateOptions
from cafa.generation.interface import Request
from cafa.generation.pretrained import PretrainedGenerator
from cafa.generation.systems import parse_system
from tests.tiny_pretrained import make_registered, make_trained_adapter

SAID = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.10 GiB."
SECONDS = 100 / 44100


class Memory:
    """Of a device that holds so many items."""

    def __init__(self, holds: int) -> None:
        self.holds, self.asked = holds, []
        self.left: list[weakref.ref] = []

    def take(self, items: int) -> None:
        assert all(left() is None for left in self.left), "what did not fit is still held"
        self.asked.append(items)
        work = torch.zeros(items)
        self.left.append(weakref.ref(work))
        if items > self.holds:
            raise torch.OutOfMemoryError(SAID)

    def double(self, items: Sequence[int]) -> list[int]:
        self.take(len(items))
        return [2 * item for item in items]


@pytest.mark.parametrize(
    ("holds", "asked"),
    [(9, [9]), (5, [9, 5, 4]), (4, [9, 5, 3, 3, 3]), (2, [9, 5, 3, 2, 2, 2, 2, 1]), (1, [9, 5, 3, 2, *[1] * 9])],
)
def test_parts_are_halved_until_they_fit(holds: int, asked: list[int]):
    memory, batches = Memory(holds), FittingBatches("window")
    with pytest.warns() if holds < 9 else torch.no_grad():
        parts = batches(memory.double, list(range(9)))
    assert [item for part in parts for item in part] == [2 * item for item in range(9)]
    assert memory.asked == asked


def test_what_fits_is_remembered():
    memory, batches = Memory(4), FittingBatches("window")
    with pytest.warns(UserWarning, match="memory does not hold 8 windows at once: from now on 4 are made at once"):
        batches(memory.double, range(8))
    memory.asked.clear()
    batches(memory.double, range(6))
    assert memory.asked == [4, 2]


def test_one_that_does_not_fit_says_what_to_do():
    with pytest.raises(CafaError, match=r"does not hold one window: .*`latents`.* It said: CUDA out of memory\. Tried"):
        FittingBatches("window")(Memory(0).double, [1])


def test_other_faults_are_raised_as_they_are():
    def fails(items: Sequence[int]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        FittingBatches("window")(fails, [1, 2])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = make_registered(tmp_path_factory.mktemp("models"))
    make_trained_adapter(models, "adapter", seconds=SECONDS, latents=16)
    return models


def test_sounds_are_the_same(models: Path, monkeypatch: pytest.MonkeyPatch):
    generator = PretrainedGenerator(parse_system({"kind": "adapter", "sampling": {"steps": 3}}), models)
    rng = np.random.default_rng(0)
    text = [generator.encode_text(caption) for caption in ("a dog barks", "loud music", "a loud dog")]
    requests = [Request(text[n % 3], rng.standard_normal((13, 8)).astype(np.float32), n) for n in range(7)]
    whole = generator.generate(requests)
    memory, begin = Memory(3), pretrained.begin_windows

    def limited(backbone, text, *args, **kwargs):
        memory.take(len(text))
        return begin(backbone, text, *args, **kwargs)

    monkeypatch.setattr(pretrained, "begin_windows", limited)
    with pytest.warns(UserWarning, match="from now on 2 are made at once"):
        parts = generator.generate(requests)
    assert memory.asked == [7, 4, 2, 2, 2, 1]
    assert np.std(whole) > 0.1
    np.testing.assert_allclose(np.stack(parts), np.stack(whole), rtol=0, atol=1e-5)


def test_a_gpu_is_given_several_windows_unless_it_is_said():
    assert GenerateOptions(device="cuda:1").decided().batch_size == 8
    assert GenerateOptions(device="cuda", batch_size=2).decided().batch_size == 2
    assert GenerateOptions().decided().batch_size == 1
