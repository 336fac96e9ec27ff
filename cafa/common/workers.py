"""Worker processes that may die: a clip that kills or hangs its worker costs only itself.

Every worker has its own pipe and one item at a time, so when a worker is gone it is known which item it had, and no
other is disturbed. Workers are forked from a clean server process: they hold neither the models of the job nor its GPU.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import pickle
import signal
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cafa.common.errors import CafaError, ClipError
from cafa.common.signals import leave_to_parent

#: Workers lost in a row, without one clip done between, after which the fault is not the clips'.
MOST_LOST = 20


def map_in_processes(
    function: Callable[[Any], Any], items: Iterable[Any], *, workers: int, seconds: float
) -> Generator[tuple[Any, Any], None, None]:
    """Apply a function to items in worker processes.

    Parameters
    ----------
    function : callable
        Picklable; of a module that is quick to import (or of several, which its ``modules`` name). It may raise
        :class:`~cafa.common.errors.ClipError`.
    items : iterable
        Picklable; taken one by one as workers become free.
    workers : int
        Processes, each at one item, or holding one result that was not asked for yet. 0: in this process.
    seconds : float
        What one item may take; then its worker is ended. Not observed with 0 workers.

    Yields
    ------
    (item, result)
        As they are done, in any order. The result is the function's, or the ``ClipError`` it raised, or one of reason
        ``unreadable`` if the worker died or took too long.

    Raises
    ------
    CafaError
        If the function raised anything else, workers cannot be started, or one after the other dies.
    """
    if workers == 0:
        for item in items:
            yield item, _tried(function, item)
        return
    pool = _Pool(function, workers, seconds)
    try:
        yield from pool.run(iter(items))
    finally:
        pool.close()


def _tried(function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return function(item)
    except ClipError as error:
        return error


@dataclass
class _Worker:
    process: Any
    connection: Any
    item: Any = None
    ready: bool = False


class _Pool:
    def __init__(self, function: Callable[[Any], Any], workers: int, seconds: float) -> None:
        self._function, self._seconds, self._lost = function, seconds, 0
        self._context = multiprocessing.get_context("forkserver")
        modules = getattr(function, "modules", None) or [getattr(function, "__module__", "cafa.common.workers")]
        self._context.set_forkserver_preload(["cafa.common.workers", *modules])
        self._workers = [self._start() for _ in range(workers)]

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._function, self._seconds), daemon=True)
        process.start()
        theirs.close()  # so that the pipe ends when the worker does
        return _Worker(process, ours)

    def run(self, items: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        busy = {worker.connection: worker for worker in self._workers}
        while busy:
            for connection in multiprocessing.connection.wait(list(busy)):
                worker = busy.pop(connection)
                item, was_ready = worker.item, worker.ready
                try:
                    answer = _receive(connection)
                except (EOFError, OSError):
                    answer = self._lose(worker)
                    self._workers.remove(worker)
                    self._workers.append(new := self._start())
                    busy[new.connection] = new  # it is given an item when it says that it is ready
                else:
                    # The next item first: the worker shall not wait while this result is used.
                    if self._give(worker, items):
                        busy[connection] = worker
                    self._lost = 0 if was_ready else self._lost
                if was_ready:
                    yield item, answer

    def _give(self, worker: _Worker, items: Iterator[Any]) -> bool:
        worker.ready, worker.item = True, next(items, _NONE)
        if worker.item is not _NONE:
            with contextlib.suppress(BrokenPipeError):  # it has just died: seen when its answer is read
                worker.connection.send(worker.item)
        return worker.item is not _NONE

    def _lose(self, worker: _Worker) -> ClipError:
        """What became of the item of a worker that is gone."""
        worker.process.join()
        worker.connection.close()
        code = worker.process.exitcode
        if not worker.ready:
            raise CafaError(f"a worker process could not start (exit code {code}): see above")
        self._lost += 1
        if self._lost >= MOST_LOST:
            raise CafaError(
                f"{self._lost} worker processes died one after the other (last exit code {code}): is memory short?"
            )
        if code == -signal.SIGALRM:
            return ClipError("unreadable", f"not done after {self._seconds:g} s: the process that read it was ended")
        return ClipError("unreadable", f"the process that read it died (exit code {code})")

    def close(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()


_NONE = object()


def _work(connection: Any, function: Callable[[Any], Any], seconds: float) -> None:
    """A worker's life: ends when the other side of the pipe does."""
    leave_to_parent()  # a worker that a signal ended would pass for one that a clip has killed
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, wherever it hangs
    try:
        _send(connection, None)
        while True:
            item = connection.recv()
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                answer = _tried(function, item)
            except Exception:  # travels to the parent, which raises it
                answer = _Fault(traceback.format_exc())
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(connection, answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


@dataclass(frozen=True)
class _Fault:
    text: str


def _send(connection: Any, answer: Any) -> None:
    """Send an object whose arrays travel as they are, not copied into a pickle."""
    buffers: list[pickle.PickleBuffer] = []
    if isinstance(answer, ClipError):
        answer = _Refused(answer.reason, answer.detail)
    data = pickle.dumps(answer, protocol=5, buffer_callback=buffers.append)
    connection.send((len(buffers), data))
    for buffer in buffers:
        connection.send_bytes(buffer.raw())


@dataclass(frozen=True)
class _Refused:
    reason: str
    detail: str


def _receive(connection: Any) -> Any:
    count, data = connection.recv()
    answer = pickle.loads(data, buffers=[connection.recv_bytes() for _ in range(count)])
    if isinstance(answer, _Refused):
        return ClipError(answer.reason, answer.detail)
    if isinstance(answer, _Fault):
        raise CafaError(f"a worker process failed:\n{answer.text}")
    return answer
