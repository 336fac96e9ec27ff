"""How far the making of a sound has come, for whoever waits for it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from cafa.common.errors import CafaError
from cafa.common.progress import progress

Item = TypeVar("Item")


class Cancelled(CafaError):
    """Whoever waits for a sound wants it no more."""


@dataclass(frozen=True)
class Step:
    """How far one step has come.

    Attributes
    ----------
    name : str
        ``read video``, ``encode video`` or ``generate``.
    done, total : int
        Windows (of ``generate``: batches of windows of all prompts and seeds).
    """

    name: str
    done: int
    total: int


#: Told of each :class:`Step` in the thread that makes the sound. What it raises ends the making; nothing was written.
OnProgress = Callable[[Step], None]


def counted(items: Iterable[Item], name: str, total: int, told: OnProgress | None) -> Iterator[Item]:
    """Items, with progress on standard error, and `told` of each: before the first, and as each is done with."""
    if told is not None:
        told(Step(name, 0, total))
    for done, item in enumerate(progress(items, name, total), start=1):
        yield item
        if told is not None:
            told(Step(name, done, total))
