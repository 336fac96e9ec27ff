"""Where a job of `cafa features` finds the clips of its shard."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cafa.data.manifest import read_manifest


@dataclass(frozen=True)
class ShardClips:
    """Normalised clips of one shard.

    Parameters
    ----------
    manifest : path
        Of the data set.
    clips : path
        Folder of the shard's normalised clips.
    ingest_ledger : path
        Ledger of `cafa ingest` of the shard.
    shard : (int, int)
        Number and count.
    """

    manifest: str | Path
    clips: Path
    ingest_ledger: str | Path
    shard: tuple[int, int] = (0, 1)

    def rows(self) -> pd.DataFrame:
        """The manifest, of all shards."""
        return read_manifest(self.manifest)
