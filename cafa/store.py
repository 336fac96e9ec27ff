"""Feature store: a frozen encoder's array per clip, written once, read by memory mapping."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cafa.errors import InputError, MissingClipError
from cafa.files import digest_of, whole


def write_features(
    path: str | Path,
    arrays: Iterable[tuple[str, np.ndarray]],
    *,
    kind: str,
    shape: Sequence[int],
    dtype: str,
    encoder: dict[str, Any],
) -> int:
    """Write one shard of features as an Arrow IPC file.

    Parameters
    ----------
    path : str or Path
        File to write; appears whole or not at all.
    arrays : iterable of (clip_id, array)
        Streamed: one array is held at a time. Each has shape `shape` and is cast to `dtype`.
    kind : str
        What the feature is, e.g. ``"latents"``.
    shape : sequence of int
        Shape of every array.
    dtype : str
        NumPy type in the file, e.g. ``"float16"``.
    encoder : dict
        What made them (name, weights' sha256, settings, code): stored, and compared on reading.

    Returns
    -------
    int
        Number of clips written.

    Raises
    ------
    InputError
        If an array has another shape or holds a value that is not finite.
    """
    shape = tuple(int(n) for n in shape)
    about = {
        "kind": kind,
        "shape": shape,
        "dtype": dtype,
        "encoder": encoder,
        "encoder_digest": digest_of(encoder),
    }
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    schema = pa.schema(
        [("clip_id", pa.string()), ("array", pa.binary(size))],
        metadata={"cafa": json.dumps(about, sort_keys=True)},
    )
    count = 0
    with (
        whole(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        for clip_id, array in arrays:
            array = np.asarray(array)
            if array.shape != shape:
                raise InputError(f"{kind} of clip {clip_id}: expected shape {shape}, got {array.shape}")
            cast = np.ascontiguousarray(array, dtype=dtype)
            if cast.dtype.kind == "f" and not np.isfinite(cast).all():
                raise InputError(f"{kind} of clip {clip_id}: values that are not finite in {dtype}")
            data = pa.array([cast.tobytes()], type=pa.binary(size))
            writer.write_batch(pa.record_batch([pa.array([clip_id]), data], schema=schema))
            count += 1
    return count


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
    kind, shape, dtype, encoder, encoder_digest
        As written.
    clip_ids : list of str
        In sorted order, whatever the shards.
    """

    def __init__(self, paths: Sequence[str | Path], encoder_digest: str | None = None) -> None:
        if not paths:
            raise InputError("a feature store needs at least one file")
        self._tables: list[pa.Table] = []
        self._where: dict[str, tuple[int, int]] = {}
        about: dict[str, Any] | None = None
        for number, path in enumerate(paths):
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
            mine = json.loads(table.schema.metadata[b"cafa"])
            about = about or mine
            if mine != about:
                raise InputError(
                    f"{path} was made by another encoder ({mine['encoder_digest'][:12]}) than {paths[0]} "
                    f"({about['encoder_digest'][:12]}): delete the older file and make it again"
                )
            self._tables.append(table)
            for row, clip_id in enumerate(table.column("clip_id").to_pylist()):
                if clip_id in self._where:
                    raise InputError(f"clip {clip_id} is in two feature files, one of them {path}")
                self._where[clip_id] = (number, row)
        assert about is not None
        if encoder_digest is not None and about["encoder_digest"] != encoder_digest:
            raise InputError(
                f"{paths[0]} holds {about['kind']} of encoder {about['encoder']}, which is not the "
                f"configured one (digest {encoder_digest[:12]}): make the features again, "
                "or name the encoder they belong to"
            )
        self.kind, self.dtype = about["kind"], np.dtype(about["dtype"])
        self.shape = tuple(about["shape"])
        self.encoder, self.encoder_digest = about["encoder"], about["encoder_digest"]
        self.clip_ids = sorted(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._where

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return ((clip_id, self[clip_id]) for clip_id in self.clip_ids)

    def __getitem__(self, clip_id: str) -> np.ndarray:
        """Array of one clip, read-only, of the stored shape and type."""
        if clip_id not in self._where:
            raise MissingClipError(f"no {self.kind} for clip {clip_id}: its ledger says why, or the stage did not run")
        number, row = self._where[clip_id]
        # One record batch per clip: the chunk's data buffer is the clip's array, mapped from the file.
        chunk = self._tables[number].column("array").chunk(row)
        data = chunk.buffers()[1].slice(chunk.offset * chunk.type.byte_width, chunk.type.byte_width)
        return np.frombuffer(data, dtype=self.dtype).reshape(self.shape)

    def stack(self, clip_ids: Sequence[str]) -> np.ndarray:
        """Arrays of several clips, copied, shape (len(clip_ids), *shape)."""
        return np.stack([self[clip_id] for clip_id in clip_ids])
