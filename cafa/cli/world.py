"""`cafa world`: plan and render clips of the rendered world."""

from pathlib import Path

import click

from cafa.cli.options import folder, resume_options, seed_option, shard_option, writable
from cafa.common.errors import InputError
from cafa.common.files import whole


@click.group()
def command() -> None:
    """Plan and render clips whose events are seen and heard at known times."""


def _shares(values: tuple[str, ...]) -> tuple[str, float]:
    """Name of the main split, and the share of validation."""
    pairs = [value.partition("=")[::2] for value in values]
    shares = {name: float(share or 1) for name, share in pairs}
    main = [name for name in shares if name != "validation"]
    if len(main) != 1 or abs(sum(shares.values()) - 1) > 1e-9:
        raise InputError(f"splits must be one of train or test, and validation if wanted, with sum 1: got {shares}")
    return main[0], shares.get("validation", 0.0)


@command.command()
@click.option("--dataset", required=True, help="name of the data set; two names share no clip")
@click.option("--clips-per-category", type=click.IntRange(1), required=True, help="clips of each of the 12 categories")
@click.option("--split", multiple=True, default=("train=1",), help="NAME=SHARE, e.g. train=0.9 and validation=0.1")
@seed_option
@click.option(
    "--source", required=True, callback=writable, help="table of clips (csv) to write, input of `cafa manifest`"
)
@click.option("--truth", required=True, callback=writable, help="event times to write")
def plan(dataset: str, clips_per_category: int, split: tuple[str, ...], seed: int, source: str, truth: str) -> None:
    """List the clips of a data set, and the true times of their events."""
    from cafa.world import clips

    main, validation = _shares(split)
    held_out = round(validation * clips_per_category)
    rows = clips.plan(dataset, clips_per_category, seed, main, held_out)
    with whole(truth) as temporary:
        clips.truth(rows["clip_id"].tolist(), seed).to_parquet(temporary, index=False)
    with whole(source) as temporary:
        rows.to_csv(temporary, index=False)


@command.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@seed_option
@shard_option
@folder("--output-folder", help="folder of the data set's raw files")
@click.option("--ledger", required=True, callback=writable, help="ledger to write")
@resume_options
def render(manifest: str, seed: int, shard: tuple[int, int], output_folder: Path, ledger: str) -> None:
    """Render the clips of a shard as mp4 files; clips already rendered by the same version are kept."""
    from cafa.common.folder_lock import only_writer_of
    from cafa.common.ledger import ledger_row, write_ledger
    from cafa.common.progress import progress
    from cafa.common.shards import shard_of
    from cafa.common.stages import stage_version
    from cafa.data.manifest import read_manifest
    from cafa.world.clips import render_shard

    clip_ids = [c for c in read_manifest(manifest)["clip_id"] if shard_of(c, shard[1]) == shard[0]]
    journal, version = Path(ledger).with_suffix(".journal.jsonl"), stage_version("render_world")
    with only_writer_of([ledger]):
        render_shard(progress(clip_ids, "render", len(clip_ids)), seed, output_folder, journal, version)
        write_ledger(ledger, [ledger_row(clip_id, "render") for clip_id in clip_ids])
        journal.unlink()
