"""Archives of clips (tar, tar.gz) as a publisher made them.

An archive is read through once, under a lock, and what it holds is recorded in an index. A plain tar is then read in
place, at the offset of each member. A compressed one cannot be, so the same single pass writes its clips into the
folder of downloads. What an archive that is cut short or damaged held before the fault is used; a clip that is found
nowhere may have been behind it, and its ledger row says so.
"""

import fcntl
import hashlib
import os
import re
import shutil
import string
import tarfile
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from cafa.common.errors import ClipError, InputError
from cafa.common.files import atomic_write, digest_of, read_json, write_json
from cafa.common.tar_headers import DAMAGE, StrictHeaders, stays_inside
from cafa.data.fetch.interface import FetchedFile, WantedClip
from cafa.data.fetch.settings import ArchivesSource


@dataclass(frozen=True)
class Member:
    """A file of an archive.

    Attributes
    ----------
    archive : Path
    name : str
        As it stands in the archive; never used as a path.
    offset, size : int
        Bytes: where it begins in a plain tar, and its length. Offset -1: of a compressed one, written to `copy`.
    copy : Path or None
    """

    archive: Path
    name: str
    offset: int
    size: int
    copy: Path | None


class Archives:
    """Archives below a folder; clips are found by the last part of a member's name, in whatever folder it lies.

    Parameters
    ----------
    settings : ArchivesSource
    folder : Path
        Folder of downloads: indices and clips are kept in ``archives`` below it, for all shards and data sets.

    Raises
    ------
    InputError
        If there is no archive: a disk that is not mounted must not look like clips that are gone.
    """

    local = True

    def __init__(self, settings: ArchivesSource, folder: Path) -> None:
        self.settings = settings
        self.folder = folder.absolute() / "archives"
        root = settings.root.absolute()
        if not root.is_dir():
            raise InputError(f"no folder at {root}: name the folder of the archives in `sources`, or leave it out")
        self.archives = sorted({path for pattern in settings.files for path in root.glob(pattern) if path.is_file()})
        if not self.archives:
            raise InputError(f"no archive called {' or '.join(settings.files)} in {root}")
        self._wanted = re.compile("|".join(_expression(pattern) for pattern in (*settings.cut, *settings.whole)))
        self._members: dict[str, list[Member]] | None = None
        self._damaged: list[str] = []
        self._lock = threading.Lock()

    def fetch(self, clip: WantedClip, target: Path) -> FetchedFile:
        """The clip's member, as a file in the folder of downloads; nothing is written to `target`."""
        members = self._index()
        tried = []
        for place, start in clip.names(self.settings.cut, self.settings.whole):
            tried.append(name := place.rpartition("/")[2])
            if found := members.get(name, []):
                if len(found) > 1:
                    places = " and as ".join(f"{m.name} of {m.archive.name}" for m in found[:3])
                    raise ClipError("ambiguous", f"{name} is there as {places}")
                return FetchedFile(self._file(found[0]), "archives", start, None)
        missing = f"none of {', '.join(tried)} in the {len(self.archives)} archives of {self.settings.root}"
        if self._damaged:
            raise ClipError(
                "damaged_archive", f"{missing}; it may have been behind the fault: {'; '.join(self._damaged)}"
            )
        raise ClipError("missing_file", missing)

    def _file(self, member: Member) -> Path:
        """A member as a file, whole."""
        if not member.size:
            raise ClipError("empty_file", f"{member.name} of {member.archive} has zero bytes")
        if member.copy is not None:
            return member.copy
        path = _place(self.folder, member.archive, member.name)
        if not (path.is_file() and path.stat().st_size == member.size):
            with member.archive.open("rb") as file, atomic_write(path) as temporary:
                file.seek(member.offset)
                _copy(file, temporary, member.size)
        return path

    def _index(self) -> dict[str, list[Member]]:
        """Members of all archives by the last part of their names; read once."""
        with self._lock:
            if self._members is None:
                found: dict[str, list[Member]] = {}
                for archive in self.archives:
                    for member in self._members_of(archive):
                        found.setdefault(PurePosixPath(member.name).name, []).append(member)
                self._members = found
            return self._members

    def _members_of(self, archive: Path) -> list[Member]:
        """Members of one archive: from its index, or by reading it through. Other jobs wait for the one that reads."""
        state = archive.stat()
        given = [str(archive), state.st_size, state.st_mtime_ns, self._wanted.pattern]
        index = self.folder / f"{archive.name}.{digest_of(given)[:16]}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        with index.with_name(f".{index.stem}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = read_json(index) if index.is_file() else None
            if record is None or not all(Path(m["copy"]).is_file() for m in record["members"] if m["copy"]):
                record = self._read(archive)
                write_json(index, record)
        if record["damage"]:
            self._damaged.append(f"{archive} {record['damage']}")
        return [
            Member(archive, m["name"], m["offset"], m["size"], Path(m["copy"]) if m["copy"] else None)
            for m in record["members"]
        ]

    def _read(self, archive: Path) -> dict[str, Any]:
        """What an archive holds, in one pass from its beginning to its end, or to the fault in it."""
        members: list[dict[str, Any]] = []
        damage, others = "", 0
        with archive.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        size = archive.stat().st_size
        try:
            with tarfile.open(archive, "r|gz" if compressed else "r:", tarinfo=StrictHeaders) as tar:
                for member in tar:
                    if not self._takes(member):
                        others += member.isreg()
                        continue
                    if not compressed and member.offset_data + member.size > size:
                        raise EOFError("unexpected end of data")
                    copy = _place(self.folder, archive, member.name) if compressed and member.size else None
                    if copy is not None:
                        with atomic_write(copy) as temporary:
                            _copy(tar.extractfile(member), temporary, member.size)
                    offset = -1 if compressed else member.offset_data
                    members.append(
                        {
                            "name": member.name,
                            "offset": offset,
                            "size": member.size,
                            "copy": str(copy) if copy else None,
                        }
                    )
                    last = member.name
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the archive's
            after = f"after {last}" if members else "at its beginning"
            damage = f"is cut short or damaged {after} ({error}): fetch it again"
        return {"archive": str(archive), "members": members, "others": others, "damage": damage}

    def _takes(self, member: tarfile.TarInfo) -> bool:
        """Whether a member is a plain file of a wanted name, inside the archive's own folders."""
        path = PurePosixPath(member.name)
        wanted = bool(self._wanted.fullmatch(path.name))
        return member.isreg() and member.sparse is None and stays_inside(member.name) and wanted


def _expression(pattern: str) -> str:
    """Regular expression of the last part of the names that a pattern can lead to."""
    last = pattern.rpartition("/")[2]
    return "".join(
        re.escape(text) + ("[^/]+" if name is not None else "") for text, name, _, _ in string.Formatter().parse(last)
    )


def _place(folder: Path, archive: Path, name: str) -> Path:
    """Where a member is kept: a name of ours, in one of 256 folders."""
    digest = hashlib.sha256(f"{archive.name}/{name}".encode("utf-8", "surrogateescape")).hexdigest()
    return folder / digest[:2] / f"{digest[:32]}{PurePosixPath(name).suffix}"


def _copy(source: BinaryIO | Any, target: Path, size: int) -> None:
    """Copy `size` bytes to a file, on disk when this returns."""
    with target.open("wb") as file:
        shutil.copyfileobj(_Limited(source, size), file, 1 << 20)
        file.flush()
        if file.tell() != size:
            raise EOFError(f"{file.tell()} of {size} bytes")
        os.fsync(file.fileno())


class _Limited:
    """The next `left` bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self._left = file, left

    def read(self, size: int = 1 << 20, /) -> bytes:
        """At most `size` bytes."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data
