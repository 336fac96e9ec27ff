"""`cafa models`: pretrained models of the generator."""

from pathlib import Path

import click

from cafa.cli.options import folder, settings_option, writable


@click.group()
def command() -> None:
    """Register pretrained models, and convert their files."""


@command.command()
@settings_option("cafa.models.registry.PretrainedModel (by `kind`)", required=True)
@click.option(
    "--weights-table",
    type=click.Path(path_type=Path),
    default=None,
    help="table of weights, for digests  [default: the package's own]",
)
@folder("--output", help="model folder to write")
def register(settings: str, weights_table: Path | None, output: Path) -> None:
    """Check a pretrained model's files and write its card; later stages use the folder like a trained model's."""
    from cafa.models.registering import register_pretrained

    click.echo(register_pretrained(settings, output, weights_table))


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
    from cafa.models.convert_file import convert_checkpoint

    click.echo(convert_checkpoint(source, output, key=key, force=force, table=table))
