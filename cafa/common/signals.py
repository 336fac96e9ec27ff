"""A command that is asked to end: by a scheduler shortly before its time limit, by a preemption, by a person.

SIGTERM and SIGUSR1 mean the same. Training finishes the step in hand and saves its state; every other command stops
where it is, as after Ctrl-C, and goes on from its journal. Neither shows a traceback, and the exit code is 143.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

#: what a command is asked to end by
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
#: exit code of a command that ended because it was asked to: not 0, so that a workflow starts it again
EXIT_CODE = 128 + signal.SIGTERM


class EndedBySignal(BaseException):
    """The process was asked to end.

    Not an ``Exception``, as ``KeyboardInterrupt`` is none: what catches the faults of a clip must not take it for one.
    """


def _raise(number: int, frame: FrameType | None) -> None:
    raise EndedBySignal(f"asked to end by {signal.Signals(number).name}")


def end_when_asked() -> None:
    """From now on a signal raises :class:`EndedBySignal` in the main thread."""
    for number in SIGNALS:
        signal.signal(number, _raise)


def leave_to_parent() -> None:
    """From now on signals are for the parent process to decide on; it ends this one by itself."""
    for number in (*SIGNALS, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class Asked:
    """Whether a signal has come; see :func:`deferred`."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None

    def record(self, number: int, frame: FrameType | None) -> None:
        """Handler that only notes the signal."""
        self.name = signal.Signals(number).name


@contextlib.contextmanager
def _handled(handler: "signal._HANDLER") -> Iterator[None]:
    """Handle the signals so within the block; in a thread that is not the main one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def deferred() -> Iterator[Asked]:
    """Within the block a signal is noted and nothing else happens: the block ends at a moment of its choice."""
    asked = Asked()
    with _handled(asked.record):
        yield asked


@contextlib.contextmanager
def passed_on() -> Iterator[Asked]:
    """Within the block a signal is noted and sent to the processes that this one started; they decide."""
    asked = Asked()

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.record(number, frame)
        for child in multiprocessing.active_children():
            if child.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, number)

    with _handled(pass_on):
        yield asked
