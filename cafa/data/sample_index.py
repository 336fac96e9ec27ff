"""The sounds of a system, from the indices of its shards."""

from pathlib import Path

import pandas as pd

from cafa.common.ledger import OK
from cafa.common.shards import shard_files


def keyed(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` indexed by what names a sample: ``clip_id/caption_id/protocol``."""
    return rows.set_axis(pd.Index(rows["clip_id"] + "/" + rows["caption_id"] + "/" + rows["protocol"]))


def read_sounds(folder: Path, shards: int | None = None) -> pd.DataFrame:
    """Samples of a system that are ok, as :func:`keyed`, with the ``path`` of each sound.

    Parameters
    ----------
    folder : Path
        Holds ``<shard>.parquet`` and the sounds, ``<shard>/<file>``.
    shards : int, optional
        How many there are; by default all that are there.

    Raises
    ------
    InputError
        If there is no index, or one of the shards is missing.
    """
    parts = []
    for path in shard_files(folder, "{}.parquet", shards=shards):
        part = pd.read_parquet(path)
        part = part[part["status"] == OK]
        parts.append(part.assign(path=[path.parent / path.stem / name for name in part["file"]]))
    return keyed(pd.concat(parts, ignore_index=True))


def lost_samples(folder: Path, shards: int | None = None) -> pd.DataFrame:
    """Samples of a system that are not ok, as :func:`keyed`: with ``status`` and ``detail``, why not.

    Parameters
    ----------
    folder, shards
        As :func:`read_sounds`.
    """
    parts = [pd.read_parquet(path) for path in shard_files(folder, "{}.parquet", shards=shards)]
    return keyed(pd.concat([part[part["status"] != OK] for part in parts], ignore_index=True))
