"""Ledgers: what became of every clip that a stage was asked for."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.errors import InputError
from cafa.files import whole

OK = "ok"

#: reason -> (can trying again help, what it means)
REASONS: dict[str, tuple[bool, str]] = {
    "bad_id": (False, "clip_id is not [A-Za-z0-9._-]{1,80}, or starts with a dot"),
    "duplicate_id": (False, "clip_id was already used by an earlier row"),
    "bad_path": (False, "path leaves the folder that was given"),
    "bad_row": (False, "a required field is missing or cannot be parsed"),
    "missing_file": (True, "the file is not there"),
    "unreadable": (True, "the file is there but cannot be read (permissions, disk)"),
    "not_in_manifest": (True, "a list asks for a clip that the manifest does not have"),
    "empty_file": (False, "the file has zero bytes"),
    "not_media": (False, "the file is not a video or sound container"),
    "corrupt": (False, "the container opens but decoding fails"),
    "truncated": (False, "the container promises more than it holds"),
    "no_video": (False, "no video stream"),
    "no_audio": (False, "no sound stream"),
    "short": (False, "less video or sound than was asked for"),
    "missing_feature": (True, "an earlier stage has no array for the clip"),
    "missing_sample": (True, "no generated file for the clip and caption"),
}

SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("stage", pa.string()),
        ("status", pa.string()),
        ("retriable", pa.bool_()),
        ("detail", pa.string()),
        ("line", pa.int64()),
        ("time", pa.timestamp("s", tz="UTC")),
    ]
)


def ledger_row(clip_id: str, stage: str, status: str = OK, detail: str = "", line: int | None = None) -> dict[str, Any]:
    """One row of a ledger.

    Parameters
    ----------
    clip_id : str
        As it was asked for, even if it is not a valid id.
    stage : str
        Name of the stage, e.g. ``"ingest"``.
    status : str
        ``"ok"`` or a key of :data:`REASONS`.
    detail : str
        What was found, for a person.
    line : int, optional
        Line of the file the clip came from (1 = header).
    """
    if status != OK and status not in REASONS:
        raise InputError(f"ledger status must be 'ok' or one of {sorted(REASONS)}, got {status!r}")
    retriable = REASONS[status][0] if status != OK else False
    return {
        "clip_id": clip_id,
        "stage": stage,
        "status": status,
        "retriable": retriable,
        "detail": detail,
        "line": line,
        "time": datetime.now(UTC).replace(microsecond=0),
    }


def write_ledger(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write ledger rows as parquet."""
    with whole(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), temporary)


def read_ledgers(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read ledgers into one table, in the order given.

    Raises
    ------
    InputError
        If a file is missing or is not a ledger.
    """
    tables = []
    for path in paths:
        try:
            table = pq.read_table(path, partitioning=None)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise InputError(f"{path} is not a ledger: {error}") from error
        if table.schema.names != SCHEMA.names:
            raise InputError(f"{path} is not a ledger: columns {table.schema.names}, expected {SCHEMA.names}")
        tables.append(table.cast(SCHEMA))
    return (pa.concat_tables(tables) if tables else SCHEMA.empty_table()).to_pandas()
