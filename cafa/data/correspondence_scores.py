"""Scores of audio-visual correspondence, clip by clip: the file that one stage writes and others read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cafa.common.tables import read_table, schema_of, write_table

SCHEMA = schema_of([("clip_id", pa.string()), ("correspondence", pa.float64()), ("kept", pa.bool_())])


def write_scores(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write scores as parquet: clip_id, correspondence, kept."""
    write_table(path, rows, SCHEMA)


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read scores.

    Raises
    ------
    InputError
        If the file is missing or is no table of scores.
    """
    return read_table(path, SCHEMA, "a table of correspondence").to_pandas()
