"""Tables: one reader that checks columns and version, for every kind of table."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cafa.common import ledger, tables
from cafa.common.errors import InputError
from cafa.common.tables import read_table, records, row_tuples, schema_of, version_of, write_table
from cafa.data import manifest, prompts
from cafa.data.event_times import read_event_times
from cafa.data.fetch import fetched_table
from cafa.data.reading_lists import read_rows
from metrics.embedding.reading import read_frame

SCHEMA = schema_of([("clip_id", pa.string()), ("seconds", pa.float64())], version=2)
ROWS = [{"clip_id": "a", "seconds": 1.5}, {"clip_id": "b"}]
#: what it is -> its schema, and what reads it
READERS: dict[str, tuple[pa.Schema, Callable[[Path], pd.DataFrame]]] = {
    "a ledger": (ledger.SCHEMA, lambda path: ledger.read_ledgers([path])),
    "a manifest": (manifest.SCHEMA, manifest.read_manifest),
    "a prompt set": (prompts.SCHEMA, prompts.read_prompts),
    "a table of fetched clips": (fetched_table.SCHEMA, fetched_table.read_fetched),
}


def test_a_table_comes_back_with_its_types_and_version(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", ROWS, SCHEMA)
    table = read_table(tmp_path / "t.parquet", SCHEMA, "a table")
    assert table.to_pylist() == [ROWS[0], {"clip_id": "b", "seconds": None}]
    assert version_of(table.schema) == version_of(pq.read_schema(tmp_path / "t.parquet")) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "t.parquet"]


@pytest.mark.parametrize("what", READERS)
def test_tables_of_before_there_were_versions_are_read_if_their_columns_agree(what: str, tmp_path: Path) -> None:
    schema, read = READERS[what]
    path = tmp_path / "a=b" / "old.parquet"  # no column comes from the name of a folder
    path.parent.mkdir()
    row = dict.fromkeys(schema.names) | {"clip_id": "clip0"}
    pq.write_table(pa.Table.from_pylist([row], schema=schema.remove_metadata()), path)
    assert version_of(pq.read_schema(path)) is None
    old = read(path)
    assert (old["clip_id"].tolist(), list(old.columns)) == (["clip0"], schema.names)
    write_table(path, [row], schema)
    pd.testing.assert_frame_equal(read(path), old)
    pq.write_table(pa.Table.from_pylist([row], schema=schema.remove_metadata().remove(1)), path)
    with pytest.raises(InputError, match=rf"old\.parquet is not {what}: columns .*, expected"):
        read(path)


@pytest.mark.parametrize("what", READERS)
def test_a_newer_version_says_which_and_what_to_do(what: str, tmp_path: Path) -> None:
    schema, read = READERS[what]
    path, newer = tmp_path / "new.parquet", schema_of([("other", pa.string())], version=7)
    write_table(path, [{"other": "x"}], newer)
    wanted = version_of(schema)
    assert wanted is not None
    with pytest.raises(InputError, match=rf"is {what} of schema version 7, .* reads version {wanted}: update cafa"):
        read(path)


def test_an_older_version_says_which_and_what_to_do(tmp_path: Path) -> None:
    older = schema_of([("clip_id", pa.string())], version=1)
    write_table(tmp_path / "t.parquet", [{"clip_id": "a"}], older)
    with pytest.raises(InputError, match=r"of schema version 1, .* no longer reads \(it reads version 2\): make the"):
        read_table(tmp_path / "t.parquet", SCHEMA, "a table")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.parquet is not a table"):
        read_table(tmp_path / "none.parquet", SCHEMA, "a table")
    (tmp_path / "text.parquet").write_text("clip_id,seconds\n")
    with pytest.raises(InputError, match=r"text\.parquet is not a table"):
        read_table(tmp_path / "text.parquet", SCHEMA, "a table")
    other = pa.schema([("clip_id", pa.string()), ("seconds", pa.string())])
    pq.write_table(pa.Table.from_pylist([{"clip_id": "a", "seconds": "long"}], schema=other), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="a column has another type"):
        read_table(tmp_path / "t.parquet", SCHEMA, "a table")
    assert tables.VERSION == b"schema_version"


def test_rows_come_as_dictionaries_and_as_tuples() -> None:
    frame = pd.DataFrame({"clip_id": ["a", "b"], "seconds": [1.5, 2.0]}, index=[7, 8])
    assert records(frame) == [{"clip_id": "a", "seconds": 1.5}, {"clip_id": "b", "seconds": 2.0}]
    assert [(row.Index, row.clip_id, row.seconds) for row in row_tuples(frame)] == [(7, "a", 1.5), (8, "b", 2.0)]
    assert records(frame.head(0)) == list(row_tuples(frame.head(0))) == []


WHO_WANT_ONE: dict[str, Callable[[Path], object]] = {
    "a ledger": lambda path: read_table(path, SCHEMA, "a ledger"),
    "a table": lambda path: list(read_rows(path)),
    "an index": lambda path: read_frame(path, ["clip_id"], "an index"),
    "a table of event times": read_event_times,
}


@pytest.mark.parametrize("what", WHO_WANT_ONE)
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "it is a folder, without a table in it; name a file"),
        (["notes.md"], "it is a folder, without a table in it; name a file"),
        (["0.parquet"], r"it is a folder that holds one table (0.parquet); name the file"),
        (
            [f"{number}.parquet" for number in range(5)],
            "it is a folder that holds 5 tables (0.parquet, 1.parquet, 2.parquet, ...); name the one that is wanted, "
            "or write the rows of all into one file",
        ),
    ],
)
def test_a_folder_in_place_of_a_table_is_refused_with_what_is_in_it(
    what: str, files: list[str], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "clips.parquet"
    folder.mkdir()
    for name in files:
        write_table(folder / name, [], SCHEMA)
    with pytest.raises(InputError, match=f"^{re.escape(f'{folder} is not {what}: {said}')}$"):
        WHO_WANT_ONE[what](folder)
