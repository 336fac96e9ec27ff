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
    source: str,
    root: Path,
    output: str,
    refused: str,
    column: dict[str, str],
    default: dict[str, str],
    encoding: str | None,
    separator: str | None,
    follow_links: bool,
    caption_words: int | None,
) -> None:
    """Validate a table of clips; refused rows are named with line and reason."""
    from cafa.data.manifest import RowRules
    from cafa.data.manifest_file import ClipTable, make_manifest

    table = ClipTable(source, root, column, default, encoding, separator)
    click.echo(make_manifest(table, output, refused, RowRules(follow_links, caption_words)))
