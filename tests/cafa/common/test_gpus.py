"""GPUs dealt out to processes; names in CUDA_VISIBLE_DEVICES stand in for devices."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cafa.common.errors import InputError
from cafa.common.gpus import VISIBLE, take_gpus

JOB = """
import sys, time
from pathlib import Path
from cafa.common.gpus import take_gpus
folder, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
taken = take_gpus(count)
for name in taken:
    (folder / name).mkdir()  # fails if another job is on it
print(*taken, flush=True)
time.sleep(seconds)
for name in taken:
    (folder / name).rmdir()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "locks").mkdir()
    (tmp_path / "busy").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "locks"), VISIBLE: "4,5,7"}


def job(tmp_path: Path, environment: dict[str, str], count: int, seconds: float) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", JOB, str(tmp_path / "busy"), str(count), str(seconds)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_no_two_jobs_are_on_one_gpu_and_all_get_theirs(tmp_path: Path, environment: dict[str, str]) -> None:
    counts = [1, 2, 1, 3, 2, 1]
    jobs = [job(tmp_path, environment, count, 0.3) for count in counts]
    answers = [process.communicate(timeout=60) for process in jobs]
    assert [process.returncode for process in jobs] == [0] * len(jobs), answers
    for count, (said, _) in zip(counts, answers, strict=True):
        assert len(said.split()) == count
        assert set(said.split()) <= {"4", "5", "7"}


def test_a_killed_job_frees_its_gpus(tmp_path: Path, environment: dict[str, str]) -> None:
    first = job(tmp_path, environment, 3, 60)
    assert first.stdout is not None
    assert first.stdout.readline().split() == ["4", "5", "7"]
    second = job(tmp_path, environment, 2, 0)
    time.sleep(2)
    assert second.poll() is None  # it waits
    for name in ("4", "5", "7"):
        (tmp_path / "busy" / name).rmdir()
    first.send_signal(signal.SIGKILL)
    said, waited = second.communicate(timeout=30)
    assert said.split() == ["4", "5"]
    assert "waiting for 2 of the GPUs 4, 5, 7" in waited


def test_more_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "0,1")
    with pytest.raises(InputError, match="4 GPUs are needed, and 2 are visible"):
        take_gpus(4)


def test_jobs_of_a_workflow_take_as_many_as_they_have_processes(tmp_path: Path, environment: dict[str, str]) -> None:
    script = (
        "import cafa.cli.options as o, cafa.common.devices, os\n"
        "o.check_device = lambda name: print('GPUS', os.environ['CUDA_VISIBLE_DEVICES']) or exit()\n"
        "import cafa.cli; cafa.cli.main()\n"
    )
    words = [sys.executable, "-c", script, "train", "adapter", "--device", "cuda", "--processes", "2"]
    dealt = subprocess.run(
        words, env={**environment, "CAFA_DEAL_GPUS": "1"}, capture_output=True, text=True, check=False
    )
    assert dealt.stdout == "GPUS 4,5\n", dealt.stderr
    by_hand = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert by_hand.stdout == "GPUS 4,5,7\n"
