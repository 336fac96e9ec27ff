"""Tables as parquet files, with the version of their schema: a file of another version is an error that says so."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.errors import InputError
from cafa.common.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

#: name of the version in the metadata of a schema and of the files that are written by it
VERSION = b"schema_version"
#: suffixes of files that hold a table
TABLES = (".parquet", ".csv", ".tsv", ".tab", ".txt")
#: names of a folder's tables that a message tells
LISTED = 3


def schema_of(fields: Iterable[tuple[str, pa.DataType]], version: int = 1) -> pa.Schema:
    """Columns of a table, and their version.

    Parameters
    ----------
    fields : iterable of (str, DataType)
        Columns in order.
    version : int
        Raised whenever a column comes, goes, or has another meaning.
    """
    return pa.schema(list(fields), metadata={VERSION: str(version).encode()})


def write_table(path: str | Path, rows: "Iterable[Mapping[str, Any]] | pa.Table", schema: pa.Schema) -> None:
    """Write a table, with the version of its schema; the file appears complete or not at all.

    Parameters
    ----------
    path : path
    rows : iterable of mappings, or Table
        A column that a row does not have is null.
    schema : Schema
        From :func:`schema_of`.

    Raises
    ------
    WriteError
        If the disk is full or the place takes no files.
    """
    table = rows.cast(schema) if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema=schema)
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary)


def refuse_folder(path: str | Path, what: str) -> None:
    """Refuse a folder where one table is expected; readers of parquet would take all files in it for parts of one.

    Parameters
    ----------
    path : path
    what : str
        What the file should be, for the message: ``a ledger``.

    Raises
    ------
    InputError
        Which says what tables are in the folder, and what to do.
    """
    if not Path(path).is_dir():
        return
    names = sorted(file.name for file in Path(path).iterdir() if file.suffix.lower() in TABLES)
    if not names:
        raise InputError(f"{path} is not {what}: it is a folder, without a table in it; name a file")
    shown = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    each = "the file" if len(names) == 1 else "the one that is wanted, or write the rows of all into one file"
    held = f"{len(names)} tables" if len(names) > 1 else "one table"
    raise InputError(f"{path} is not {what}: it is a folder that holds {held} ({shown}); name {each}")


def read_table(path: str | Path, schema: pa.Schema, what: str) -> pa.Table:
    """Read a table that must have the columns of a schema.

    A file without a version was written before there were versions; it is read if its columns agree.

    Parameters
    ----------
    path : path
    schema : Schema
        From :func:`schema_of`.
    what : str
        What the file should be, for messages: ``a ledger``.

    Returns
    -------
    Table
        Its columns have the types of the schema.

    Raises
    ------
    InputError
        If the file is missing or no parquet file, has other columns, or is of a newer or older version.
    """
    refuse_folder(path, what)
    try:
        # Not by `pq.read_table`, which imports pandas, and makes a column of a folder called a=b on the way.
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not {what}: {error}") from error
    wanted, found = version_of(schema), version_of(table.schema)
    if found is not None and wanted is not None and found != wanted:
        raise InputError(_other_version(path, what, found, wanted))
    if table.schema.names != schema.names:
        raise InputError(f"{path} is not {what}: columns {table.schema.names}, expected {schema.names}")
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InputError(f"{path} is not {what}: a column has another type: {error}") from error


def version_of(schema: pa.Schema) -> int | None:
    """Version of a schema or of the table it was read from; None: it has none."""
    text = (schema.metadata or {}).get(VERSION, b"").decode()
    return int(text) if text.isdecimal() else None


def _other_version(path: str | Path, what: str, found: int, wanted: int) -> str:
    if found > wanted:
        return (
            f"{path} is {what} of schema version {found}, and this version of cafa reads version {wanted}: update "
            "cafa, or make the file again with this version"
        )
    return (
        f"{path} is {what} of schema version {found}, which this version of cafa no longer reads (it reads version "
        f"{wanted}): make the file again with the command that made it, or read it with an earlier version of cafa"
    )


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows of a table as dictionaries by column; the names of its columns are strings."""
    rows: list[dict[Any, Any]] = frame.to_dict("records")
    return rows


def row_tuples(frame: "pd.DataFrame") -> Iterator[Any]:
    """Rows of a table as named tuples: an attribute for each column, of the column's own type, and ``Index``."""
    return iter(frame.itertuples())
