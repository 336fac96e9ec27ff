"""`cafa manifest`: validate a table of clips."""

from pathlib import Path

import click

from cafa.cli.options import (
    caption_words_option,
    encoding_option,
    folder,
    follow_links_option,
    separator_option,
    writable,
)
from cafa.common.errors import InputError
from cafa.common.ledger import copy_for_message, why
from cafa.data.manifest import RowRules, build_manifest


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    wrong = [value for value, (name, sign, _) in zip(values, pairs, strict=True) if not (name and sign)]
    if wrong:
        raise click.BadParameter(f"must look like NAME=VALUE, got {wrong[0]!r}")
    return {name: value for name, _, value in pairs}


@click.command()
@click.option("--source", required=True, help="table of clips: .csv, .tsv, .txt or .parquet")
@folder("--root", help="folder that the uri of each clip is relative to")
@click.option("--output", required=True, callback=writable, help="manifest to write")
@click.option("--refused", required=True, callback=writable, help="ledger of refused rows to write")
@click.option("--column", multiple=True, callback=_pairs, help="THEIRS=OURS: a column's name; may be repeated")
@click.option(
    "--default", multiple=True, callback=_pairs, help="OURS=VALUE for absent or empty fields; {name} is another field"
)
@encoding_option
@separator_option
@follow_links_option
@caption_words_option
def command(
    source: str, root: Path, output: str, refused: str, column: dict[str, str], default: dict[str, str],
    encoding: str | None, separator: str | None, follow_links: bool, caption_words: int | None,
) -> None:  # fmt: skip
    """Validate a table of clips; refused rows are named with line and reason."""
    accepted, rejected = build_manifest(
        source, root, output, refused, columns=column, defaults=default, encoding=encoding, separator=separator,
        rules=RowRules(follow_links, caption_words),
    )  # fmt: skip
    click.echo(f"{accepted} clips accepted, {rejected} refused")
    if not accepted:
        reasons = f": {why(refused)} (cafa ledger {copy_for_message(refused)})" if rejected else ": it has no row"
        raise InputError(f"no clip of {source} can be used{reasons}")
