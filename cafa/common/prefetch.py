"""Reading ahead and finishing behind: what comes next is prepared, and what was made is finished, in threads."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar


class ReadAhead:
    """Batches by number, of which the next ones are read in a thread before they are asked for.

    Parameters
    ----------
    read : callable (index) -> batch
        Depends on nothing but the index; called by one thread at a time.
    ahead : int
        Batches to have ready; 0 reads when asked.
    stop : int
        Number of batches of the run; none is read beyond it.
    """

    def __init__(self, read: Callable[[int], Any], ahead: int, stop: int) -> None:
        self._read, self._ahead, self._stop = read, ahead, stop
        self._pool = ThreadPoolExecutor(1, "read_ahead") if ahead else None
        self._waiting: dict[int, Future[Any]] = {}

    def __call__(self, index: int) -> Any:
        """Batch number `index`; what its reading raised is raised here."""
        if self._pool is None:
            return self._read(index)
        wanted = range(index, max(index + 1, min(index + 1 + self._ahead, self._stop)))
        for old in self._waiting.keys() - set(wanted):
            self._waiting.pop(old).cancel()
        for number in wanted:
            if number not in self._waiting:
                self._waiting[number] = self._pool.submit(self._read, number)
        return self._waiting.pop(index).result()

    def close(self) -> None:
        """Stop reading."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def read_ahead(items: Generator[Any, None, None], size: int) -> Iterator[Any]:
    """Take items in a thread, up to `size` of them before they are asked for."""
    buffer: queue.Queue[tuple[str, Any]] = queue.Queue(size)
    stopped = threading.Event()

    def put(kind: str, value: Any = None) -> None:
        while not stopped.is_set():
            try:
                return buffer.put((kind, value), timeout=0.2)
            except queue.Full:
                continue

    def pump() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    break
        except BaseException as error:  # raised where the items are used
            put("error", error)
        else:
            put("end")
        finally:
            items.close()

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    try:
        while (entry := buffer.get())[0] == "item":
            yield entry[1]
        if entry[0] == "error":
            raise entry[1]
    finally:
        stopped.set()
        thread.join()


class Alongside:
    """Finishes what was made while the caller makes the next: one piece of work at a time, in the order given.

    At the end of the block all of it is done. What a piece raises is raised at the next one, or at the end of the block
    unless that ends with an error of its own.

    Parameters
    ----------
    threaded : bool
        False: work is done when it is given.
    """

    def __init__(self, threaded: bool) -> None:
        self._pool = ThreadPoolExecutor(1, "alongside") if threaded else None
        self._running: Future[None] | None = None

    def __call__(self, work: Callable[[], None]) -> None:
        """Have a piece of work done, after the one before has been."""
        if self._pool is None:
            return work()
        self.wait()
        self._running = self._pool.submit(work)
        return None

    def wait(self) -> None:
        """Wait for the piece in hand."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> "Alongside":
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if kind is None:
            self.wait()


Item = TypeVar("Item")
Made = TypeVar("Made")


def begun(maker: object, make: Callable[[Sequence[Item]], Made], items: Sequence[Item]) -> Callable[[], Made]:
    """Begin to make something of items; what is returned gives it, and may be called in another thread.

    Parameters
    ----------
    maker : object
        If it has a method ``begin``, that does the first part here and leaves the rest to what it returns.
    make : callable (items) -> what is made
        Of `maker`; it does all of it here where there is no ``begin``.
    items : sequence
    """
    begin: Callable[[Sequence[Item]], Callable[[], Made]] | None = getattr(maker, "begin", None)
    if begin is not None:
        return begin(items)
    made = make(items)
    return lambda: made


def ahead(prepare: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Made]]:
    """Items with what `prepare` makes of them, in order.

    Parameters
    ----------
    prepare : callable
        Runs in a thread: it is worth it where most of the time is spent outside of Python, as in decoding.
    items : iterable
    workers : int
        Threads; at most twice as many items are prepared or waiting. 0: one item at a time, in the caller's thread.

    Yields
    ------
    (item, prepared)
        An exception of `prepare` is raised when its item is due.
    """
    if workers == 0:
        for item in items:
            yield item, prepare(item)
        return
    waiting: deque[tuple[Item, Future[Made]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(prepare, item)))
                if len(waiting) >= 2 * workers:
                    first, made = waiting.popleft()
                    yield first, made.result()
            while waiting:
                first, made = waiting.popleft()
                yield first, made.result()
        finally:
            for _, made in waiting:
                made.cancel()
