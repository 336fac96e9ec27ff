"""Where the raw file of each clip is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.errors import InputError
from cafa.common.files import whole

SCHEMA = pa.schema(
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
    with whole(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), temporary)


def read_fetched(path: str | Path) -> pd.DataFrame:
    """Read where clips are.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not a table of fetched clips: {error}") from error
    if table.schema.names != SCHEMA.names:
        raise InputError(
            f"{path} is not a table of fetched clips: columns {table.schema.names}, expected {SCHEMA.names}"
        )
    return table.cast(SCHEMA).to_pandas()
