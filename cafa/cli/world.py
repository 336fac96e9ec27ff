"""`cafa world`: plan and render clips of the rendered world."""

from pathlib import Path

import click

from cafa.cli.options import folder, resume_options, seed_option, shard_option, writable
from cafa.cli.renamed import renamed_option

wrong_sounds_option = click.option(
    "--wrong-sounds", type=click.FloatRange(0, 1), help="share of clips whose sound does not belong to their picture"
)


@click.group()
def command() -> None:
    """Plan and render clips whose events are seen and heard at known times."""


@command.command()
@click.option("--dataset", required=True, help="name of the data set; two names share no clip")
@click.option("--clips-per-category", type=click.IntRange(1), required=True, help="clips of each of the 12 categories")
@click.option("--split", multiple=True, default=("train=1",), help="NAME=SHARE, e.g. train=0.9 and validation=0.1")
@seed_option
@click.option(
    "--source", required=True, callback=writable, help="table of clips (csv) to write, input of `cafa manifest`"
)
@renamed_option("--truth", "--event-times")
@click.option("--event-times", required=True, callback=writable, help="event times to write")
@wrong_sounds_option
def plan(
    dataset: str,
    clips_per_category: int,
    split: tuple[str, ...],
    seed: int,
    source: str,
    event_times: str,
    wrong_sounds: float | None,
) -> None:
    """List the clips of a data set, and the true times of their events."""
    from cafa.world.dataset import plan_dataset

    plan_dataset(
        dataset,
        clips_per_category,
        split,
        seed=seed,
        source=source,
        event_times=event_times,
        wrong_sounds=wrong_sounds,
    )


@command.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@seed_option
@shard_option
@folder("--output-folder", help="folder of the data set's raw files")
@click.option("--ledger", required=True, callback=writable, help="ledger to write")
@wrong_sounds_option
@resume_options
def render(
    manifest: str, seed: int, shard: tuple[int, int], output_folder: Path, ledger: str, wrong_sounds: float | None
) -> None:
    """Render the clips of a shard as mp4 files; clips already rendered by the same version are kept."""
    from cafa.world.dataset import render_dataset

    render_dataset(
        manifest, seed=seed, shard=shard, output_folder=output_folder, ledger=ledger, wrong_sounds=wrong_sounds
    )


@command.command("filter-table")
@click.option("--scores", required=True, help="scores of `cafa features correspondence`")
@click.option("--event-times", required=True, help="of a data set with wrong sounds: which sounds are wrong")
@click.option("--csv", required=True, callback=writable, help="table to write")
@click.option("--markdown", required=True, callback=writable, help="the same for people")
def filter_table(scores: str, event_times: str, csv: str, markdown: str) -> None:
    """How well a filter by correspondence finds the clips whose sound is known to be wrong."""
    from cafa.world.filter_table import write_filter_table

    click.echo(write_filter_table(scores, event_times, csv, markdown))
