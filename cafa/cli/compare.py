"""`cafa compare`: results of different people side by side."""

from pathlib import Path

import click

from cafa.cli.options import writable


@click.command()
@click.argument("places", nargs=-1, required=True)
@click.option("--output", type=click.Path(path_type=Path), callback=writable, help="folder to write  [default: none]")
def command(places: tuple[str, ...], output: Path | None) -> None:
    """Join results, mark what is not comparable with the first and say why; refuse where nothing is.

    PLACES are --output folders of `cafa evaluate` or csv files of tables, as PLACE or NAME=PLACE.
    """
    from metrics.results.compare import compare_folders

    click.echo(compare_folders(places, output))
