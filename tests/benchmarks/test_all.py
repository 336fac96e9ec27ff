"""Every registered benchmark runs, at a size that takes seconds, and gives itself one thread."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.page import COMPARING
from benchmarks.report import read_report

ROOT = Path(__file__).resolve().parents[2]
#: What a shell may have set; no benchmark listens to it.
MANY = {**os.environ, "OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "7"}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=MANY, capture_output=True, text=True)


@pytest.mark.parametrize("name", COMPARING)
def test_it_runs(name: str, tmp_path: Path) -> None:
    done = run("-m", "benchmarks", name, "--size", "tiny", "--rounds", "1", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path / f"{name}.json")
    assert (report.benchmark, report.size, report.rounds, report.threads) == (name, "tiny", 1, 1)
    for comparison in report.comparisons:
        assert comparison.rows[0].times_faster.median == 1
        assert len(comparison.rows) > 1
        assert all(seconds > 0 for row in comparison.rows for seconds in row.seconds)
        assert f"| {comparison.rows[-1].way} |" in done.stdout


def test_a_benchmark_has_one_thread_whatever_the_shell_says() -> None:
    done = run("-c", "import benchmarks.report, torch; print(torch.get_num_threads())")
    assert done.stdout.split() == ["1"], done.stderr


def test_one_that_fails_is_named_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "frechet.json").mkdir()  # no report can be written here
    done = run("-m", "benchmarks", "frechet", "judges", "--size", "tiny", "--rounds", "1", "--output", str(tmp_path))
    assert done.returncode == 1
    assert "failed: frechet" in done.stderr
    assert (tmp_path / "judges.json").is_file()


def test_a_gpu_is_not_asked_for_what_it_cannot_run() -> None:
    done = run("-m", "benchmarks", "frechet", "--device", "cuda")
    assert done.returncode == 2
    assert "not for a GPU: frechet" in done.stderr
