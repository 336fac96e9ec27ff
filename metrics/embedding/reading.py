"""Reading the judges' embeddings: parquet files of one row per sound, picture or caption."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cafa.common.errors import InputError, MissingClipError
from cafa.common.tables import refuse_folder
from metrics.judges.kinds import JUDGES

#: What names a generated sound.
SAMPLE_KEY = ("clip_id", "caption_id", "protocol")
#: What names a clip's own picture and sound.
CLIP_KEY = ("clip_id",)
#: What names a text.
TEXT_KEY = ("caption",)
#: Rows listed by name in an error.
LISTED = 5


def text_path(text: str | Path, judge: str) -> Path:
    """Embeddings of captions by a judge: `text` is the file of CLAP's, beside which those of other judges lie."""
    file = JUDGES[judge].text_file
    if file is None:
        raise InputError(f"the judge {judge} reads no captions")
    return Path(text) if judge == "clap" else Path(text).parent / file


def listed(names: Sequence[object]) -> str:
    """The first few of `names`, and how many more there are."""
    shown = ", ".join("/".join(name) if isinstance(name, tuple) else str(name) for name in names[:LISTED])
    return shown + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def read_frame(path: str | Path, columns: Sequence[str], what: str) -> pd.DataFrame:
    """Read a parquet table that must have `columns`; `what` it is, for messages.

    Raises
    ------
    InputError
        If the file is not there, is a folder, is no parquet file or lacks a column.
    """
    refuse_folder(path, what)
    try:
        # Without this a folder called a=b on the way would become a column.
        table = pq.read_table(path, partitioning=None)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not {what}: {error}") from error
    if missing := [name for name in columns if name not in table.column_names]:
        raise InputError(f"{path} is not {what}: it has no column {', '.join(missing)}")
    return table.to_pandas()


class Embeddings:
    """A judge's arrays of many sounds, found by key.

    Parameters
    ----------
    source : str
        Where they come from, for messages.
    keys : pandas.DataFrame
        One row per array; the columns are the key.
    arrays : dict of str to numpy.ndarray
        Columns, each float32 of shape (rows, values).
    grid : list of float, optional
        Offsets in seconds that a synchronisation judge's classes stand for.
    weights_sha256 : str, optional
        Of the judge that made them.
    audio_protocol : dict, optional
        What was used of a file of sound: seconds...
    reported_classes : dict of str to int, optional
        Classes of a classifier that are reported for themselves, and their places among the logits.
    """

    def __init__(
        self,
        source: str,
        keys: pd.DataFrame,
        arrays: dict[str, np.ndarray],
        grid: list[float] | None = None,
        weights_sha256: str | None = None,
        audio_protocol: dict[str, Any] | None = None,
        reported_classes: dict[str, int] | None = None,
    ) -> None:
        self.source, self.arrays, self.grid, self.weights_sha256 = source, arrays, grid, weights_sha256
        self.audio_protocol, self.reported_classes = audio_protocol, reported_classes or {}
        self.key = tuple(keys.columns)
        self._index = pd.MultiIndex.from_frame(keys)
        if self._index.has_duplicates:
            twice = sorted(set(self._index[self._index.duplicated()]))
            raise InputError(
                f"{source}: {len(twice)} rows are there twice: {listed(twice)}; "
                "delete files left from a run with another number of shards"
            )

    def __len__(self) -> int:
        return len(self._index)

    def keys(self) -> pd.DataFrame:
        """Keys of all rows, in the order of the arrays."""
        return self._index.to_frame(index=False)

    def column(self, name: str) -> np.ndarray:
        """Array of all rows, shape (rows, values)."""
        if name not in self.arrays:
            raise InputError(f"{self.source} has no column {name!r}, only {sorted(self.arrays)}")
        return self.arrays[name]

    def take(self, wanted: pd.DataFrame, name: str) -> np.ndarray:
        """Array of the rows that `wanted` names, in its order.

        Parameters
        ----------
        wanted : pandas.DataFrame
            Has the key's columns; a key may come more than once.
        name : str
            Column of the arrays.

        Returns
        -------
        numpy.ndarray, float32, shape (len(wanted), values)

        Raises
        ------
        MissingClipError
            If a row is not there, or is there but not finite.
        """
        asked = pd.MultiIndex.from_frame(wanted[list(self.key)])
        positions = self._index.get_indexer(asked)
        if (positions < 0).any():
            missing = sorted(set(asked[positions < 0]))
            raise MissingClipError(
                f"{self.source}: {len(missing)} of {len(asked.unique())} rows are missing: {listed(missing)}. "
                "The ledgers and the index of samples say why; make them, or let the index excuse them"
            )
        rows = self.column(name)[positions]
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            names = sorted(set(asked[bad]))
            raise MissingClipError(
                f"{self.source}: {name} of {len(names)} rows is not finite: {listed(names)}. Make them again"
            )
        return rows


