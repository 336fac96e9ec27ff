"""Options and commands that have another name now: refused, with the new name."""

from collections.abc import Callable
from typing import Any

import click


def renamed_option(old: str, new: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Option that is refused, because it is called otherwise now; it is not shown by ``--help``.

    Parameters
    ----------
    old, new : str
        With their dashes: ``--truth``, ``--event-times``.
    """

    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            raise click.UsageError(f"{old} is now called {new}: write {new} {value}", ctx)

    return click.option(old, hidden=True, expose_value=False, default=None, callback=refuse)


def renamed_command(group: click.Group, old: str, new: str) -> None:
    """Give a group a command that is refused, because it is called otherwise now; ``--help`` does not show it."""
    place = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

    @group.command(old, hidden=True, context_settings=place)
    @click.pass_context
    def refuse(ctx: click.Context) -> None:
        raise click.UsageError(f"the command {old} is now called {new}", ctx)
