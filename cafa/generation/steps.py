"""How far the making of a sound has come, for whoever waits for it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

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


_LOOK: ContextVar[Callable[[], None] | None] = ContextVar("look", default=None)


@contextmanager
def watched(look: Callable[[], None]) -> Iterator[None]:
    """Have a function called before every sampling step that is made in this block; what it raises ends the sampling.

    Parameters
    ----------
    look : callable
    """
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)


def looking(velocity: Callable[..., Any]) -> Callable[..., Any]:
    """A denoiser's velocity that first calls what :func:`watched` was given, if anything."""
    look = _LOOK.get()
    if look is None:
        return velocity

    def looked(*given: Any) -> Any:
        look()
        return velocity(*given)

    return looked
