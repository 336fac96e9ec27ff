"""`.ci/run` ends as what it runs ends: programs in place of the real ones only write down that they were run."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
PROGRAMS = ("make", "ruff", "mypy", "python", "snakefmt", "cafa", "snakemake")

PROGRAM = """#!/usr/bin/env bash
called="$(basename "$0") $*"
echo "$called" >> commands
case "$called" in $ENDLESS) sleep 600 & echo $! > endless.new && mv endless.new endless && wait ;; esac
case "$called" in $FAILING) [ "$ENDLESS" = nothing ] || until [ -f endless ]; do sleep 0.1; done; exit 3 ;; esac
"""


def run_script(folder: Path, failing: str = "nothing", endless: str = "nothing") -> tuple[int, list[str], list[str]]:
    """Exit status, commands that ran, and what was left in the folder of temporary files.

    The command that is to fail waits until the one that does not end has begun.
    """
    binaries, temporary = folder / "main" / ".venv" / "bin", folder / "temporary"
    script = folder / "main" / ".ci" / "run"
    for made in (binaries, temporary, script.parent, folder / "shared" / "clips"):
        made.mkdir(parents=True)
    script.write_bytes(SCRIPT.read_bytes())
    for name in PROGRAMS:
        (binaries / name).write_text(PROGRAM)
        (binaries / name).chmod(0o755)
    environment = {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "FAILING": failing,
        "ENDLESS": endless,
        "HOME": str(folder),
    }
    ended = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, timeout=60)
    print(ended.stdout, ended.stderr)
    commands = (folder / "main" / "commands").read_text().splitlines()
    return ended.returncode, commands, sorted(path.name for path in temporary.iterdir())


def test_passes_when_everything_passes_and_leaves_nothing(tmp_path: Path) -> None:
    """It once ended with status 1 after its last section: its clean-up stopped a process that had ended by itself."""
    status, commands, left = run_script(tmp_path)
    assert (status, left) == (0, [])
    for program in PROGRAMS:
        assert any(command.startswith(program) for command in commands), program


@pytest.mark.parametrize(
    "failing",
    [
        "make .venv/installed-test",
        "make test*",
        "ruff check*",
        "ruff format*",
        "mypy*",
        "snakefmt*",
        "cafa stages check*",
        "snakemake --dry-run*paper_miniature.yaml",
        "python -m tests.lab.full_run*",
        "python tests/workflow/kill_and_resume.py*",
    ],
)
def test_fails_when_one_command_fails(tmp_path: Path, failing: str) -> None:
    status, commands, left = run_script(tmp_path, failing)
    assert status != 0, commands
    assert left == []


@pytest.mark.parametrize("endless", ["mypy*", "python -m tests.lab.full_run*"])
def test_what_runs_beside_the_tests_ends_with_them(tmp_path: Path, endless: str) -> None:
    status, _, left = run_script(tmp_path, "make test*", endless)
    assert (status != 0, left) == (True, [])
    child = (tmp_path / "main" / "endless").read_text().strip()
    state = subprocess.run(["ps", "-o", "stat=", "-p", child], capture_output=True, text=True).stdout.strip()
    assert state == "" or state.startswith("Z")
