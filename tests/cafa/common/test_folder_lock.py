"""Two runs that write to one place: real processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cafa.common.errors import FolderInUseError
from cafa.common.folder_lock import NAME, only_writer_in, only_writer_of

HOLD = """
import sys, time
from cafa.common.errors import FolderInUseError
from cafa.common.folder_lock import only_writer_in
try:
    with only_writer_in(sys.argv[1]):
        print("mine", flush=True)
        time.sleep(float(sys.argv[2]))
except FolderInUseError as error:
    print(error, flush=True)
"""


def start(folder: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_several_processes_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    runs = [start(folder, 3) for _ in range(4)]
    answers = [run.communicate(timeout=60)[0].strip() for run in runs]
    assert answers.count("mine") == 1
    holder = runs[answers.index("mine")].pid
    refused = [answer for answer in answers if answer != "mine"]
    assert all(f"another run writes to {folder}: process {holder} on " in answer for answer in refused)
    assert all(" since 20" in answer and str(folder) in answer for answer in refused)
    assert list(folder.iterdir()) == []


def test_a_killed_run_leaves_nothing_to_unlock(tmp_path: Path) -> None:
    run = start(tmp_path, 60)
    assert run.stdout is not None
    assert run.stdout.readline() == "mine\n"
    with pytest.raises(FolderInUseError, match=f"process {run.pid} on "), only_writer_in(tmp_path):
        pass
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert (tmp_path / NAME).exists()
    begun = time.monotonic()
    with only_writer_in(tmp_path):
        pass
    assert time.monotonic() - begun < 1
    assert not (tmp_path / NAME).exists()


def test_a_function_that_locks_may_call_another(tmp_path: Path) -> None:
    with only_writer_in(tmp_path):
        with only_writer_in(tmp_path / "." / "."):
            pass
        assert start(tmp_path, 0).communicate(timeout=60)[0].startswith("another run writes to")


def test_files_are_locked_one_by_one(tmp_path: Path) -> None:
    with only_writer_of([tmp_path / "a.arrow", tmp_path / "b.arrow"]):
        assert sorted(path.name for path in tmp_path.iterdir()) == [f".a.arrow{NAME}", f".b.arrow{NAME}"]
    assert list(tmp_path.iterdir()) == []
