"""One bar for each file on a terminal; in a log a line now and then."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from cafa.common.progress import SECONDS_BETWEEN_LINES


class Bar:
    """Progress of one file.

    Attributes
    ----------
    resumed : bool
        Part of the file was there before.
    """

    def __init__(self, name: str, total: int | None, bar: "tqdm | None", log: Callable[[str], None]) -> None:
        self.name, self.total, self._bar, self._log = name, total, bar, log
        self.resumed, self._last, self._noted = False, time.monotonic(), ""

    def at(self, size: int) -> None:
        """So many bytes are there."""
        if self._bar is not None:
            if self._bar.n == self._bar.initial == 0:  # what came in an earlier run says nothing of the speed
                self._bar.initial = self._bar.n = size
            if size < self._bar.n:  # from the beginning, or the second pass over the file
                self._bar.reset(self.total)
            self._bar.update(size - self._bar.n)
        elif (now := time.monotonic()) - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            of = f" of {self.total / 1e6:,.1f}" if self.total else ""
            self._log(f"{self.name}: {size / 1e6:,.1f}{of} MB")

    def checking(self) -> None:
        """From now on the file is read, not fetched."""
        if self._bar is not None:
            self._bar.set_description(f"{self.name} (checking)")

    def note(self, text: str) -> None:
        """Log something of this file, once in a row."""
        if text != self._noted:
            self._noted = text
            self._log(f"{self.name}: {text}")


class Bars:
    """Bars of files that come at the same time."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._terminal, self._lock = sys.stderr.isatty(), threading.Lock()
        self._taken: set[int] = set()
        self._open: set[tqdm] = set()
        self._plain = log

    def log(self, text: str) -> None:
        """A line, above the bars."""
        if self._terminal:
            tqdm.write(text, file=sys.stderr)
        else:
            self._plain(text)

    @contextmanager
    def bar(self, name: str, total: int | None) -> Iterator[Bar]:
        """The bar of a file, for as long as the block runs."""
        if not self._terminal:
            yield Bar(name, total, None, self.log)
            return
        with self._lock:
            place = next(n for n in range(len(self._taken) + 1) if n not in self._taken)
            self._taken.add(place)
        shown = tqdm(total=total, desc=name, unit="B", unit_scale=True, position=place, leave=False)
        self._open.add(shown)
        try:
            yield Bar(name, total, shown, self.log)
        finally:
            shown.close()
            with self._lock:
                self._open.discard(shown)
                self._taken.discard(place)

    def close(self) -> None:
        """Take the bars of files that did not end off the terminal."""
        for shown in list(self._open):
            shown.close()
