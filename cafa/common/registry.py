"""A registry: what there is of one kind (judges, metrics, backbones...) by name, open to other people's modules."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Generic, TypeVar, cast

from cafa.common.errors import InputError
from cafa.common.plugins import load_plugins

T = TypeVar("T")


class UnknownNameError(InputError, KeyError):
    """A name that is not in a registry."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, T], Generic[T]):
    """Entries of one kind by name, in the order of their registration; our own come first.

    Parameters
    ----------
    what : str
        What one entry is, for messages: ``judge``.
    entries : mapping
        Our own entries. A string ``module:name`` is imported when the entry is asked for, so that whoever only wants
        the names, or one entry, does not import the others.

    Examples
    --------
    >>> SAMPLERS = Registry("sampler", {"euler": "cafa.diffusion.samplers:euler"})
    >>> list(SAMPLERS)
    ['euler']
    """

    def __init__(self, what: str, entries: Mapping[str, T | str] | None = None) -> None:
        self.what = what
        self._entries: dict[str, T | str] = dict(entries or {})

    def register(self, name: str, entry: T | None = None, *, replace: bool = False) -> Callable[[T], T]:
        """Add an entry; without `entry`, a decorator that adds what it decorates.

        Raises
        ------
        InputError
            If the name is taken and `replace` is not set.
        """

        def add(value: T) -> T:
            if name in self._entries and self._entries[name] is not value and not replace:
                raise InputError(f"there is a {self.what} {name!r} already; give yours another name, or replace=True")
            self._entries[name] = value
            return value

        if entry is not None:
            add(entry)
        return add

    def check(self, *names: str) -> None:
        """Refuse names that are not there, without importing those that are.

        Raises
        ------
        UnknownNameError
            Names the nearest one, and all.
        """
        load_plugins()
        for name in names:
            if name not in self._entries:
                raise UnknownNameError(self._unknown(name))

    def __getitem__(self, name: str) -> T:
        self.check(name)
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self._entries[name] = getattr(importlib.import_module(module), attribute)
        return cast(T, entry)

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(list(self._entries))

    def __len__(self) -> int:
        load_plugins()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._entries

    def to_be_imported(self, name: str) -> bool:
        """Whether there is such an entry, of a module that was not imported yet: asking for it takes time."""
        load_plugins()
        return isinstance(self._entries.get(name), str)

    def _unknown(self, name: str) -> str:
        names = {known.lower(): known for known in self._entries}  # `fad` is near to `FAD`
        near = get_close_matches(name.lower(), names, n=1)
        hint = f"; did you mean {names[near[0]]!r}?" if near else "."
        return f"there is no {self.what} {name!r}{hint} There are {', '.join(self._entries) or 'none'}"
