"""`cafa ledger`: what became of the clips."""

import click

from cafa.ledger import OK, REASONS, read_ledgers


@click.command()
@click.argument("file", nargs=-1, required=True)
@click.option("--limit", default=50, type=click.IntRange(0), help="rows that are not ok to show at most; 0: all")
def command(file: tuple[str, ...], limit: int) -> None:
    """Counts of each status by stage, then the rows that are not ok."""
    rows = read_ledgers(file)
    for (stage, status), part in rows.groupby(["stage", "status"]):
        meaning = "" if status == OK else f"  {REASONS[status][1]}{'; may pass later' if REASONS[status][0] else ''}"
        click.echo(f"{stage:12} {status:16} {len(part):7}{meaning}")
    bad = rows[rows["status"] != OK]
    shown = bad.head(limit) if limit else bad
    if len(shown):
        click.echo("")
    for row in shown.itertuples():
        line = "" if row.line != row.line or row.line is None else f" (line {int(row.line)})"
        click.echo(f"{row.stage}: {row.clip_id or '?'}{line}: {row.status}: {row.detail}")
    if len(shown) < len(bad):
        click.echo(f"... {len(bad) - len(shown)} more: --limit 0 shows all")
