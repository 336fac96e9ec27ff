"""Feature store: a frozen encoder's array per clip, written once, read by memory mapping.

A file is Arrow IPC: one row per clip with its id, the SHA-256 of the file it was made from, a checksum and the array.
Rows are written in record batches of some megabytes, so that opening hundreds of files reads little more than ids.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write, digest_of

#: Bytes of arrays in a record batch: few batches to open, little memory to write.
BATCH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class FeatureFormat:
    """What a file of features holds.

    Parameters
    ----------
    kind : str
        What the feature is, e.g. ``"latents"``.
    shape : tuple of int
        Shape of every array.
    dtype : str
        NumPy type in the file, e.g. ``"float16"``.
    encoder : dict
        What made them (name, weights' sha256, settings): stored, and compared on reading.
    settings : dict
        How clips were read for the encoder (window, padding): stored; rows are reused only where it is the same.
    trimmed : bool
        Zeros at the end of the first axis are not stored, and come back on reading (text states are mostly padding).
    code : str
        Version of the stage that made the file: stored, not compared on reading.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    encoder: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    trimmed: bool = False
    code: str = ""

    @cached_property
    def about(self) -> dict[str, Any]:
        """The file's metadata."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "encoder": self.encoder,
            "encoder_digest": digest_of(self.encoder),
            "settings": self.settings,
            "trimmed": self.trimmed,
            "code": self.code,
        }

    @classmethod
    def of(cls, schema: pa.Schema, path: str | Path) -> "FeatureFormat":
        """From a file's schema.

        Raises
        ------
        InputError
            If it is not one of a feature file.
        """
        metadata = json.loads((schema.metadata or {}).get(b"cafa", b"null"))
        if metadata is None:
            raise InputError(f"{path} is not a feature file: its schema has no metadata of ours")
        digest = metadata.pop("encoder_digest", None)
        found = cls(**{**metadata, "shape": tuple(metadata["shape"])})
        if digest != found.about["encoder_digest"] or not schema.equals(found.schema):
            raise InputError(f"{path} is not a feature file of this version: delete it and make it again")
        return found

    @property
    def row_bytes(self) -> int:
        """Bytes of an array that is not trimmed."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns and metadata of the file."""
        array = pa.binary() if self.trimmed else pa.binary(self.row_bytes)
        columns = [("clip_id", pa.string()), ("source_sha256", pa.string()), ("crc32", pa.uint32()), ("array", array)]
        return pa.schema(columns, metadata={"cafa": json.dumps(self.about, sort_keys=True)})

    def pack(self, clip_id: str, array: Any) -> bytes:
        """Bytes of an array as the file holds them.

        Raises
        ------
        InputError
            If it has another shape or holds a value that is not finite.
        """
        array = np.asarray(array)
        if array.shape != self.shape:
            raise InputError(f"{self.kind} of clip {clip_id}: expected shape {self.shape}, got {array.shape}")
        with np.errstate(over="ignore"):  # found as not finite
            cast = np.ascontiguousarray(array, dtype=self.dtype)
        if cast.dtype.kind == "f" and not np.isfinite(cast).all():
            raise InputError(f"{self.kind} of clip {clip_id}: values that are not finite in {self.dtype}")
        if self.trimmed:
            used = np.flatnonzero(cast.reshape(len(cast), -1).any(axis=1))
            cast = cast[: used[-1] + 1 if len(used) else 0]
        return cast.tobytes()

    def unpack(self, data: Any) -> np.ndarray:
        """Array, read-only, of the bytes of a row; a view of them unless trimmed."""
        stored = np.frombuffer(data, dtype=self.dtype)
        if not self.trimmed:
            return stored.reshape(self.shape)
        array = np.zeros(self.shape, self.dtype)
        array.reshape(-1)[: len(stored)] = stored
        array.flags.writeable = False
        return array


class FeatureWriter:
    """Writes a feature file row by row, directly.

    The caller makes it appear whole (:func:`cafa.common.files.atomic_write`).
    """

    def __init__(self, path: str | Path, form: FeatureFormat) -> None:
        self._schema = form.schema
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._rows: list[tuple[str, str | None, int, bytes]] = []
        self._bytes = 0
        self._seen: set[str] = set()

    def add(self, clip_id: str, data: bytes, source_sha256: str | None = None) -> None:
        """Add the bytes that :meth:`FeatureFormat.pack` gave."""
        if clip_id in self._seen:
            raise InputError(f"clip {clip_id} would be twice in a feature file")
        self._seen.add(clip_id)
        self._rows.append((clip_id, source_sha256, zlib.crc32(data), data))
        self._bytes += len(data)
        if self._bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [
                pa.array(values, type=f.type)
                for values, f in zip(zip(*self._rows, strict=True), self._schema, strict=True)
            ]
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._rows, self._bytes = [], 0

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(self, kind: type | None, *exc: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._sink.close()


def write_features(
    path: str | Path,
    arrays: Iterable[tuple[str, np.ndarray]],
    *,
    kind: str,
    shape: Sequence[int],
    dtype: str,
    encoder: dict[str, Any],
    settings: dict[str, Any] | None = None,
    trimmed: bool = False,
    sources: Mapping[str, str | None] | None = None,
) -> int:
    """Write one shard of features; appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        File to write.
    arrays : iterable of (clip_id, array)
        Streamed: some megabytes are held at a time. Each has shape `shape` and is cast to `dtype`.
    kind, shape, dtype, encoder, settings, trimmed
        See :class:`FeatureFormat`.
    sources : mapping of str to str, optional
        SHA-256 of the file that each clip's array was made from.

    Returns
    -------
    int
        Number of clips written.

    Raises
    ------
    InputError
        If an array has another shape or holds a value that is not finite, or a clip comes twice.
    """
    form = FeatureFormat(kind, tuple(int(n) for n in shape), dtype, encoder, settings or {}, trimmed)
    count = 0
    with atomic_write(path) as temporary, FeatureWriter(temporary, form) as writer:
        for clip_id, array in arrays:
            writer.add(clip_id, form.pack(clip_id, array), (sources or {}).get(clip_id))
            count += 1
    return count


def open_features(path: str | Path) -> tuple[FeatureFormat, list[pa.RecordBatch]]:
    """Format and rows of one file, mapped from it.

    Raises
    ------
    InputError
        If it is missing, cut, or not a feature file.
    """
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            return FeatureFormat.of(reader.schema, path), [
                reader.get_batch(k) for k in range(reader.num_record_batches)
            ]
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not a feature file: {error}") from error


class FeatureStore:
    """Random access to the features of any number of shards without loading them.

    Parameters
    ----------
    paths : sequence of path
        Shards written by :func:`write_features` by the same encoder.
    encoder_digest : str, optional
        If given, files of another encoder are refused.

    Attributes
    ----------
    kind, shape, dtype, encoder, encoder_digest, settings
        As written; `settings` are those of the first file.
    about : dict
        All metadata of the first file.
    """

    def __init__(self, paths: Sequence[str | Path], encoder_digest: str | None = None) -> None:
        if not paths:
            raise InputError("a feature store needs at least one file")
        self.paths = [Path(path) for path in paths]
        first: FeatureFormat | None = None
        self._batches: list[pa.RecordBatch] = []
        self._views: dict[int, np.ndarray] = {}
        ids: list[np.ndarray] = []
        owners: list[int] = []
        for number, path in enumerate(paths):
            form, batches = open_features(path)
            first = first or form
            if (form.kind, form.shape, form.dtype, form.encoder) != (
                first.kind,
                first.shape,
                first.dtype,
                first.encoder,
            ):
                raise InputError(
                    f"{path} was made by another encoder ({form.about['encoder_digest'][:12]}) than {paths[0]} "
                    f"({first.about['encoder_digest'][:12]}): delete the older file and make it again"
                )
            for batch in batches:
                self._batches.append(batch)
                ids.append(np.array(batch.column(0).cast(pa.binary()).to_pylist(), dtype="S"))
                owners.append(number)
        assert first is not None
        self._format, self.about = first, first.about
        self.kind, self.dtype, self.shape = first.kind, np.dtype(first.dtype), first.shape
        self.encoder, self.encoder_digest, self.settings = first.encoder, first.about["encoder_digest"], first.settings
        if encoder_digest is not None and self.encoder_digest != encoder_digest:
            raise InputError(
                f"{paths[0]} holds {self.kind} of encoder {self.encoder}, which is not the "
                f"configured one (digest {encoder_digest[:12]}): make the features again, "
                "or name the encoder they belong to"
            )
        self._index(ids, owners)

    def _index(self, ids: list[np.ndarray], owners: list[int]) -> None:
        """Sorted ids and their places, as arrays: a dictionary of 200,000 clips takes ten times the memory."""
        every = np.concatenate([np.empty(0, "S1"), *ids])
        order = np.argsort(every, kind="stable")
        self._ids = every[order]
        sizes = [len(part) for part in ids]
        self._batch = np.repeat(np.arange(len(ids), dtype=np.int32), sizes)[order]
        self._row = np.concatenate([np.empty(0, np.int32), *(np.arange(n, dtype=np.int32) for n in sizes)])[order]
        twice = np.flatnonzero(self._ids[1:] == self._ids[:-1])
        if len(twice):
            found = [self.paths[owners[self._batch[twice[0] + k]]] for k in (0, 1)]
            raise InputError(f"clip {self._ids[twice[0]].decode()} is in two feature files: {found[0]} and {found[1]}")

    @cached_property
    def clip_ids(self) -> list[str]:
        """Ids in sorted order, whatever the shards."""
        return [clip_id.decode() for clip_id in self._ids.tolist()]

    def _find(self, clip_id: object) -> int:
        """Position among the sorted ids; -1 if it is not there."""
        key = clip_id.encode() if isinstance(clip_id, str) else b""
        if not 0 < len(key) <= self._ids.itemsize:
            return -1
        # Of the very type of the ids: for another length NumPy would copy them all.
        place = int(np.searchsorted(self._ids, np.array(key, self._ids.dtype)))
        return place if place < len(self._ids) and self._ids[place] == key else -1

    def _place(self, clip_id: str) -> tuple[int, int]:
        """Number of the batch, and row in it."""
        found = self._find(clip_id)
        if found < 0:
            raise MissingClipError(f"no {self.kind} for clip {clip_id}: its ledger says why, or the stage did not run")
        return int(self._batch[found]), int(self._row[found])

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, clip_id: object) -> bool:
        return self._find(clip_id) >= 0

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return ((clip_id, self[clip_id]) for clip_id in self.clip_ids)

    def __getitem__(self, clip_id: str) -> np.ndarray:
        """Array of one clip, read-only, of the stored shape and type: mapped from the file unless it is trimmed."""
        number, row = self._place(clip_id)
        if self._format.trimmed:
            return self._format.unpack(row_data(self._batches[number], row))
        if (view := self._views.get(number)) is None:
            column = self._batches[number].column(3)
            width = column.type.byte_width
            data = column.buffers()[1].slice(column.offset * width, len(column) * width)
            view = self._views[number] = np.frombuffer(data, self.dtype).reshape(-1, *self.shape)
        return view[row]

    def stored(self, clip_id: str) -> bytes:
        """Bytes of a clip's array as the file holds them, copied.

        Raises
        ------
        InputError
            If they are not those that were written.
        """
        number, row = self._place(clip_id)
        batch = self._batches[number]
        data = bytes(row_data(batch, row))
        if zlib.crc32(data) != batch.column(2)[row].as_py():
            raise InputError(f"{self.kind} of clip {clip_id} in {self.paths[0]} is damaged: make the file again")
        return data

    def source_of(self, clip_id: str) -> str | None:
        """SHA-256 of the file that a clip's array was made from, where it is known."""
        number, row = self._place(clip_id)
        return self._batches[number].column(1)[row].as_py()

    def sources(self) -> dict[str, str | None]:
        """:meth:`source_of` every clip."""
        return {clip_id: self.source_of(clip_id) for clip_id in self.clip_ids}

    def stack(self, clip_ids: Sequence[str]) -> np.ndarray:
        """Arrays of several clips, copied, shape (len(clip_ids), *shape)."""
        return np.stack([self[clip_id] for clip_id in clip_ids])


def row_data(batch: pa.RecordBatch, row: int) -> Any:
    """Bytes of one row's array: a slice of the mapped file."""
    column = batch.column(3)
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        return column.buffers()[1].slice((column.offset + row) * width, width)
    return column[row].as_buffer()