def _matrix(column: pa.ChunkedArray, source: str, name: str) -> np.ndarray:
    """Lists of equal length as a matrix."""
    if column.null_count:
        raise InputError(f"{source}: {column.null_count} rows have no {name}")
    lists = column.combine_chunks()
    if len(lists) == 0:
        return np.empty((0, 0), dtype=np.float32)
    lengths = np.unique(pc.list_value_length(lists).to_numpy())
    if len(lengths) != 1:
        raise InputError(f"{source}: {name} has lists of different lengths: {lengths.tolist()}")
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1).astype(np.float32, copy=False)


def read_embeddings(paths: Sequence[str | Path], key: Sequence[str], columns: Sequence[str]) -> Embeddings:
    """Read a judge's embeddings from all shards.

    Parameters
    ----------
    paths : sequence of path
        Parquet files with the key's columns (strings) and columns of float32 lists.
    key : sequence of str
        :data:`SAMPLE_KEY`, :data:`CLIP_KEY` or :data:`TEXT_KEY`.
    columns : sequence of str
        Columns of lists to read.

    Returns
    -------
    Embeddings

    Raises
    ------
    InputError
        If a file or column is missing, a key comes twice, or the shards were made by different judges.
    """
    source = f"{paths[0]}" + (f" (and {len(paths) - 1} more shards)" if len(paths) > 1 else "") if paths else ""
    if not paths:
        raise InputError("no file of embeddings was given")
    tables, judges = [], set()
    for path in paths:
        if not Path(path).is_file():
            raise InputError(f"no file {path}: the judge's embeddings of this shard were not made")
        found = pq.read_schema(path)
        missing = [name for name in (*key, *columns) if name not in found.names]
        if missing:
            raise InputError(f"{path} has no column {', '.join(missing)}, only {', '.join(found.names)}")
        table = pq.read_table(path, columns=[*key, *columns], partitioning=None)
        if table.num_rows:
            tables.append(table.replace_schema_metadata(None))
        metadata = found.metadata or {}
        judges.add(tuple(metadata.get(name) for name in (b"weights_sha256", b"grid", b"hears", b"leaks")))
    if len(judges) > 1:
        raise InputError(f"{source}: the shards were made by different judges, or of other lengths: embed them again")
    if not tables:
        raise InputError(f"{source}: no rows")
    whole = pa.concat_tables(tables)
    arrays = {name: _matrix(whole.column(name), source, name) for name in columns}
    weights, *facts = judges.pop()
    grid, protocol, classes = (json.loads(fact) if fact else None for fact in facts)
    keys = whole.select(list(key)).to_pandas()
    return Embeddings(source, keys, arrays, grid, weights.decode() if weights else None, protocol, classes)


def same_judge(first: Embeddings, second: Embeddings) -> None:
    """Raise `InputError` if two sets of embeddings, which are to be compared, are of other weights or other lengths."""
    if first.weights_sha256 != second.weights_sha256:
        raise InputError(
            f"{first.source} was made by another judge (weights {first.weights_sha256}) than {second.source} "
            f"(weights {second.weights_sha256}): embed the older of them again"
        )
    if None not in (first.audio_protocol, second.audio_protocol) and first.audio_protocol != second.audio_protocol:
        raise InputError(
            f"{first.source} was embedded as {first.audio_protocol}, {second.source} as {second.audio_protocol}: embed "
            "both the same way"
        )
