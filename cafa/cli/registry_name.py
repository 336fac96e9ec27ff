"""Arguments and options that name an entry of a registry: plugins are asked when a name is given, not before."""

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem

from cafa.common.registry import Registry


class RegistryName(click.ParamType):
    """Name of an entry of a registry.

    Parameters
    ----------
    registry : str
        ``module:NAME`` of the registry; imported when it is needed.
    name : str
        What the help calls the value.
    """

    def __init__(self, registry: str, name: str = "name") -> None:
        self.registry, self.name = registry, name

    def entries(self) -> "Registry[Any]":
        """The registry."""
        module, _, attribute = self.registry.partition(":")
        found: Registry[Any] = getattr(importlib.import_module(module), attribute)
        return found

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, if there is such an entry; otherwise a message that lists those that there are."""
        entries = self.entries()
        if value not in entries:
            what = entries.what
            self.fail(f"there is no {what} {value!r}; there are {', '.join(entries)}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin like what is there."""
        return [CompletionItem(name) for name in self.entries() if name.startswith(incomplete)]
