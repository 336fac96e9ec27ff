"""`cafa fetch`: find or download the raw files of clips."""

from pathlib import Path

import click

from cafa.cli.options import folder, settings_option, shard_option, writable


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@settings_option("cafa.data.fetch.settings.FetchSettings")
@shard_option
@folder("--folder", help="folder of downloads; shards and data sets share it")
@click.option("--output", required=True, callback=writable, help="table of where each clip's file is, to write")
@click.option(
    "--ledger",
    required=True,
    callback=writable,
    help="ledger to write; a journal beside it lets the same command go on",
)
def command(manifest: str, settings: str, shard: tuple[int, int], folder: Path, output: str, ledger: str) -> None:
    """Find or download each clip's file; each ends as ok or with a reason in the ledger."""
    from cafa.data.fetch.settings import FetchSettings
    from cafa.data.fetch.shard import fetch_shard
    from cafa.data.manifest import read_manifest

    counts = fetch_shard(
        read_manifest(manifest),
        FetchSettings.model_validate_json(settings),
        shard=shard[0],
        shards=shard[1],
        folder=folder,
        output=output,
        ledger=ledger,
    )
    click.echo(", ".join(f"{count} {status}" for status, count in counts.items()) or "no clip in this shard")
