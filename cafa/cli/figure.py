"""`cafa figure`: the trade-off that the asymmetric guidance scale makes, from a table."""

from pathlib import Path

import click

from cafa.cli.options import settings_option, writable


@click.command()
@click.option("--table", type=click.Path(exists=True, path_type=Path), required=True, help="csv of a table")
@settings_option("metrics.tables.figure.FigureSettings")
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="SVG to write")
def command(table: Path, settings: str, output: Path) -> None:
    """Draw metrics against the asymmetric scale, with intervals."""
    from metrics.tables.figure import FigureSettings, draw_trade_off

    draw_trade_off(table, FigureSettings.model_validate_json(settings), output)
