"""`cafa spectrograms`: one clip under several captions, by several systems, on one time axis."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import folder, validated_settings, writable

if TYPE_CHECKING:
    from metrics.tables.spectrograms import SpectrogramSettings


@click.command()
@validated_settings("metrics.tables.spectrograms.SpectrogramSettings")
@click.option("--prompts", type=click.Path(exists=True, path_type=Path), required=True, help="prompt set")
@folder("--samples-folder", help="holds <system>/<shard>.parquet and the sounds")
@click.option(
    "--event-times",
    type=click.Path(exists=True, path_type=Path),
    help="table of clip_id and event_times, seconds at which something that sounds is seen; they are marked",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="SVG or PNG to write")
def command(
    settings: "SpectrogramSettings", prompts: Path, samples_folder: Path, event_times: Path | None, output: Path
) -> None:
    """Draw spectrograms: a row for each system, a column for each caption, the clip's own first."""
    from metrics.tables.spectrograms import draw_spectrograms_of_files

    click.echo(draw_spectrograms_of_files(prompts, samples_folder, settings, output, event_times))
