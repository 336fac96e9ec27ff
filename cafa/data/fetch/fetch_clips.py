"""`cafa fetch`: the raw files of a shard of clips, from a manifest."""

from pathlib import Path

from cafa.common.counting import counts_line
from cafa.data.fetch.settings import FetchSettings
from cafa.data.fetch.shard import fetch_shard
from cafa.data.manifest import read_manifest


def fetch_clips(
    manifest: str | Path,
    settings: FetchSettings,
    *,
    shard: tuple[int, int],
    folder: str | Path,
    output: str | Path,
    ledger: str | Path,
) -> str:
    """Find or download each clip's file; see :func:`cafa.data.fetch.shard.fetch_shard`.

    Parameters
    ----------
    manifest : path
        Of the data set.
    settings : FetchSettings
    shard : (int, int)
        Number and count.
    folder : path
        Of downloads; shards and data sets share it.
    output, ledger : path
        Table of where each clip's file is, and ledger, to write.

    Returns
    -------
    str
        Clips by status, as a line.
    """
    counts = fetch_shard(
        read_manifest(manifest), settings, shard=shard[0], shards=shard[1], folder=folder, output=output, ledger=ledger
    )
    return counts_line(counts, "no clip in this shard")
