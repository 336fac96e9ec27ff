"""`cafa ledger`: what became of the clips."""

import sys
from typing import Any

import click

from cafa.common.ledger import CLASSES, OK, read_ledgers, summary


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
    rows = read_ledgers(file)
    counts = summary(rows)
    if as_csv:
        counts.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    _show_counts(counts)
    bad = rows[rows["status"] != OK]
    shown = bad.head(limit) if limit else bad
    if len(shown):
        click.echo("")
    for row in shown.itertuples():
        line = "" if row.line != row.line or row.line is None else f" (line {int(row.line)})"
        click.echo(f"{row.stage}: {row.clip_id or '?'}{line}: {row.status}: {row.detail}")
    if len(shown) < len(bad):
        click.echo(f"... {len(bad) - len(shown)} more: --limit 0 shows all")


def _show_counts(counts: Any) -> None:
    click.echo(f"{'stage':12} {'status':18} {'class':10} {'clips':>7}  meaning")
    for row in counts.to_dict("records"):
        meaning = f"{row['meaning']}{'; may pass later' if row['retriable'] else ''}"
        line = f"{row['stage']:12} {row['status']:18} {row['class']:10} {row['clips']:7}  {meaning}"
        click.echo(line.rstrip())
    for stage, part in counts.groupby("stage"):
        total, ok = part["clips"].sum(), part.loc[part["status"] == OK, "clips"].sum()
        later = part.loc[part["retriable"], "clips"].sum()
        click.echo(f"{stage}: {total} clips, {ok} ok ({ok / total:.1%}), {later} may pass later")


@command.command()
@click.argument("ledger", nargs=-1, required=True)
@click.option(
    "--class", "classes", multiple=True, required=True, type=click.Choice(CLASSES),
    help="class of reasons; may be repeated",
)  # fmt: skip
def retry(ledger: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Let the next fetch ask again for the clips of a class; clips that are ok stay."""
    from cafa.data.fetch.fetch_journal import ask_again

    counts = ask_again(ledger, classes)
    for path, count in counts.items():
        click.echo(f"{path}: {count} clips")
    click.echo(f"{sum(counts.values())} clips are asked for again by the next fetch of these shards")
