"""The message when a file cannot be written: which folder, how much was needed, how much is free."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cafa.common.errors import CafaError, InputError, WriteError
from cafa.common.file_names import LONGEST_NAME

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Faults of a place, not of a program: one line says enough.
OF_PLACE = FULL | {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EFBIG,
    errno.ELOOP,
}
#: Bytes below which a disk counts as full where a library only says that it could not write.
LITTLE = 1 << 16


def nearest_folder(path: str | Path) -> Path:
    """The nearest parent of a path that exists."""
    parents = [Path(path).absolute(), *Path(path).absolute().parents]
    return next((parent for parent in parents if os.path.lexists(parent) and parent.is_dir()), Path("/"))


def free_space(path: str | Path) -> int:
    """Free bytes on the disk of a path, which need not be there yet."""
    return shutil.disk_usage(nearest_folder(path)).free


def size_text(size: int) -> str:
    """Bytes for a person."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size} bytes"


def is_temporary(path: str | Path) -> bool:
    """Whether a path is below a file or folder that :mod:`tempfile` named, in the folder that ``TMPDIR`` chooses.

    A path that somebody chose is not, also where it lies in that folder: another ``TMPDIR`` would not move it.
    """
    path, folder = Path(path).absolute(), Path(tempfile.gettempdir())
    own = rf"{re.escape(tempfile.gettempprefix())}[a-z0-9_]{{8}}"
    return path.is_relative_to(folder) and bool(re.match(rf"{own}(\.|/|$)", str(path.relative_to(folder))))


def explanation(error: BaseException, path: str | Path | None = None, size: int | None = None) -> str | None:
    """One line for a fault of a place; None for any other error.

    Parameters
    ----------
    error : BaseException
        Of Python, PyAV (whose errors carry numbers of the system) or a library that gives no number: then a disk
        without space is taken for the cause.
    path : path, optional
        File that was being written; by default the one that the error names.
    size : int, optional
        Bytes that it needs.
    """
    number = getattr(error, "errno", None)  # PyAV has errors with a number that are no OSError
    named = getattr(error, "filename", None)
    where = path if path is not None else (named or None)
    place = Path(where) if where is not None else None
    full = number in FULL
    if not full and number is None and path is not None and not isinstance(error, CafaError):
        full = free_space(path) < LITTLE
    if not full and number not in OF_PLACE:
        return None
    temporary = ""
    if place is not None and is_temporary(place):
        temporary = "; it is a temporary file: set the variable TMPDIR to a folder on another disk"
    if full:
        needed = f"about {size_text(size)} are needed, " if size else ""
        if place is None:
            return f"no space left on a disk, and its folder is not known: {error}"
        folder = place if place.is_dir() else place.parent
        limit = " (your quota is used up)" if number == errno.EDQUOT else ""
        return (
            f"no space left in {folder} for {place.name}: {needed}{size_text(free_space(place))} are free{limit}; "
            f"make room or choose another folder{temporary}"
        )
    reason = os.strerror(number) if number else str(error)
    return f"{Path(named) if named else place or 'a file'}: {reason}{temporary}"


@contextmanager
def explained(path: str | Path, size: int | None = None) -> Iterator[None]:
    """Raise a :class:`~cafa.common.errors.WriteError` in place of an error that means that `path` cannot be written."""
    try:
        yield
    except Exception as error:
        of_another = isinstance(error, OSError) and error.errno not in FULL and not _is_of(error, Path(path))
        message = None if of_another else explanation(error, path, size)
        if message is None:
            raise
        raise WriteError(message) from error


def _is_of(error: OSError, path: Path) -> bool:
    """Whether an error of the system names `path` or a file in its folder."""
    return error.filename is not None and Path(os.fsdecode(error.filename)).parent in (path.parent, path.parent.parent)


def check_writable(path: str | Path) -> None:
    """Refuse a path at which nothing can be written, before any work is done. Nothing is made.

    Raises
    ------
    InputError
        If a name is too long, a parent is a file, or the nearest folder that is there takes no files.
    """
    path = Path(path)
    long = [part for part in path.parts if len(os.fsencode(part)) > LONGEST_NAME]
    if long:
        raise InputError(
            f"{path}: the name {long[0][:40]}... has {len(os.fsencode(long[0]))} bytes, {LONGEST_NAME} are possible"
        )
    absolute = path.absolute()
    for parent in absolute.parents:
        if os.path.lexists(parent) and not parent.is_dir():
            raise InputError(f"{path} cannot be made: {parent} is not a folder")
    folder = nearest_folder(absolute)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be made: no files can be written in {folder} (as {os.geteuid()})")
