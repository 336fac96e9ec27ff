"""Snakemake, started from a process that has imported it already: half of the processor time of other starts.

Every start is a process of its own, forked from one that has imported Snakemake and the packages that it and the rules
use, but nothing of this project: a copy of the project imports its own code. What concerns the start itself (what it
imports, a signal that ends it, the home folder) is tested with the program.
"""

import atexit
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def snakemake(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``snakemake`` to its end.

    Parameters
    ----------
    *arguments : str
        Of the command line.
    cwd : Path
        Where it runs.
    env : Mapping, optional
        Its environment; by default that of this process.

    Returns
    -------
    subprocess.CompletedProcess
        Exit status, output and messages.
    """
    environment = dict(os.environ if env is None else env)
    command = [str(Path(sys.executable).with_name("snakemake")), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("stdout", "stderr")]
        status = _STARTER.start({"command": command, "cwd": str(cwd), "env": environment, "files": files})
        printed, said = (Path(file).read_text() for file in files)
    return subprocess.CompletedProcess(command, status, printed, said)


class _Starter:
    """The process that starts are forked from; another module search path needs another one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._search: str | None = None

    def start(self, request: dict[str, Any]) -> int:
        """Exit status of a start, at its end."""
        search = request["env"].get("PYTHONPATH")
        if self._process is None or search != self._search:
            self.end()
            # -P: not the folder of this file, where `cafa` is another
            words, pipe = [sys.executable, "-P", __file__], subprocess.PIPE
            self._process = subprocess.Popen(words, env=request["env"], stdin=pipe, stdout=pipe, text=True)
            self._search = search
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that starts Snakemake ended with status {self._process.wait()}")
        return int(answer)

    def end(self) -> None:
        """Close its input, at whose end it ends."""
        if self._process is not None:
            with self._process:
                self._process = None


_STARTER = _Starter()
atexit.register(_STARTER.end)


def _become(request: dict[str, Any]) -> None:
    """Take on what a program gets as it starts, folder, environment, files and arguments, and be it."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, file in enumerate([os.devnull, *request["files"]]):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = request["command"]
    snakemake.cli.main()


def _serve() -> None:
    """Fork for every request and answer with its exit status, until there are no more."""
    for line in sys.stdin:
        # unlike a fork by hand, such a process ends without taking all modules apart
        start = multiprocessing.get_context("fork").Process(target=_become, args=(json.loads(line),))
        start.start()
        start.join()
        print(start.exitcode, flush=True)


if __name__ == "__main__":
    # what Snakemake and the rules import
    import jsonschema  # noqa: F401
    import pandas  # noqa: F401
    import pydantic  # noqa: F401
    import scipy.linalg  # noqa: F401
    import snakemake.cli

    snakemake.cli.get_argument_parser()  # imports the plugins
    gc.collect()
    gc.freeze()  # no start looks for garbage among the modules, which would copy them
    _serve()
