"""`cafa store`: the folder of embeddings that evaluations share."""

from pathlib import Path

import click

folder_argument = click.argument("folder", type=click.Path(path_type=Path, file_okay=False), envvar="CAFA_EMBEDDINGS")


@click.group()
def command() -> None:
    """Look at the embeddings that evaluations share (`cafa evaluate --store`), and remove what is no longer of use."""


@command.command()
@folder_argument
def show(folder: Path) -> None:
    """What FOLDER holds; by default the folder of the variable CAFA_EMBEDDINGS."""
    from metrics.embedding.store_files import show_store

    click.echo(show_store(folder))


@command.command()
@folder_argument
@click.option("--unused-days", "days", type=click.FloatRange(0), help="remove what was not used for so many days")
@click.option("--keep-gb", "gigabytes", type=click.FloatRange(0), help="remove the longest unused beyond this size")
def prune(folder: Path, days: float | None, gigabytes: float | None) -> None:
    """Remove entries of FOLDER; what is needed again is made again."""
    from metrics.embedding.store_files import prune_store

    click.echo(prune_store(folder, days, gigabytes))
