"""Tensors of a published checkpoint, read without running anything that the file holds.

Publishers save what their training scripts had at hand: state of samplers and optimizers, configuration objects, paths.
Their pickles make inert records (:mod:`cafa.models.inert_pickle`). Tensors are made from the records afterwards, only
those that are wanted, after their place in the file is checked. Storages of the zip layout are memory-mapped.
"""

import io
import json
import math
import struct
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cafa.common.errors import WeightsError
from cafa.common.weight_files import no_download
from cafa.models.inert_pickle import Inert, Record, Storage, storage_widths, unpickle

#: entries under which training scripts keep the state dict
NESTED = ("state_dict", "model_state_dict", "model")
#: entry of safetensors' metadata in which `cafa models convert` says what it made the file from
NOTE = "converted_from"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MAXIMUM_PICKLE, MAXIMUM_AXES = 1 << 28, 64


class _Source:
    """Where the bytes of storages are in a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size
        self.places: dict[str, tuple[int, int]] = {}  # key -> first byte, number of bytes
        self.made: dict[str, torch.UntypedStorage] = {}
        self._mapped: torch.UntypedStorage | None = None

    def storage(self, key: str) -> torch.UntypedStorage:
        """The bytes of a storage, one object for all tensors that share it."""
        if key not in self.made:
            start, count = self.places[key]
            if self._mapped is None:
                mapped = torch.UntypedStorage.from_file(str(self.path), False, self.size)
                assert isinstance(mapped, torch.UntypedStorage)  # torch says: some storage
                self._mapped = mapped
            piece = self._mapped[start : start + count]
            self.made[key] = piece if start % 16 == 0 else piece.clone()
        return self.made[key]

    def tensor(self, record: Record) -> Tensor:
        """A tensor, after its place is checked.

        Raises
        ------
        WeightsError
            If it lies outside its storage, or its storage outside the file.
        """
        storage, offset = record.storage, record.offset
        if not isinstance(storage, Storage) or not isinstance(storage.key, str) or storage.key not in self.places:
            raise WeightsError(f"its storage {getattr(storage, 'key', storage)!r:.60} is not in the file")
        dtype = record.dtype or storage.dtype
        width, count = torch.empty((), dtype=dtype).element_size(), self.places[storage.key][1]
        axes = [record.size, record.stride]
        numbers = [offset, storage.length, *(value for axis in axes if isinstance(axis, tuple) for value in axis)]
        if (
            not all(isinstance(axis, tuple) and len(axis) <= MAXIMUM_AXES for axis in axes)
            or len(record.size) != len(record.stride)
            or not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)
        ):
            raise WeightsError(f"its size {record.size!r:.60}, stride or offset {offset!r:.30} is not one of a tensor")
        elements = math.prod(record.size)
        last = offset + sum((n - 1) * step for n, step in zip(record.size, record.stride, strict=True))
        if storage.length * storage.dtype.itemsize > count or (last if elements else offset - 1) >= count // width:
            raise WeightsError(f"it ends at value {last} of a storage of {count} bytes")
        if elements * width > self.size:
            raise WeightsError(f"its size {record.size} is larger than the file")
        return torch.empty(0, dtype=dtype).set_(self.storage(storage.key), offset, record.size, record.stride)


def _read_zip(path: Path) -> tuple[Any, _Source]:
    source = _Source(path)
    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        members = {member.filename: member for member in archive.infolist()}
        roots = [
            name.removesuffix("data.pkl") for name in members if name.count("/") <= 1 and name.endswith("data.pkl")
        ]
        if len(roots) != 1:
            raise WeightsError(f"{path} is an archive, but not a checkpoint: it holds {sorted(members)[:6]}")
        for name, member in members.items():
            if not name.startswith(roots[0]):
                continue
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise WeightsError(f"{path}: {name} is compressed, which no checkpoint is")
            stream.seek(member.header_offset)
            header = stream.read(30)
            if len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise WeightsError(f"{path} is damaged: {name} is not where the archive says. Download it again")
            start = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
            if start + member.file_size > source.size:
                raise WeightsError(f"{path} is damaged: it ends within {name}. Download it again")
            if name.startswith(f"{roots[0]}data/"):
                source.places[name.removeprefix(f"{roots[0]}data/")] = (start, member.file_size)
        order = f"{roots[0]}byteorder"
        if order in members and archive.read(order).decode("ascii", "replace") != sys.byteorder:
            raise WeightsError(f"{path} was written on a machine of another byte order")
        if members[f"{roots[0]}data.pkl"].file_size > MAXIMUM_PICKLE:
            raise WeightsError(f"{path}: its pickle is larger than {MAXIMUM_PICKLE} bytes")
        return unpickle(io.BytesIO(archive.read(f"{roots[0]}data.pkl")), path), source


def _read_legacy(path: Path) -> tuple[Any, _Source]:
    """The layout before torch 1.6: five pickles, then storages, each after its number of values."""
    source = _Source(path)
    with path.open("rb") as stream:
        magic = unpickle(stream, path)
        if magic != LEGACY_MAGIC:
            raise WeightsError(f"{path} is a pickle, but not one that torch.save wrote")
        unpickle(stream, path), unpickle(stream, path)
        start = stream.tell()
        content = unpickle(stream, path)
        end = stream.tell()
        stream.seek(start)
        found = storage_widths(stream, path)
        stream.seek(end)
        keys = unpickle(stream, path)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise WeightsError(f"{path} is damaged: it has no list of storages. Download it again")
        for key in keys:
            here = stream.tell() + 8
            (length,) = struct.unpack("<q", stream.read(8).ljust(8, b"\0"))
            if key not in found or length < 0 or here + length * found[key] > source.size:
                raise WeightsError(f"{path} is damaged: its storage {key!r:.40} is not in it. Download it again")
            source.places[key] = (here, length * found[key])
            stream.seek(here + length * found[key])
    return content, source


def _chosen(content: Any, path: Path, key: str | None) -> tuple[str, Mapping[Any, Any]]:
    """The state dict of what a file holds, after the entry that it is."""
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds {_describe(content)}, not a state dict")
    if content and all(isinstance(value, Record) for value in content.values()):
        return "", content
    names = [name for name in ((key,) if key else NESTED) if name in content]
    if key is not None and not names:
        raise WeightsError(f"{path}: no entry {key!r}; found {sorted(map(str, content))[:8]}")
    if len(names) > 1:
        raise WeightsError(f"{path} holds several state dicts, {names}: take one out with {converting(path, 'NAME')}")
    chosen = content[names[0]] if names else content
    if not isinstance(chosen, dict):
        raise WeightsError(f"{path}: entry {names[0]!r} is {_describe(chosen)}, not a state dict")
    return names[0] if names else "", chosen


def _describe(value: Any) -> str:
    return f"{value.found} (not read: it needs code)" if isinstance(value, Inert) else type(value).__name__


def converting(path: Path, key: str | None = None) -> str:
    """The command that makes safetensors of a checkpoint, for messages."""
    named = f" --key {key}" if key else ""
    return f"`cafa models convert {path} {path.with_suffix('.safetensors')}{named}`"


def _plain_names(names: Iterable[str]) -> dict[str, str]:
    """Names without ``module.``, where all of them carry it, to those in the file."""
    names = list(names)
    wrapped = all(name.startswith("module.") for name in names)
    return {name.removeprefix("module.") if wrapped else name: name for name in names}


def read_tensors(path: str | Path, key: str | None = None, prefix: str | tuple[str, ...] = "") -> dict[str, Tensor]:
    """State dict of a checkpoint, on the CPU; nothing that the file holds is run.

    Parameters
    ----------
    path : path
        safetensors, or what ``torch.save`` writes: the zip layout or that from before torch 1.6, told apart by content.
    key : str, optional
        Entry that holds the state dict where the file is not flat; None: the one of `NESTED` that is there.
    prefix : str or tuple of str
        Only tensors whose names, as returned, begin with it, or one of them, are read.

    Returns
    -------
    dict of str to Tensor
        ``module.`` is removed from the names where all have it. Tensors that share a storage in the file share it here;
        those of zip and safetensors files are memory-mapped.

    Raises
    ------
    WeightsError
        If the file is damaged or of no known layout, or a wanted entry is not a plain tensor; says what was found.
    """
    return read_entry(path, key, prefix)[1]


def read_entry(
    path: str | Path, key: str | None = None, prefix: str | tuple[str, ...] = ""
) -> tuple[str, dict[str, Tensor]]:
    """The entry that holds the state dict, empty where the file is flat, and what :func:`read_tensors` gives."""
    path = Path(path)
    if is_safetensors(path):
        with _safetensors(path) as stored:
            names = _plain_names(stored.keys())
            return "", {ours: stored.get_tensor(name) for ours, name in names.items() if ours.startswith(prefix)}
    entry, records, source = _read_records(path, key)
    tensors = {}
    for ours, name in _plain_names(records).items():
        if ours.startswith(prefix):
            try:
                tensors[ours] = source.tensor(records[name])
            except WeightsError as error:
                raise WeightsError(f"{path}: tensor {name}: {error}. Download the file again") from error
    return entry, tensors


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a checkpoint by name, as :func:`read_tensors` names them; none of them is read."""
    path = Path(path)
    if not is_safetensors(path):
        return {name: tuple(tensor.shape) for name, tensor in read_tensors(path).items()}
    with _safetensors(path) as stored:
        names = _plain_names(stored.keys())
        return {ours: tuple(stored.get_slice(name).get_shape()) for ours, name in names.items()}


