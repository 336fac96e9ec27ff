"""`cafa examples`: a page of playable examples."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import files, folder, shards_option, validated_settings, writable

if TYPE_CHECKING:
    from metrics.examples.settings import ExamplesSettings


@click.command()
@validated_settings("metrics.examples.settings.ExamplesSettings")
@click.option("--prompts", type=click.Path(exists=True, path_type=Path), required=True, help="prompt set")
@folder("--clips", help="normalised clips of the data set")
@folder("--samples-folder", help="holds <system>/<shard>.parquet and the sounds")
@shards_option("a system's samples")
@shards_option("the clips", "--clip-shards")
@files("--system", required=False, help="system to show, in the place of `systems` of the settings")
@click.option(
    "--scores-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="holds <system>.parquet: scores of each sample are shown, and the worst ones",
)
@click.option(
    "--judged-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="holds <system>/<shard>/index.parquet, as pretrained judges left it: why a sample has no scores",
)
@click.option(
    "--event-times",
    type=click.Path(exists=True, path_type=Path),
    help="table of clip_id and event_times, seconds at which something that sounds is seen; they are marked",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="HTML to write")
def command(
    settings: "ExamplesSettings",
    prompts: Path,
    clips: Path,
    samples_folder: Path,
    shards: int | None,
    clip_shards: int | None,
    system: tuple[str, ...],
    scores_folder: Path | None,
    judged_folder: Path | None,
    event_times: Path | None,
    output: Path,
) -> None:
    """Write a page that plays clips under several prompts, by several systems, with scores, a filter and failures."""
    from metrics.examples.from_files import make_examples_page
    from metrics.examples.settings import ExampleSources

    sources = ExampleSources(clips, samples_folder, clip_shards, shards, scores_folder, judged_folder, event_times)
    click.echo(make_examples_page(prompts, sources, settings, output, system))
