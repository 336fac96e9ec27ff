"""`cafa rows`: which rows of a configuration's tables can be made here."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--configfile",
    "configs",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="configuration, several in the order in which they are laid over each other; give config/config.yaml first",
)
@click.option("--json", "as_json", is_flag=True, help="for programs: one object for each row")
def command(configs: tuple[Path, ...], as_json: bool) -> None:
    """List every row of every table: made, can be made, importable, or missing, and what it needs."""
    from cafa.preflight.rows import print_rows
    from metrics.judges.named_files import files_of_named_judges

    click.echo(print_rows(configs, files_of_named_judges, as_json=as_json))
