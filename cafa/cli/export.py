"""`cafa export`: results for a leaderboard or a paper."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import folder, validated_settings

if TYPE_CHECKING:
    from metrics.results.export import ExportSettings


@click.command()
@click.argument("results", type=click.Path(exists=True, path_type=Path))
@validated_settings("metrics.results.export.ExportSettings")
@folder("--output", help="folder to write")
def command(results: Path, settings: "ExportSettings", output: Path) -> None:
    """Write RESULTS as JSON with its protocol, LaTeX, Markdown, model-index and RO-Crate.

    RESULTS is the --output folder of `cafa evaluate`, or the csv of a table.
    """
    from metrics.results.export import export_results

    click.echo(export_results(results, output, settings))
