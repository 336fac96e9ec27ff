"""`cafa baselines`: generations that other people published, and systems of theirs that can be run."""

from pathlib import Path

import click

from cafa.cli.options import writable

folder_option = click.option(
    "--folder",
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("published"),
    help="folder of published sets, each in a folder of its name",
)


@click.group()
def command() -> None:
    """List, fetch and check the generations that other people published."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="everything that is known, as JSON")
def list_command(as_json: bool) -> None:
    """What is published, under which licence, and what could not be found; and what can be run."""
    from cafa.generation.published_commands import list_baselines

    click.echo(list_baselines(as_json=as_json))


@command.command("get")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@folder_option
@click.option("--accept", multiple=True, metavar="NAME", help="accept the licence of NAME; may be repeated")
def get_command(names: tuple[str, ...], folder: Path, accept: tuple[str, ...]) -> None:
    """Fetch sets and check them; what was cut short goes on where it was."""
    from cafa.generation.published_commands import get_baselines

    click.echo(get_baselines(names, folder, accept=accept))


@command.command("check")
@click.argument("name")
@folder_option
@click.option("--place", type=click.Path(path_type=Path), help="folder of the sounds  [default: FOLDER/NAME]")
@click.option("--archive", multiple=True, help="archive of the sounds, or a pattern such as set/*.tar; may be repeated")
@click.option("--pattern", multiple=True, help="pattern of names, as `pattern` of a system; may be repeated")
@click.option("--name-field", help="webdataset: field of the JSON beside each sound that holds its name")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="least length  [default: as published]")
@click.option("--prompts", type=click.Path(path_type=Path), help="prompt set, whose clips are looked for")
@click.option("--ledger", type=click.Path(path_type=Path), callback=writable, help="ledger to write")
def check_command(
    name: str,
    folder: Path,
    place: Path | None,
    archive: tuple[str, ...],
    pattern: tuple[str, ...],
    name_field: str | None,
    seconds: float | None,
    prompts: Path | None,
    ledger: Path | None,
) -> None:
    """Read the sounds of a set: names that match, clips that are missing, lengths and rates."""
    from cafa.generation.published_commands import check_baseline

    text = check_baseline(
        name,
        folder,
        place=place,
        archive=archive,
        pattern=pattern,
        name_field=name_field,
        seconds=seconds,
        prompts=prompts,
        ledger=ledger,
    )
    click.echo(text)
