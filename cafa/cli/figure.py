"""`cafa figure`: the trade-off that the asymmetric guidance scale makes, from a table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import validated_settings, writable

if TYPE_CHECKING:
    from metrics.tables.figure import FigureSettings


@click.command()
@click.option("--table", type=click.Path(exists=True, path_type=Path), required=True, help="csv of a table")
@validated_settings("metrics.tables.figure.FigureSettings")
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="SVG to write")
def command(table: Path, settings: "FigureSettings", output: Path) -> None:
    """Draw metrics against the asymmetric scale, with intervals."""
    from metrics.tables.figure import draw_trade_off

    draw_trade_off(table, settings, output)
