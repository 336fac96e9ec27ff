"""Reading and writing videos in a process of their own, whose end is one job's error and not the server's.

FFmpeg reads what visitors send. A file can make it crash, which would end the server, or never end. Each piece of work
is done by a process that is forked from one that has loaded FFmpeg already and nothing else: it begins in a moment,
and is killed when its time is up or its job is wanted no more.
"""

import multiprocessing
import pickle
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from cafa.common.errors import CafaError

#: Seconds between two looks at whether the work is still wanted.
LOOK = 0.1
#: Loaded once, for all processes.
PRELOADED = ["cafa.media.normalise", "cafa.media.new_sound", "cafa.media.encoded_part", "cafa.service.looking"]


class ReadingError(CafaError):
    """A process that read or wrote a video crashed, or did not end."""


class Apart:
    """A :data:`cafa.common.work.Work` in a process of its own.

    Parameters
    ----------
    seconds : float
        After which it is killed.
    look : callable
        Called again and again while it works; what it raises kills the work, and is raised.
    """

    def __init__(self, seconds: float, look: Callable[[], None] = lambda: None) -> None:
        self.seconds, self._look = seconds, look
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def __call__(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        """Result of a function of a module; its errors are raised here.

        Raises
        ------
        ReadingError
            If the process crashed, or its time was up.
        """
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(sender, function, given, named), daemon=True)
        process.start()
        sender.close()
        try:
            done, found = self._wait(receiver, process)
        finally:
            process.kill()
            process.join()
            receiver.close()
        if done:
            return found
        raise found

    def _wait(self, receiver: Connection, process: Any) -> tuple[bool, Any]:
        end = time.monotonic() + self.seconds
        while not receiver.poll(LOOK):
            self._look()
            if time.monotonic() > end:
                raise ReadingError(f"the video could not be read or written within {self.seconds:g} s")
        try:
            answer: tuple[bool, Any] = receiver.recv()
        except EOFError:  # it ended without an answer
            process.join()
            raise ReadingError(f"FFmpeg crashed on this video ({_name(process.exitcode)})") from None
        return answer


def _name(code: int | None) -> str:
    try:
        return signal.Signals(-(code or 0)).name
    except ValueError:
        return f"exit code {code}"


def _work(sender: Connection, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    try:
        answer: tuple[bool, Any] = True, function(*given, **named)
    except Exception as error:  # every error is the caller's, who asked for the work
        answer = False, _sent(error)
    sender.send(answer)


def _sent(error: Exception) -> Exception:
    """An error as it can be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # what was pickled here
        return error
    except Exception:  # whatever a library's error lacks for it
        return RuntimeError(f"{type(error).__name__}: {error}")
