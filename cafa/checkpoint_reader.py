"""Tensors of a published checkpoint, read without running anything that the file holds.

Publishers save what their training scripts had at hand: state of samplers and optimizers, configuration objects, paths.
A pickle can name any function for the reader to call. Here names are never looked up: those of tensors and storages
make inert records, every other one makes a class that takes what it is given and does nothing. Tensors are made from
the records afterwards, only those that are wanted, after their place in the file is checked. Storages of the zip layout
are memory-mapped.
"""

import io
import math
import pickle
import pickletools
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from cafa.errors import WeightsError

#: entries under which training scripts keep the state dict
NESTED = ("state_dict", "model_state_dict", "model")
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MAXIMUM_PICKLE, MAXIMUM_MEMO, MAXIMUM_AXES = 1 << 28, 1 << 24, 64
#: storage classes of torch, and dtypes without a storage class of their own
STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
}  # fmt: skip
DTYPES = {
    name: getattr(torch, name)
    for name in (
        "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
        "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2",
    )
}  # fmt: skip


class _Inert:
    """Stands for an object of unknown code: takes everything, does nothing."""

    found = "?"

    def __new__(cls, *args: Any, **kwargs: Any) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> "_Inert":
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Swallow an element of a list."""

    def add(self, value: Any) -> None:
        """Swallow an element of a set."""


class _Ordered(OrderedDict[Any, Any]):
    """``OrderedDict`` without the attributes (``_metadata``) that a pickle may set on it."""

    def __setstate__(self, state: Any) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Named:
    """A name of torch that is data: a storage class or a dtype."""

    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class _Storage:
    key: Any
    dtype: torch.dtype
    length: Any


@dataclass(frozen=True, slots=True)
class _Record:
    """Arguments of a tensor, unchecked."""

    storage: Any
    offset: Any
    size: Any
    stride: Any
    dtype: torch.dtype | None = None


class _Rebuild:
    """Stands for torch's functions that rebuild tensors; gives records."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a function is given a state")

    def __call__(self, *args: Any) -> Any:
        if self.kind == "tensor":
            return _Record(*args[:4])
        if self.kind == "tensor_v3":
            return _Record(*args[:4], args[6].dtype)
        if self.kind == "typed":  # function, type, arguments, state
            function, _, arguments = args[:3]
            return function(*arguments) if isinstance(function, _Rebuild) else _unknown("torch._tensor", "type")()
        return args[0]  # a parameter: its data


_UTILS = {"_rebuild_tensor": "tensor", "_rebuild_tensor_v2": "tensor", "_rebuild_tensor_v3": "tensor_v3",
          "_rebuild_parameter": "parameter", "_rebuild_parameter_with_state": "parameter"}  # fmt: skip


def _unknown(module: str, name: str) -> type[_Inert]:
    return type("Inert", (_Inert,), {"found": f"{module}.{name}"})


class _Unpickler(pickle.Unpickler):
    """Unpickler for which no name leads to code."""

    def find_class(self, module: str, name: str) -> Any:
        """Data of torch by its name; anything else is inert."""
        if module == "collections" and name == "OrderedDict":
            return _Ordered
        if module == "torch._utils" and name in _UTILS:
            return _Rebuild(_UTILS[name])
        if module in ("torch._tensor", "torch.tensor") and name in ("_rebuild_from_type", "_rebuild_from_type_v2"):
            return _Rebuild("typed")
        if module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES:
            return _Named(STORAGES[name])
        if module == "torch" and name in DTYPES:
            return _Named(DTYPES[name])
        return _unknown(module, name)

    def persistent_load(self, pid: Any) -> Any:
        """Record of a storage; of a module's source code (old layout) the inert class alone."""
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":
            return pid[1]
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError(f"a persistent id is not that of a storage: {pid!r:.80}")
        if not isinstance(pid[1], _Named):  # of quantised values, for example: no plain tensor can be made of it
            return _unknown("torch", "storage of another type")()
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("storages that are views of others (before torch 0.4) are not read")
        return _Storage(pid[2], pid[1].dtype, pid[4])


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
                self._mapped = torch.UntypedStorage.from_file(str(self.path), False, self.size)
            piece = self._mapped[start : start + count]
            self.made[key] = piece if start % 16 == 0 else piece.clone()
        return self.made[key]

    def tensor(self, record: _Record) -> Tensor:
        """A tensor, after its place is checked.

        Raises
        ------
        WeightsError
            If it lies outside its storage, or its storage outside the file.
        """
        storage, offset = record.storage, record.offset
        if not isinstance(storage, _Storage) or not isinstance(storage.key, str) or storage.key not in self.places:
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


