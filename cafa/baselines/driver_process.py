"""A driver as a process: started once for its models, asked batch by batch, ended when it crashes or hangs."""

import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from cafa.baselines.peers import DRIVERS
from cafa.common.errors import CafaError, InputError

#: lines of what a driver printed that an error quotes
LINES_KEPT = 12


class DriverEnded(CafaError):
    """The process of a driver ended while it was asked."""


class DriverHung(CafaError):
    """A driver gave no answer in time."""


@dataclass(frozen=True)
class DriverCommand:
    """How a driver is started.

    Attributes
    ----------
    python
        Words that begin the command: the interpreter of its environment, with what stands before it.
    driver
        Its file.
    checkout
        Folder of the peer's code: the process runs in there, and imports from there.
    settings
        As JSON.
    device
        Torch device.
    threads
        Of its libraries.
    start_seconds, seconds_per_clip
        Time that loading, and each clip of a request, may take.
    """

    python: tuple[str, ...]
    driver: Path
    checkout: Path
    settings: Mapping[str, Any]
    device: str = "cpu"
    threads: int = 1
    start_seconds: float = 3600.0
    seconds_per_clip: float = 600.0

    @property
    def words(self) -> list[str]:
        """The command."""
        options = ["--settings", json.dumps(self.settings), "--device", self.device]
        return [*self.python, str(DRIVERS / "serve.py"), "--driver", str(self.driver), *options]

    def environment(self) -> dict[str, str]:
        """Variables of the process: the checkout is imported from, and programs of its environment are found."""
        given = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
        first = [os.path.dirname(self.python[0])] if os.path.dirname(self.python[0]) else []
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self.threads))
        path = os.pathsep.join([*first, given.get("PATH", os.defpath)])
        return {**given, **counts, "PATH": path, "PYTHONPATH": str(self.checkout), "PYTHONUNBUFFERED": "1"}


@dataclass
class DriverProcess:
    """A running driver, or one that is started by the next request."""

    command: DriverCommand
    _process: "subprocess.Popen[str] | None" = None
    _ender: "weakref.finalize[..., DriverProcess] | None" = None
    _answers: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)
    _printed: "deque[str]" = field(default_factory=lambda: deque(maxlen=LINES_KEPT))

    def ask(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Answers by the rows' ids.

        Raises
        ------
        DriverEnded, DriverHung
            The process is gone then; the next request starts another one.
        InputError
            If it could not be started: its environment or its models are not right.
        """
        process = self._running()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"rows": list(rows)}) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise DriverEnded(self._how_it_ended()) from error
        answers: dict[str, dict[str, Any]] = {}
        until = time.monotonic() + self.command.seconds_per_clip * len(rows)
        while not (answer := self._next(until)).get("done"):
            answers[answer["id"]] = answer
        return answers

    def stop(self) -> None:
        """End the process and all that it started."""
        if self._ender is not None:
            self._ender()
        self._process = self._ender = None

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.stop()
        self._answers, self._printed = queue.SimpleQueue(), deque(maxlen=LINES_KEPT)
        try:
            process = subprocess.Popen(
                self.command.words,
                cwd=self.command.checkout,
                env=self.command.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(f"{shlex.join(self.command.python)} cannot be started: {error}") from error
        self._process = process
        self._ender = weakref.finalize(self, _end, process)  # at the end of this process, too
        # Of this process: the last words of one that was ended must not be taken for those of the next.
        for stream, take in ((process.stdout, self._answers.put), (process.stderr, _printer(self._printed))):
            threading.Thread(target=_read, args=(stream, take), daemon=True).start()
        try:
            self._next(time.monotonic() + self.command.start_seconds)
        except (DriverEnded, DriverHung) as error:
            raise InputError(
                f"the driver {self.command.driver.name} could not load its models with "
                f"{shlex.join(self.command.python)} in {self.command.checkout}: {error}"
            ) from error
        return process

    def _next(self, until: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=max(until - time.monotonic(), 0.001))
        except queue.Empty:
            self.stop()
            raise DriverHung("no answer in time; its process was ended") from None
        if line is None:
            raise DriverEnded(self._how_it_ended())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _how_it_ended(self) -> str:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.poll()
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        time.sleep(0.05)  # its last lines are read by another thread
        last = next((line for line in reversed(self._printed) if line.strip()), "it printed nothing")
        self.stop()
        return f"its process ended with {how}; last line: {last[:300]}"


def _printer(kept: "deque[str]") -> Callable[[str | None], None]:
    """What takes lines of a driver: they are printed, and the last ones kept."""

    def take(line: str | None) -> None:
        if line is not None:
            kept.append(line.rstrip())
            print(line, end="", file=sys.stderr, flush=True)

    return take


def _read(stream: IO[str], take: Callable[[str | None], None]) -> None:
    for line in stream:
        take(line)
    take(None)


def _end(process: "subprocess.Popen[str]") -> None:
    """Called once: later another process may have its number."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
