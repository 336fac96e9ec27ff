"""`cafa world`: plan and render clips of the rendered world."""

from pathlib import Path

import click

from cafa.cli.options import folder, resume_options, seed_option, shard_option, writable
from cafa.cli.renamed import renamed_option


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
def plan(
    dataset: str, clips_per_category: int, split: tuple[str, ...], seed: int, source: str, event_times: str
) -> None:
    """List the clips of a data set, and the true times of their events."""
    from cafa.world.dataset import plan_dataset

    plan_dataset(dataset, clips_per_category, split, seed=seed, source=source, event_times=event_times)


@command.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@seed_option
@shard_option
@folder("--output-folder", help="folder of the data set's raw files")
@click.option("--ledger", required=True, callback=writable, help="ledger to write")
@resume_options
def render(manifest: str, seed: int, shard: tuple[int, int], output_folder: Path, ledger: str) -> None:
    """Render the clips of a shard as mp4 files; clips already rendered by the same version are kept."""
    from cafa.world.dataset import render_dataset

    render_dataset(manifest, seed=seed, shard=shard, output_folder=output_folder, ledger=ledger)