def _unpickle(stream: BinaryIO, path: Path) -> Any:
    """One pickle of a stream, inert."""
    start = stream.tell()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument) > MAXIMUM_MEMO:
                raise pickle.UnpicklingError(f"it numbers an object {argument}")
            if opcode.name in ("EXT1", "EXT2", "EXT4"):
                raise pickle.UnpicklingError("it names an object by a code of the copyreg module")
        stream.seek(start)
        return _Unpickler(stream, encoding="latin1").load()
    except Exception as error:  # a damaged or hostile pickle can raise anything
        raise WeightsError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {error}") from error


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
        return _unpickle(io.BytesIO(archive.read(f"{roots[0]}data.pkl")), path), source


def _read_legacy(path: Path) -> tuple[Any, _Source]:
    """The layout before torch 1.6: five pickles, then storages, each after its number of values."""
    source = _Source(path)
    with path.open("rb") as stream:
        magic = _unpickle(stream, path)
        if magic != LEGACY_MAGIC:
            raise WeightsError(f"{path} is a pickle, but not one that torch.save wrote")
        _unpickle(stream, path), _unpickle(stream, path)
        start = stream.tell()
        content = _unpickle(stream, path)
        end = stream.tell()
        stream.seek(start)
        found = _storages(stream, path)
        stream.seek(end)
        keys = _unpickle(stream, path)
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


def _storages(stream: BinaryIO, path: Path) -> dict[str, int]:
    """Bytes of a value by storage, of the pickle at a stream's place."""
    widths: dict[str, int] = {}

    class Noting(_Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            storage = super().persistent_load(pid)
            if isinstance(storage, _Storage):
                widths[storage.key] = storage.dtype.itemsize
            return storage

    try:
        Noting(stream, encoding="latin1").load()
    except Exception as error:  # as above
        raise WeightsError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {error}") from error
    return widths


def _chosen(content: Any, path: Path, key: str | None) -> Mapping[Any, Any]:
    """The state dict of what a file holds."""
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds {_describe(content)}, not a state dict")
    if content and all(isinstance(value, _Record) for value in content.values()):
        return content
    names = [name for name in ((key,) if key else NESTED) if name in content]
    if key is not None and not names:
        raise WeightsError(f"{path}: no entry {key!r}; found {sorted(map(str, content))[:8]}")
    if len(names) > 1:
        raise WeightsError(f"{path} holds several state dicts, {names}: say which")
    chosen = content[names[0]] if names else content
    if not isinstance(chosen, dict):
        raise WeightsError(f"{path}: entry {names[0]!r} is {_describe(chosen)}, not a state dict")
    return chosen


def _describe(value: Any) -> str:
    return f"{value.found} (not read: it needs code)" if isinstance(value, _Inert) else type(value).__name__


def no_download(path: str | Path) -> str:
    """What a file is instead of the published one, with what to do; empty where its beginning does not say.

    A clone of a repository without Git LFS holds pointers to its large files, and a page that asks to log in is saved
    under the name of the file.
    """
    with Path(path).open("rb") as stream:
        head = stream.read(64).lstrip()
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file: run `git lfs pull` there, or download the file"
    if head[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, not the file: the address may ask to log in, or to accept a licence"
    return ""


def strip_data_parallel(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove ``module.`` from the names when all of them carry it."""
    if tensors and all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): value for name, value in tensors.items()}
    return dict(tensors)


def read_tensors(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """State dict of a checkpoint, on the CPU; nothing that the file holds is run.

    Parameters
    ----------
    path : path
        safetensors, or what ``torch.save`` writes: the zip layout or that from before torch 1.6, told apart by content.
    key : str, optional
        Entry that holds the state dict where the file is not flat; None: the one of `NESTED` that is there.

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
    path = Path(path)
    with path.open("rb") as stream:
        head = stream.read(9)
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return strip_data_parallel(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            instead = no_download(path) or "Download it again"
            raise WeightsError(f"{path} cannot be read as safetensors: {error}. {instead}") from error
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
    chosen = _chosen(content, path, key)
    alien = [f"{name} ({_describe(value)})" for name, value in chosen.items() if not isinstance(value, _Record)]
    if alien or not all(isinstance(name, str) for name in chosen):
        raise WeightsError(f"{path}: entries that are not tensors: {alien[:8]}; expected a flat state dict")
    tensors = {}
    for name, record in chosen.items():
        try:
            tensors[name] = source.tensor(record)
        except WeightsError as error:
            raise WeightsError(f"{path}: tensor {name}: {error}. Download the file again") from error
    return strip_data_parallel(tensors)
