"""`cafa ledger`: what became of the clips."""

import click

from cafa.common.ledger_classes import CLASSES


class _ShowUnlessNamed(click.Group):
    """A group whose command `show` is meant where none is named: `cafa ledger FILE` shows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` before arguments that name no command."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ShowUnlessNamed)
def command() -> None:
    """What became of the clips: `cafa ledger FILE...` shows; `cafa ledger retry` lets a fetch ask again."""


@command.command()
@click.argument("file", nargs=-1, required=True)
@click.option("--limit", default=50, type=click.IntRange(0), help="rows that are not ok to show at most; 0: all")
@click.option("--csv", "as_csv", is_flag=True, help="the counts as csv, and nothing else")
def show(file: tuple[str, ...], limit: int, as_csv: bool) -> None:
    """Counts of each status by stage, then the rows that are not ok."""
    from cafa.common.ledger_text import ledgers_as_text

    click.echo(ledgers_as_text(file, limit=limit, as_csv=as_csv))


@command.command()
@click.argument("ledger", nargs=-1, required=True)
@click.option(
    "--class",
    "classes",
    multiple=True,
    required=True,
    type=click.Choice(CLASSES),
    help="class of reasons; may be repeated",
)
def retry(ledger: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Let the next fetch ask again for the clips of a class; clips that are ok stay."""
    from cafa.data.fetch.retry import retry_clips

    click.echo(retry_clips(ledger, classes))
