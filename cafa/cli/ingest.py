"""`cafa ingest`: normalise the clips of a shard."""

from pathlib import Path

import click

from cafa.cli.options import files, folder, follow_links_option, resume_options, settings_option, shard_option, writable
from cafa.common.errors import InputError


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@click.option("--root", type=click.Path(path_type=Path), help="folder that the uri of each clip is relative to")
@click.option("--fetched", help="instead of --root: table of `cafa fetch` that says where each raw file is")
@click.option("--fetch-ledger", help="with --fetched: its ledger, which says why other clips are not there")
@shard_option
@settings_option("cafa.media.normalise.NormaliseSettings")
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
    manifest: str, root: Path | None, fetched: str | None, fetch_ledger: str | None, shard: tuple[int, int],
    settings: str, output_folder: Path, ledger: str, workers: int, seconds_per_clip: float, reuse: tuple[str, ...],
    follow_links: bool,
) -> None:  # fmt: skip
    """Normalise the clips of a shard; each ends as ok or with a reason in the ledger."""
    from cafa.data.ingest import Fetched, RootFolder, ingest_shard
    from cafa.data.manifest import read_manifest
    from cafa.media.normalise import NormaliseSettings

    if (root is None) == (fetched is None) or (fetch_ledger is not None and fetched is None):
        raise InputError("give either --root, or --fetched (and with it --fetch-ledger)")
    counts = ingest_shard(
        read_manifest(manifest),
        RootFolder(root, follow_links=follow_links) if root is not None else Fetched(str(fetched), fetch_ledger),
        shard=shard[0],
        shards=shard[1],
        settings=NormaliseSettings.model_validate_json(settings),
        output_folder=output_folder,
        ledger=ledger,
        workers=workers,
        seconds_per_clip=seconds_per_clip,
        reuse=reuse,
    )
    click.echo(", ".join(f"{count} {status}" for status, count in counts.items()) or "no clip in this shard")
