"""Tables of embeddings, as they are written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from metrics.embedding.reading import TEXT_KEY

#: The pictures' own column, beside those of the clips' own sound.
VIDEO = "video"


CAPTIONS = 256
#: Rows of a group of a file. A group for each sound costs a reader five times the memory and ten times the time.
GROUP_ROWS = 256


class Judges(Protocol):
    """What files of embeddings say of the judges that made them; see :class:`metrics.judges.interface.Panel`."""

    @property
    def judges(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def audio_protocol(self) -> Mapping[str, Any]: ...  # noqa: D102

    def facts(self, judge: str) -> Mapping[str, Any]: ...  # noqa: D102


def _schema(judges: Judges, judge: str, key: Sequence[str], columns: Sequence[str]) -> pa.Schema:
    # `hears`, `grid` and `leaks` are the names of the first version: files of before can still be read.
    metadata = {"judge": judge, "weights_sha256": judges.judges[judge].weights_sha256}
    if tuple(key) != TEXT_KEY:
        metadata["hears"] = json.dumps(judges.audio_protocol, sort_keys=True)
        metadata |= {name: json.dumps(fact) for name, fact in judges.facts(judge).items()}
    fields = [(name, pa.string()) for name in key] + [(name, pa.list_(pa.float32())) for name in columns]
    return pa.schema(fields, metadata=metadata)


class Tables:
    """Parquet files of several judges, written batch by batch. Made by :func:`open_tables`."""

    def __init__(self, writers: dict[str, pq.ParquetWriter]) -> None:
        self._writers = writers
        self._waiting: dict[str, list[pa.Table]] = {judge: [] for judge in writers}

    def add(self, keys: Mapping[str, Sequence[str]], found: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Append a batch: its keys, and the columns of every judge.

        Raises
        ------
        InputError
            If a value is not finite: no score may come of it.
        """
        for judge, writer in self._writers.items():
            for name, values in found[judge].items():
                for row in np.flatnonzero([not np.isfinite(value).all() for value in values]).tolist():
                    key = "/".join(str(of[row]) for of in keys.values())
                    raise InputError(
                        f"judge {judge} gave values that are not finite ({name}) for {key}: look at that file, and at "
                        "the judge's weights"
                    )
            schema = writer.schema
            arrays = [
                pa.array(keys[name], pa.string())
                if name in keys
                else pa.array(list(found[judge][name]), schema.field(name).type)
                for name in schema.names
            ]
            waiting = self._waiting[judge]
            waiting.append(pa.table(arrays, schema=schema))
            if sum(table.num_rows for table in waiting) >= GROUP_ROWS:
                self._write(judge, last=False)

    def finish(self) -> None:
        """Write the rows that wait for others."""
        for judge in self._writers:
            self._write(judge, last=True)

    def _write(self, judge: str, last: bool) -> None:
        """Write whole groups, which begin at the same rows however batches were cut; `last`: what is left, too."""
        rows = pa.concat_tables(self._waiting[judge]) if self._waiting[judge] else None
        while rows is not None and rows.num_rows and (last or rows.num_rows >= GROUP_ROWS):
            self._writers[judge].write_table(rows.slice(0, GROUP_ROWS))
            rows = rows.slice(GROUP_ROWS)
        self._waiting[judge] = [] if rows is None else [rows]


@contextmanager
def open_tables(
    judges: Judges, key: Sequence[str], paths: Mapping[str, Path], columns: Mapping[str, Sequence[str]]
) -> Iterator[Tables]:
    """Open one file per judge in `paths`; all appear when the block ends without an error, or none does."""
    with ExitStack() as stack:
        writers = {}
        for judge, path in paths.items():
            temporary = stack.enter_context(atomic_write(path))
            schema = _schema(judges, judge, key, columns[judge])
            writers[judge] = stack.enter_context(pq.ParquetWriter(temporary, schema))
        tables = Tables(writers)
        yield tables
        tables.finish()
