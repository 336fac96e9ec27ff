"""`cafa weights`: published weights, fetched, checked and found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cafa.common.weight_files import PURPOSES

names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")
for_option = click.option(
    "--for",
    "purposes",
    multiple=True,
    type=click.Choice([*PURPOSES, "all"]),
    help="all files for this; may be repeated",
)
table_option = click.option("--table", type=click.Path(path_type=Path), help="table of weights of your own")
unverified_option = click.option("--unverified", is_flag=True, help="take files of which nobody states a digest")


def folder_option(name: str) -> Callable[..., Any]:
    """Option that names the folder of weights."""
    return click.option(
        name,
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="folder of weights  [default: the variable CAFA_WEIGHTS, or the user's data folder]",
    )


@click.group()
def command() -> None:
    """Fetch published weights, check them, and say where they are."""


@command.command("list")
@for_option
@folder_option("--folder")
@table_option
@click.option("--json", "as_json", is_flag=True, help="every file, as a JSON array")
def list_command(purposes: tuple[str, ...], folder: Path | None, table: Path | None, as_json: bool) -> None:
    """What there is: what it is for, size, licence, terms, and whether it is here."""
    from cafa.weights.commands import list_weights

    click.echo(list_weights(purposes, folder, table, as_json=as_json))


@command.command("get")
@names_argument
@for_option
@folder_option("--to")
@table_option
@click.option("--accept", multiple=True, metavar="NAME", help="accept the licence of NAME; may be repeated")
@unverified_option
def get_command(
    names: tuple[str, ...],
    purposes: tuple[str, ...],
    folder: Path | None,
    table: Path | None,
    accept: tuple[str, ...],
    unverified: bool,
) -> None:
    """Fetch models or files that are not there, and check all of them; what was cut short goes on where it was."""
    from cafa.weights.commands import get_weights

    click.echo(get_weights(names, purposes, folder, table, accept=accept, unverified=unverified))


@command.command("verify")
@names_argument
@for_option
@folder_option("--folder")
@table_option
@unverified_option
def verify_command(
    names: tuple[str, ...], purposes: tuple[str, ...], folder: Path | None, table: Path | None, unverified: bool
) -> None:
    """Read the files that are there and compare each with its SHA-256; without network."""
    from cafa.weights.commands import verify_weights

    click.echo(verify_weights(names, purposes, folder, table, unverified=unverified))


@command.command("where")
@names_argument
@folder_option("--folder")
@table_option
def where_command(names: tuple[str, ...], folder: Path | None, table: Path | None) -> None:
    """Print the folder of weights, or the paths of files."""
    from cafa.weights.commands import where_weights

    click.echo(where_weights(names, folder, table))


@command.command("remove")
@names_argument
@for_option
@folder_option("--folder")
@table_option
@click.option("--forget", is_flag=True, help="forget their SHA-256 and accepted licences as well")
def remove_command(
    names: tuple[str, ...], purposes: tuple[str, ...], folder: Path | None, table: Path | None, forget: bool
) -> None:
    """Delete files, and what came of them; their SHA-256 stays known, so that no other file takes their place."""
    from cafa.weights.commands import remove_weights

    click.echo(remove_weights(names, purposes, folder, table, forget=forget))
