"""Preparing items in threads while earlier ones are used: files are decoded while the networks work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item, Made = TypeVar("Item"), TypeVar("Made")


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