def is_safetensors(path: Path) -> bool:
    """Whether a file is, or by its ending should be, safetensors."""
    with path.open("rb") as stream:
        return path.suffix == ".safetensors" or stream.read(9)[8:] == b"{"


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as stored:
            yield stored
    except (SafetensorError, OSError, ValueError) as error:
        instead = no_download(path) or "Download it again"
        raise WeightsError(f"{path} cannot be read as safetensors: {error}. {instead}") from error


def _read_records(path: Path, key: str | None) -> tuple[str, Mapping[str, Record], _Source]:
    """Entry of the state dict, its tensors as records, and where their bytes are, of what ``torch.save`` wrote."""
    with path.open("rb") as stream:
        head = stream.read(9)
    if head[:4] == b"PK\x03\x04":
        try:
            content, source = _read_zip(path)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise WeightsError(f"{path} is a damaged archive: {error}. Download it again") from error
    elif head[:1] == b"\x80":
        content, source = _read_legacy(path)
    else:
        instead = no_download(path) or "Download it again"
        raise WeightsError(f"{path} is not a checkpoint: it begins with {head!r}. {instead}")
    entry, chosen = _chosen(content, path, key)
    alien = [f"{name} ({_describe(value)})" for name, value in chosen.items() if not isinstance(value, Record)]
    if alien or not all(isinstance(name, str) for name in chosen):
        inner = [name for name, value in chosen.items() if isinstance(value, dict)] if not entry else []
        hint = f"; if one of {inner[:4]} is the state dict: {converting(path, 'NAME')}" if inner else ""
        raise WeightsError(f"{path}: entries that are not tensors: {alien[:8]}; expected a flat state dict{hint}")
    return entry, chosen, source


def origins_of(files: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """What converted files say of themselves that they were made from (``file``, ``sha256``, ``key``), by name.

    It is told, not proved: what is compared is a file's own SHA-256. Files that say nothing are left out.
    """
    found = {}
    for name, path in files.items():
        if path.suffix == ".safetensors":
            with _safetensors(path) as stored:
                note = (stored.metadata() or {}).get(NOTE)
            if note is not None:
                found[name] = json.loads(note)
    return found
