"""Worker processes: all items come back, whatever becomes of the workers."""

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from cafa.common.errors import CafaError, ClipError
from cafa.common.prefetch import read_ahead
from cafa.common.workers import MOST_LOST, map_in_processes


def work(item: str) -> object:
    if item == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "hangs":
        time.sleep(60)
    if item == "refused":
        raise ClipError("corrupt", "as found")
    if item == "fault":
        raise ZeroDivisionError("ours")
    return {"name": item, "array": np.full((1000, 300), len(item), np.int16)}


def test_items_come_back_and_a_lost_worker_costs_only_its_item() -> None:
    items = ["a", "dies", "bb", "refused", "hangs", "ccc", "dddd", "dies"]
    found = list(map_in_processes(work, items, workers=2, seconds=1))
    assert sorted(item for item, _ in found) == sorted(items)
    results = dict(found)
    for item in ("a", "bb", "ccc", "dddd"):
        assert results[item]["name"] == item
        assert np.array_equal(results[item]["array"], np.full((1000, 300), len(item), np.int16))
    assert str(results["refused"]) == "corrupt: as found"
    assert str(results["dies"]) == "unreadable: the process that read it died (exit code -11)"
    assert str(results["hangs"]) == "unreadable: not done after 1 s: the process that read it was ended"


def test_without_workers_it_is_the_same_here() -> None:
    found = dict(map_in_processes(work, ["a", "refused"], workers=0, seconds=1))
    assert found["a"]["name"] == "a"
    assert str(found["refused"]) == "corrupt: as found"
    assert list(map_in_processes(work, [], workers=2, seconds=1)) == []


def test_faults_of_ours_stop_the_job() -> None:
    with pytest.raises(CafaError, match="ZeroDivisionError: ours"):
        list(map_in_processes(work, ["a", "fault"], workers=1, seconds=5))
    with pytest.raises(CafaError, match=f"{MOST_LOST} worker processes died one after the other"):
        list(map_in_processes(work, ["dies"] * 100, workers=2, seconds=5))


def test_items_are_taken_only_as_workers_become_free() -> None:
    taken = 0

    def items() -> Iterator[str]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield "a"

    found = map_in_processes(work, items(), workers=2, seconds=5)
    for _ in range(5):
        next(found)
    time.sleep(0.3)
    assert taken <= 5 + 2 + 1
    found.close()


def test_reading_ahead_is_bounded_and_passes_errors_on() -> None:
    taken: list[int] = []
    closed: list[bool] = []

    def numbers() -> Iterator[int]:
        try:
            for number in range(100):
                taken.append(number)
                yield number
                if number == 50:
                    raise ValueError("at 50")
        finally:
            closed.append(True)

    ahead = read_ahead(numbers(), 4)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.3)
    assert len(taken) <= 3 + 4 + 2
    ahead.close()
    assert closed == [True]
    with pytest.raises(ValueError, match="at 50"):
        list(read_ahead(numbers(), 4))
    assert list(read_ahead((n for n in range(10)), 2)) == list(range(10))
