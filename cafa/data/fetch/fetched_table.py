"""Where the raw file of each clip is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cafa.common.tables import read_table, schema_of, write_table

SCHEMA = schema_of(
    [
        ("clip_id", pa.string()),
        ("path", pa.string()),  # absolute
        ("source", pa.string()),
        ("start", pa.float64()),  # second of the file where the clip starts
        ("sha256", pa.string()),  # null: not computed
    ]
)


def write_fetched(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write where clips are as parquet."""
    write_table(path, rows, SCHEMA)


def read_fetched(path: str | Path) -> pd.DataFrame:
    """Read where clips are.

    Raises
    ------
    InputError
        If the file is no such table, or is one of another version.
    """
    return read_table(path, SCHEMA, "a table of fetched clips").to_pandas()
