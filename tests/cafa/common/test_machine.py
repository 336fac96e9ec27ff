"""The device and the threads that are taken where nobody says which."""

import os

import pytest
import torch

from cafa.common.devices import best_device, machine_threads


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_there_is(cuda: bool, mps: bool, best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == best


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("0", None), ("-1", None), ("many", None), ("", None)])
def test_threads_are_those_asked_for_or_of_the_machine(
    asked: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert machine_threads() == (threads or len(os.sched_getaffinity(0)))
