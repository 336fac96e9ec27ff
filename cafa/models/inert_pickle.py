"""Pickles of checkpoints, read without running anything that they name.

A pickle can name any function for the reader to call. Here names are never looked up: those of tensors and
storages make inert records, every other one makes a class that takes what it is given and does nothing.
"""

import pickle
import pickletools
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cafa.common.errors import WeightsError

MAXIMUM_MEMO = 1 << 24
#: storage classes of torch, and dtypes without a storage class of their own
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
DTYPES = {
    name: getattr(torch, name)
    for name in (
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
        "uint16",
        "uint32",
        "uint64",
        "float8_e4m3fn",
        "float8_e5m2",
    )
}


class Inert:
    """Stands for an object of unknown code: takes everything, does nothing."""

    found = "?"

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Take all arguments."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """Be called, as a function would be."""
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
class Storage:
    """What a pickle says of a storage, unchecked."""

    key: Any
    dtype: torch.dtype
    length: Any


@dataclass(frozen=True, slots=True)
class Record:
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
            return Record(*args[:4])
        if self.kind == "tensor_v3":
            return Record(args[0], args[1], args[2], args[3], args[6].dtype)
        if self.kind == "typed":  # function, type, arguments, state
            function, _, arguments = args[:3]
            return function(*arguments) if isinstance(function, _Rebuild) else _unknown("torch._tensor", "type")()
        return args[0]  # a parameter: its data


_UTILS = {
    "_rebuild_tensor": "tensor",
    "_rebuild_tensor_v2": "tensor",
    "_rebuild_tensor_v3": "tensor_v3",
    "_rebuild_parameter": "parameter",
    "_rebuild_parameter_with_state": "parameter",
}


def _unknown(module: str, name: str) -> type[Inert]:
    return type("Inert", (Inert,), {"found": f"{module}.{name}"})


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
        return Storage(pid[2], pid[1].dtype, pid[4])


def unpickle(stream: BinaryIO, path: Path) -> Any:
    """One pickle of a stream, inert."""
    start = stream.tell()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > MAXIMUM_MEMO:
                raise pickle.UnpicklingError(f"it numbers an object {argument}")
            if opcode.name in ("EXT1", "EXT2", "EXT4"):
                raise pickle.UnpicklingError("it names an object by a code of the copyreg module")
        stream.seek(start)
        return _Unpickler(stream, encoding="latin1").load()
    except Exception as error:  # a damaged or hostile pickle can raise anything
        raise WeightsError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {error}") from error


def storage_widths(stream: BinaryIO, path: Path) -> dict[str, int]:
    """Bytes of a value by storage, of the pickle at a stream's place."""
    widths: dict[str, int] = {}

    class Noting(_Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            storage = super().persistent_load(pid)
            if isinstance(storage, Storage):
                widths[storage.key] = storage.dtype.itemsize
            return storage

    try:
        Noting(stream, encoding="latin1").load()
    except Exception as error:  # as above
        raise WeightsError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {error}") from error
    return widths
