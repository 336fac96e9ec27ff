"""`cafa ingest`: normalise the clips of a shard."""

from pathlib import Path

import click

from cafa.cli.options import folder, settings_option, shard_option


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@folder("--root", help="folder that the uri of each clip is relative to")
@shard_option
@settings_option("cafa.media.normalise.NormaliseSettings")
@folder("--output-folder", help="folder of this shard's clips")
@click.option("--ledger", required=True, help="ledger to write")
def command(manifest: str, root: Path, shard: tuple[int, int], settings: str, output_folder: Path, ledger: str) -> None:
    """Normalise the clips of a shard; each ends as ok or with a reason in the ledger."""
    from cafa.ingest import ingest_shard
    from cafa.manifest import read_manifest
    from cafa.media.normalise import NormaliseSettings

    counts = ingest_shard(
        read_manifest(manifest),
        root,
        shard=shard[0],
        shards=shard[1],
        settings=NormaliseSettings.model_validate_json(settings),
        output_folder=output_folder,
        ledger=ledger,
    )
    click.echo(", ".join(f"{count} {status}" for status, count in counts.items()) or "no clip in this shard")
