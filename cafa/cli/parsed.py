"""Times and lists on the command line."""

from typing import Any

import click

from cafa.common.errors import InputError


class Seconds(click.ParamType):
    """Seconds of ``90``, ``1:30`` or ``0:01:30.5``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a time."""
        from cafa.media.encoded_part import parse_time  # when it is needed: the media libraries

        if isinstance(value, float | int):
            return float(value)
        try:
            return parse_time(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class Words(click.ParamType):
    """Words of a list, separated by commas."""

    name = "list"

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Parse a list; a word that is said twice counts once."""
        if isinstance(value, tuple):
            return value
        words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
        if not words or (unknown := sorted(set(words) - set(self.known))):
            said = ", ".join(unknown) if words else "nothing"
            self.fail(f"name some of {', '.join(self.known)}, separated by commas; got {said}", param, ctx)
        return words
