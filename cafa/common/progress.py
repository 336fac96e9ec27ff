"""Progress of long steps: a bar on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 15.0


def progress(items: Iterable[Item], label: str, total: int, start: int = 0) -> Iterator[Item]:
    """Iterate over `items` while showing how far it has come on standard error.

    Parameters
    ----------
    items : iterable
        What is left to do.
    label : str
        Name of the step.
    total : int
        Items of the whole step, including those done before.
    start : int
        Items done before (by an interrupted run).
    """
    if sys.stderr.isatty():
        yield from tqdm(items, desc=label, total=total, initial=start)
        return
    begun = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = (now - begun) / done * (total - start - done)
            print(f"[{label}] {start + done}/{total}, about {left:.0f} s left", file=sys.stderr, flush=True)
