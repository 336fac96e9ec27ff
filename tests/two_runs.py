"""Another process that writes to a place, and two processes that are started at once."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HOLD = """
import sys
from cafa.common.folder_lock import {name}
with {name}({argument}):
    print("mine", flush=True)
    sys.stdin.read()
"""
CLI = "from cafa.cli import main; main()"


@contextmanager
def another_writer(folder: Path | None = None, file: Path | None = None) -> Iterator[int]:
    """A process, whose number is given, that holds a folder or a file while the block runs."""
    name, argument = ("only_writer_in", "sys.argv[1]") if folder else ("only_writer_of", "[sys.argv[1]]")
    command = [sys.executable, "-c", HOLD.format(name=name, argument=argument), str(folder or file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        try:
            yield process.pid
        finally:
            process.communicate()


def run_at_once(*commands: Sequence[object]) -> list[tuple[int, str]]:
    """Start `cafa` with each of the arguments at the same time; exit code and messages of each."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CLI, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    return [(run.communicate(timeout=300)[0], run.returncode)[::-1] for run in runs]
