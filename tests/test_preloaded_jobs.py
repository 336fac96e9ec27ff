"""A forked job has the folder, environment, files, lock and exit status of the program; it ends with its group."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: stands where a job imports the command line
CAFA = """
import os, signal, sys, time

def main():
    print("in", os.getcwd(), "torch" in sys.modules, *sys.argv[1:], flush=True)
    os.write(9, b"lock ")
    print(os.environ["OF_THE_JOB"], file=sys.stderr)
    if sys.argv[1] == "fail":
        sys.exit(3)
    if sys.argv[1] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "sleep":
        open("begun", "w").close()
        time.sleep(600)
"""
RULES = """
import os, sys
shell.prefix(f"export PATH={os.path.dirname(sys.executable)}:$PATH OF_THE_JOB=this; exec 9>>lock; ")
rule short:
    shell:
        "cafa work 'two words' > said 2> complaints; "
        "cafa fail || echo status $? >> said; cd ..; cafa die || echo status $? >> $OLDPWD/said"
rule long:
    shell:
        "cafa sleep"
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Starts a rule in a folder of its own."""
    (tmp_path / "here/cafa").mkdir(parents=True)
    (tmp_path / "here/cafa/__init__.py").touch()
    (tmp_path / "here/cafa/cli.py").write_text(CAFA)
    (tmp_path / "here/Snakefile").write_text(RULES)

    def started(rule: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded_jobs", "--cores", "1", rule],
            cwd=tmp_path / "here",
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return started


def test_a_job_is_given_all_that_its_program_was_given(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("short")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert (tmp_path / "here/said").read_text() == f"in {tmp_path}/here True work two words\nstatus 3\nstatus 137\n"
    assert f"in {tmp_path}/here True fail" in printed
    assert f"in {tmp_path} True die" in printed
    assert (tmp_path / "here/complaints").read_text() == "this\n"
    assert (tmp_path / "here/lock").read_text() == "lock lock lock "


def test_jobs_are_of_the_process_group_and_end_with_it(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("long")
    until = time.monotonic() + 120
    while not (tmp_path / "here/begun").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 20
    while alive := living(process.pid):
        assert time.monotonic() < until, alive
        time.sleep(0.1)


def living(group: int) -> list[str]:
    """Processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [row[-1] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]
