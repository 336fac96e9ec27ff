"""`cafa ingest`: normalise the clips of a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import (
    files,
    folder,
    follow_links_option,
    resume_options,
    shard_option,
    validated_settings,
    writable,
)

if TYPE_CHECKING:
    from cafa.media.normalise import NormaliseSettings


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@click.option("--root", type=click.Path(path_type=Path), help="folder that the uri of each clip is relative to")
@click.option("--fetched", help="instead of --root: table of `cafa fetch` that says where each raw file is")
@click.option("--fetch-ledger", help="with --fetched: its ledger, which says why other clips are not there")
@shard_option
@validated_settings("cafa.media.normalise.NormaliseSettings")
@folder("--output-folder", help="folder of this shard's clips")
@click.option("--ledger", required=True, callback=writable, help="ledger to write")
@click.option("--workers", default=0, type=click.IntRange(0), help="processes; 0: this one, without a limit of time")
@click.option(
    "--seconds-per-clip", default=300.0, type=click.FloatRange(1), help="after which a worker gives a clip up"
)
@follow_links_option
@resume_options
@files("--reuse", required=False, help="folder of normalised clips of another data set, whose equal ones are taken")
def command(
    manifest: str,
    root: Path | None,
    fetched: str | None,
    fetch_ledger: str | None,
    shard: tuple[int, int],
    settings: "NormaliseSettings",
    output_folder: Path,
    ledger: str,
    workers: int,
    seconds_per_clip: float,
    reuse: tuple[str, ...],
    follow_links: bool,
) -> None:
    """Normalise the clips of a shard; each ends as ok or with a reason in the ledger."""
    from cafa.data.ingest_clips import RawClips, ingest_clips

    counts = ingest_clips(
        manifest,
        RawClips(root, fetched, fetch_ledger, follow_links),
        settings,
        shard=shard,
        output_folder=output_folder,
        ledger=ledger,
        workers=workers,
        seconds_per_clip=seconds_per_clip,
        reuse=reuse,
    )
    click.echo(counts)
