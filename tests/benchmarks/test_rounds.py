"""Ways have processes of their own and take turns; what a turn took is what it took."""

import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmarks import rounds
from benchmarks.rounds import Turn, Way, measure


def written(name: str, file: Path, turns: Iterator[Turn]) -> None:
    for turn in turns:
        with file.open("a") as lines:
            lines.write(f"{name}{turn.number} ")
        turn.value = os.getpid()


def ways(file: Path) -> list[Way]:
    return [Way(name, partial(written, name, file)) for name in "abc"]


def busy(seconds: float, turns: Iterator[Turn]) -> None:
    for turn in turns:
        end = time.process_time() + seconds * (10 if turn.warms_up else 1)
        while time.process_time() < end:
            pass


def test_turns_go_forwards_and_backwards_and_the_first_warms_up(tmp_path: Path) -> None:
    taken = measure(ways(tmp_path / "order"), rounds=3)
    assert (tmp_path / "order").read_text() == "a0 b0 c0 a1 b1 c1 c2 b2 a2 a3 b3 c3 "
    assert {name: len(turns) for name, turns in taken.items()} == {"a": 3, "b": 3, "c": 3}
    processes = [{turn.value for turn in turns} for turns in taken.values()]
    assert all(len(each) == 1 for each in processes)
    assert len(set.union(*processes, {os.getpid()})) == 4


def test_on_a_gpu_there_is_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_wait_for_gpu", lambda: None)
    monkeypatch.setattr(rounds, "_gpu_peak_mb", lambda: 12.0)
    taken = measure(ways(tmp_path / "order"), rounds=2, device="cuda")
    assert (tmp_path / "order").read_text() == "a0 a1 b0 b1 c0 c1 c0 c1 b0 b1 a0 a1 "
    assert len({turn.value for turns in taken.values() for turn in turns}) == 6
    assert taken["a"][0].gpu_mb == 12


def test_processor_seconds_are_those_of_the_turn() -> None:
    taken = measure([Way("short", partial(busy, 0.05)), Way("long", partial(busy, 0.2))], rounds=2)
    assert all(0.05 <= turn.processor < 0.15 for turn in taken["short"])  # the first turn had 0.5 s
    assert all(0.2 <= turn.processor < 0.4 for turn in taken["long"])
    assert all(turn.clock >= 0.9 * turn.processor for turns in taken.values() for turn in turns)


def test_processes_that_a_way_starts_are_counted() -> None:
    program = "import time\nwhile time.process_time() < 0.3: pass"

    def start(turns: Iterator[Turn]) -> None:
        for _ in turns:
            subprocess.run([sys.executable, "-c", program], check=True)

    assert measure([Way("started", start)], rounds=1)["started"][0].processor >= 0.3


def test_memory_is_that_of_the_way() -> None:
    freed = [bytes(100_000) for _ in range(5000)]  # an array would find its place among what was freed here
    del freed[:-1]

    def fill(megabytes: int, turns: Iterator[Turn]) -> None:
        for _ in turns:
            with mmap.mmap(-1, megabytes * 1_000_000) as memory:
                memory[:: mmap.PAGESIZE] = bytes(len(memory[:: mmap.PAGESIZE]))

    taken = measure([Way("much", partial(fill, 300)), Way("little", partial(fill, 1))], rounds=1)
    difference = taken["much"][0].memory_mb - taken["little"][0].memory_mb
    assert 250 < difference < 350


def test_a_way_says_what_memory_counts() -> None:
    def tell(turns: Iterator[Turn]) -> None:
        for turn in turns:
            turn.memory_mb = 1.5

    assert measure([Way("told", tell)], rounds=1)["told"][0].memory_mb == 1.5


def fail(turns: Iterator[Turn]) -> None:
    for turn in turns:
        if turn.number == 1:
            raise ValueError("no such clip")


def fall(turns: Iterator[Turn]) -> None:
    for _ in turns:
        os.write(2, b"out of memory")
        os.kill(os.getpid(), signal.SIGKILL)


def stop(turns: Iterator[Turn]) -> None:
    next(turns)


@pytest.mark.parametrize(
    ("run", "said"), [(fail, r"odd failed:(.|\n)*no such clip"), (fall, r"\(-9\)(.|\n)*out of memory"), (stop, "ended")]
)
def test_a_way_that_fails_is_named_and_no_process_is_left(
    run: Callable[[Iterator[Turn]], None], said: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=said):
        measure([*ways(tmp_path / "order"), Way("odd", run)], rounds=2)
    assert time.monotonic() - began < 30
    assert not multiprocessing.active_children()


def test_what_a_way_prints_beside_does_not_show(capfd: pytest.CaptureFixture[str]) -> None:
    def chat(turns: Iterator[Turn]) -> None:
        for _ in turns:
            os.write(2, b"100 %")

    measure([Way("chatty", chat)], rounds=1)
    printed = capfd.readouterr().err
    assert "[chatty]" in printed
    assert "100 %" not in printed
