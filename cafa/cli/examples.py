"""`cafa examples`: a page of playable examples in one file."""

from pathlib import Path

import click

from cafa.cli.options import files, folder, settings_option, shards_option, writable


@click.command()
@settings_option("cafa.generation.examples.ExamplesSettings")
@click.option("--prompts", type=click.Path(exists=True, path_type=Path), required=True, help="prompt set")
@folder("--clips", help="normalised clips of the data set")
@folder("--samples-folder", help="holds <system>/<shard>.parquet and the sounds")
@shards_option("a system's samples")
@shards_option("the clips", "--clip-shards")
@files("--system", required=False, help="system to show, in the place of `systems` of the settings")
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="HTML to write")
def command(
    settings: str, prompts: Path, clips: Path, samples_folder: Path, shards: int | None, clip_shards: int | None,
    system: tuple[str, ...], output: Path,
) -> None:  # fmt: skip
    """Write one HTML file that plays clips under several prompts, by several systems."""
    from cafa.data.prompts import read_prompts
    from cafa.generation.examples import ExampleSources, ExamplesSettings, write_examples

    parsed = ExamplesSettings.model_validate_json(settings)
    if system:
        parsed = parsed.model_copy(update={"systems": system})
    sources = ExampleSources(clips, samples_folder, clip_shards, shards)
    count = write_examples(read_prompts(prompts), sources, parsed, output)
    click.echo(f"{output}: {count} videos")
