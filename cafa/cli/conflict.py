"""`cafa conflict`: what becomes of picture and text in a sound, the more they disagree."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import files, validated_settings, writable

if TYPE_CHECKING:
    from metrics.tables.conflict import ConflictCurveSettings


@click.command()
@validated_settings("metrics.tables.conflict.ConflictCurveSettings")
@files("--scores", paths=True, help="scores of one system")
@click.option("--published", type=click.Path(exists=True, path_type=Path), help="values of others, to draw beside ours")
@click.option("--csv", type=click.Path(path_type=Path), required=True, callback=writable, help="table to write")
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="SVG to write")
def command(
    settings: "ConflictCurveSettings", scores: tuple[Path, ...], published: Path | None, csv: Path, output: Path
) -> None:
    """Draw metrics over the levels of conflict between picture and caption, with intervals."""
    from metrics.tables.conflict import draw_conflict

    draw_conflict(scores, settings, csv, output, published)
