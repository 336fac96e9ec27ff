"""`cafa fetch`: find or download the raw files of clips."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import folder, shard_option, validated_settings, writable

if TYPE_CHECKING:
    from cafa.data.fetch.settings import FetchSettings


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@validated_settings("cafa.data.fetch.settings.FetchSettings")
@shard_option
@folder("--folder", help="folder of downloads; shards and data sets share it")
@click.option("--output", required=True, callback=writable, help="table of where each clip's file is, to write")
@click.option(
    "--ledger",
    required=True,
    callback=writable,
    help="ledger to write; a journal beside it lets the same command go on",
)
def command(
    manifest: str, settings: "FetchSettings", shard: tuple[int, int], folder: Path, output: str, ledger: str
) -> None:
    """Find or download each clip's file; each ends as ok or with a reason in the ledger."""
    from cafa.data.fetch.fetch_clips import fetch_clips

    click.echo(fetch_clips(manifest, settings, shard=shard, folder=folder, output=output, ledger=ledger))
