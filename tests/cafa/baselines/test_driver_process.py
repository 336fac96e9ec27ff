"""A driver as a process: one that was ended leaves nothing to the next."""

import sys
import time
from pathlib import Path

import pytest

from cafa.baselines.driver_process import DriverCommand, DriverEnded, DriverHung, DriverProcess

DRIVER = """
import os, time

class Peer:
    def generate(self, rows):
        if rows[0]["prompt"] == "hang":
            time.sleep(60)
        if rows[0]["prompt"] == "end":
            os._exit(3)
        print("on the standard output")
        return [row["folder"] for row in rows]

def open_peer(settings, device):
    return Peer()
"""


@pytest.fixture
def process(tmp_path: Path) -> DriverProcess:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    return DriverProcess(DriverCommand((sys.executable,), driver, tmp_path, {}, seconds_per_clip=3.0))


def row(prompt: str) -> dict[str, str]:
    return {"id": prompt, "prompt": prompt, "folder": "x"}


def test_the_end_of_one_process_is_not_that_of_the_next(process: DriverProcess) -> None:
    assert process.ask([row("a")])["a"]["file"] == "x"
    ended = process._answers
    with pytest.raises(DriverHung):
        process.ask([row("hang")])
    assert process.ask([row("b")])["b"]["file"] == "x"
    assert process._answers is not ended
    until = time.monotonic() + 10
    while ended.empty() and time.monotonic() < until:
        time.sleep(0.01)
    assert ended.get() is None  # its last word came to its own queue
    with pytest.raises(DriverEnded, match="exit code 3"):
        process.ask([row("end")])
    assert process.ask([row("c")])["c"]["file"] == "x"
    process.stop()
