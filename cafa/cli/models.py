"""`cafa models`: pretrained models of the generator."""

from pathlib import Path

import click

from cafa.cli.options import folder, writable


@click.group()
def command() -> None:
    """Register pretrained models, and convert their files."""


@command.command()
@click.option(
    "--settings", required=True, help="JSON object, fields of cafa.models.registry.PretrainedModel (by `kind`)"
)
@click.option("--weights-table", type=click.Path(path_type=Path), default=None, help="config/weights.tsv, for digests")
@folder("--output", help="model folder to write")
def register(settings: str, weights_table: Path | None, output: Path) -> None:
    """Check a pretrained model's files and write its card; later stages use the folder like a trained model's."""
    from cafa.models.registry import parse_pretrained
    from cafa.models.registry import register as register_model

    card = register_model(parse_pretrained(settings), output, weights_table)
    unknown = sorted(set(card["files"]) - set(card["checked"]))
    click.echo(
        f"{card['model']}: {len(card['files'])} files, weights {card['weights_sha256'][:12]}; the SHA-256 of "
        f"{len(card['checked'])} was known, that of {len(unknown)} is recorded as found: {', '.join(unknown)}"
    )


@command.command()
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path), callback=writable)
@click.option("--key", default=None, help="entry of FILE that holds the state dict  [default: the usual one]")
@click.option("--force", is_flag=True, help="replace OUTPUT, and its row in the table")
@click.option("--table", type=click.Path(path_type=Path, exists=True), help="table of weights that gets OUTPUT's row")
def convert(source: Path, output: Path, key: str | None, force: bool, table: Path | None) -> None:
    """Make OUTPUT (.safetensors) of a published checkpoint of any form; nothing that FILE holds is run.

    For a judge, OUTPUT is named after the row of the published file: NAME.safetensors. Its own SHA-256 is what a
    registration compares; it is printed as a line for a table of weights, and with --table added to that table.
    """
    from cafa.common.provenance import project_root
    from cafa.models.converting import add_row, converted_row, line_of, published_row, require_published
    from cafa.models.converting import convert as convert_file

    listed = require_published(source, table) if table is not None else None
    made = convert_file(source, output, key, force=force)
    entry = f" (entry {made.origin.key!r})" if made.origin.key else ""
    click.echo(f"{made.file}: {made.tensors} tensors of {source}{entry}, {made.bytes:,} bytes, SHA-256 {made.sha256}")
    if table is not None and listed is not None:
        add_row(converted_row(made, listed), table)
        click.echo(f"{table} has a row for it now: {made.file.name}")
        return
    known = published_row(source, project_root() / "config" / "weights.tsv")
    if known is None or known.sha256 not in (None, made.origin.sha256):
        click.echo(f"{source.name} is no file of config/weights.tsv: name the SHA-256 above where {made.file} is used")
    else:
        click.echo(
            f"its line for a table of weights (--table adds it):\n{line_of(converted_row(made, known))}", nl=False
        )
