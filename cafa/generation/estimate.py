"""How long a sound will take and how much memory, said as soon as it can be known: after its first window."""

import resource
import sys
import time
from collections.abc import Callable

from cafa.generation.steps import OnProgress, Step

#: Windows of a video from which on it is said how many there are.
LONG = 3
#: Seconds left from which on they are said.
SECONDS = 20.0


class Estimate:
    """Says what is ahead; a function for progress.

    Parameters
    ----------
    name : str
        Of the video.
    window_seconds : float
        Length of a window.
    bytes_of_window : int
        Of a window's sound in memory.
    say : callable
        Gets lines for a person.
    told : callable, optional
        Told of each step as well.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        name: str,
        window_seconds: float,
        bytes_of_window: int,
        say: Callable[[str], None],
        told: OnProgress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._window, self._bytes = name, window_seconds, bytes_of_window
        self._say, self._told, self._clock = say, told, clock
        self._begun = 0.0

    def __call__(self, step: Step) -> None:
        """Take note of a step."""
        if step.name == "encode video" and step.done == 0 and step.total >= LONG:
            self._say(f"{self._name}: {step.total} windows of {self._window:g} s")
        if step.name == "generate":
            if step.done == 0:
                self._begun = self._clock()
            elif step.done == 1 and step.total > 1:
                self._project(step.total)
        if self._told is not None:
            self._told(step)

    def _project(self, total: int) -> None:
        took = self._clock() - self._begun
        left = took * (total - 1)
        if left < SECONDS:
            return
        now = memory_in_use()
        # Each window's sound is kept, and once more while windows are joined.
        end = now + 2 * total * self._bytes
        self._say(
            f"{self._name}: the first of {total} steps took {took:.1f} s and {now / 1e9:.1f} GB of memory: about "
            f"{in_words(left)} left, and up to {end / 1e9:.1f} GB"
        )


def in_words(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_in_use() -> int:
    """Bytes that this process has used at most, those of a GPU included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = peak if sys.platform == "darwin" else peak * 1024
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        used += torch.cuda.max_memory_allocated()
    return int(used)
