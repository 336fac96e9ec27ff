"""One writer at a time for a folder or a file: a second run that would write to the same place is refused at once.

The lock is an ``flock`` on a small file, which the kernel releases when the process ends, however it ends: nothing has
to be unlocked after a kill. Where a file system has no such lock (some network file systems) a warning is printed and
the run goes on; on NFS before version 4, and on Lustre mounted without ``flock``, it guards one machine only.
"""

import errno
import fcntl
import os
import platform
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cafa.common.errors import FolderInUseError

#: Name of the lock in a folder, and ending of that of a file.
NAME = ".writing.lock"
#: What a file system answers that has no such lock.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
#: Seconds that a holder may need between taking the lock and writing who it is.
_INTRODUCTION = 1.0


#: Locks that this process holds, by file and thread: a function that locks may call another one that does.
_HELD: set[tuple[Path, int]] = set()


@contextmanager
def only_writer_in(folder: str | Path) -> Iterator[None]:
    """Hold the right to write to a folder, which is made, for as long as the block runs.

    Raises
    ------
    FolderInUseError
        If another run writes there; it is named.
    """
    with _held(Path(folder) / NAME, Path(folder)):
        yield


@contextmanager
def only_writer_of(files: Iterable[str | Path]) -> Iterator[None]:
    """Hold the right to write files for as long as the block runs; as :func:`only_writer_in`."""
    with ExitStack() as stack:
        for file in sorted({Path(file) for file in files}):
            stack.enter_context(_held(file.with_name(f".{file.name}{NAME}"), file))
        yield


@contextmanager
def _held(lock: Path, place: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    mine = (lock.resolve(), threading.get_ident())
    if mine in _HELD:
        yield
        return
    file = _take(lock, place)
    _HELD.add(mine)
    try:
        _introduce(file)
        yield
    finally:
        _HELD.remove(mine)
        lock.unlink(missing_ok=True)  # while it is held: who waits at the old file sees that it is gone
        os.close(file)


def _take(lock: Path, place: Path) -> int:
    """Descriptor of the lock, which is this process's alone."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            os.close(file)
            raise FolderInUseError(
                f"another run writes to {place}: {holder}. Wait until it ends, stop it, or name another place"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(file)
                raise
            print(
                f"the file system of {place} has no locks ({error.strerror}): see to it that no other run writes there",
                file=sys.stderr,
            )
            return file
        if _is(file, lock):
            return file
        os.close(file)  # its holder ended, and removed it, between the two calls


def _is(file: int, lock: Path) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), lock.stat())
    except FileNotFoundError:
        return False


def _introduce(file: int) -> None:
    """Write who holds the lock."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    text = f"process {os.getpid()} on {platform.node()} since {since}: {shlex.join(sys.argv)}"
    os.ftruncate(file, 0)
    os.pwrite(file, text.encode(errors="replace"), 0)


def _holder(file: int) -> str:
    """Who holds a lock, by its own words."""
    until = time.monotonic() + _INTRODUCTION
    while not (text := os.pread(file, 4000, 0).decode(errors="replace")) and time.monotonic() < until:
        time.sleep(0.02)
    return text or "a process that has not written its name yet"
