"""Folders and archives (tar, zip, webdataset) of somebody's sounds, read in place: nothing has to be unpacked first.

A plain tar or a zip is read where it lies, each member at its place. A compressed tar has no places: it is written once
as a plain one into a temporary file that nothing else can open, and is gone when the job ends. Of an archive only plain
files are read, under names below its own root; a name that leads outside refuses the archive as a whole.
"""

import bz2
import glob
import gzip
import json
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cafa.common.errors import ClipError, InputError
from cafa.common.files import digest_of
from cafa.common.tar_headers import DAMAGE, StrictHeaders, stays_inside

#: Largest member that is read: minutes of sound or film. A larger one is no sample, or a trap.
LARGEST_MEMBER = 1 << 30
TARS = {".tar": None, ".tgz": gzip.open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ZIPS = (".zip",)
#: Flag of an encrypted member of a zip, and kinds of its files (of Unix, 0 where none is said) that are plain.
ENCRYPTED, PLAIN_KINDS = 0x1, (0x0, 0x8)
#: What other programs leave in archives, which is nobody's sample.
LEFT_BEHIND = ("__MACOSX/", "._", ".DS_Store")


class FolderFiles:
    """Files below a folder: ``names`` in order, ``digest`` of names and sizes.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        If there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder.resolve()
        if not self.root.is_dir():
            raise InputError(f"folder of samples {folder} is not there: set its path in the configuration")
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        self.names: list[str] = [path.relative_to(self.root).as_posix() for path in found]
        self.digest = digest_of([[name, path.stat().st_size] for name, path in zip(self.names, found, strict=True)])

    @contextmanager
    def path_of(self, name: str) -> Iterator[Path]:
        """The file itself.

        Raises
        ------
        ClipError
            ``bad_path`` if it is a link that leads out of the folder.
        """
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise ClipError("bad_path", f"{name} leads outside {self.root}")
        yield path

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class _Member:
    """A file of an archive: where it is, or why it is not read."""

    archive: int
    size: int
    place: int | zipfile.ZipInfo
    refused: str = ""


class ArchiveFiles:
    """Files of archives, as one set of ``names`` in their order; ``digest`` of names and sizes.

    Parameters
    ----------
    archives : sequence of Path
        Tars, also compressed ones, and zips.
    name_field : str, optional
        Webdataset: field of the JSON beside each sound (``<key>.json``) that holds its name, to which the suffix of
        the member is added where it has none of its own.

    Raises
    ------
    InputError
        If one is not there, is damaged, is of no known form, or holds a name that leads outside.
    """

    def __init__(self, archives: Sequence[Path], name_field: str | None = None) -> None:
        if not archives:
            raise InputError("no archive of samples was named")
        self._archives = list(archives)
        self._open: list[BinaryIO | zipfile.ZipFile] = []
        self._members: dict[str, list[_Member]] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="cafa-samples-")
        for number, path in enumerate(self._archives):
            if not path.is_file():
                raise InputError(f"archive of samples {path} is not there: set its path in the configuration")
            suffix = path.suffix.lower()
            if suffix in ZIPS:
                self._add_zip(number, path)
            elif suffix in TARS:
                self._add_tar(number, path)
            else:
                raise InputError(f"archive of samples {path}: its name must end with one of {[*TARS, *ZIPS]}")
        if name_field is not None:
            self._members = self._renamed(name_field)
        self.names: list[str] = list(self._members)
        listed = [[name, [member.size for member in found]] for name, found in self._members.items()]
        self.digest = digest_of(listed)

    def close(self) -> None:
        """Close all archives."""
        for file in self._open:
            file.close()
        self._scratch.cleanup()

    def _add(self, name: str, member: _Member, path: Path) -> None:
        if not stays_inside(name):
            raise InputError(
                f"archive of samples {path} holds a member called {name!r}, which leads outside of it: such an archive "
                "is not read; get it from its publisher again"
            )
        plain = str(PurePosixPath(name))
        if not plain.startswith(LEFT_BEHIND[0]) and not PurePosixPath(plain).name.startswith(LEFT_BEHIND[1:]):
            self._members.setdefault(plain, []).append(member)

    def _add_tar(self, number: int, path: Path) -> None:
        opener = TARS[path.suffix.lower()]
        file: BinaryIO
        try:
            if opener is None:
                file = path.open("rb")
            else:
                file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the archives
                with opener(path, "rb") as compressed:
                    shutil.copyfileobj(compressed, file, 1 << 20)
                file.seek(0)
            self._open.append(file)
            end = file.seek(0, 2)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:", tarinfo=StrictHeaders) as tar:
                for member in tar:
                    if member.isdir():
                        continue
                    refused = "" if member.isreg() and member.sparse is None else "it is a link, a device or sparse"
                    if not refused and member.offset_data + member.size > end:
                        raise EOFError("unexpected end of data")
                    self._add(member.name, _Member(number, member.size, member.offset_data, refused), path)
        except DAMAGE as error:
            raise InputError(f"archive of samples {path} is cut short or damaged ({error}): fetch it again") from error

    def _add_zip(self, number: int, path: Path) -> None:
        try:
            archive = zipfile.ZipFile(path)  # closed with the archives
        except (zipfile.BadZipFile, OSError, struct.error) as error:
            raise InputError(f"archive of samples {path} is cut short or damaged ({error}): fetch it again") from error
        self._open.append(archive)
        for member in archive.infolist():
            if member.is_dir():
                continue
            refused = "it is encrypted" if member.flag_bits & ENCRYPTED else ""
            if member.external_attr >> 28 not in PLAIN_KINDS:
                refused = "it is a link or a device"
            self._add(member.filename, _Member(number, member.file_size, member, refused), path)

    def _renamed(self, field: str) -> dict[str, list[_Member]]:
        """Members of a webdataset by the names that the JSON beside them gives."""
        found: dict[str, list[_Member]] = {}
        for name, members in self._members.items():
            key, suffix = _split(name)
            if suffix == ".json" or f"{key}.json" not in self._members:
                continue
            with self.path_of(f"{key}.json") as path:
                try:
                    facts = json.loads(path.read_text("utf-8"))
                except ValueError as error:
                    raise InputError(f"{key}.json of the archives is no JSON: {error}") from error
            if not isinstance(facts, Mapping) or not isinstance(facts.get(field), str):
                raise InputError(f"{key}.json of the archives has no text {field!r}, only {sorted(facts)}")
            given = facts[field] if PurePosixPath(facts[field]).suffix == suffix else facts[field] + suffix
            if not stays_inside(given):
                raise InputError(f"{key}.json of the archives names {given!r}, which leads outside")
            found.setdefault(str(PurePosixPath(given)), []).extend(members)
        if not found:
            raise InputError(
                f"no sound of the archives has a <key>.json beside it, whose field {field!r} could name it"
            )
        return found

    @contextmanager
    def path_of(self, name: str) -> Iterator[Path]:
        """A member, as a file under a name of ours.

        Raises
        ------
        ClipError
            ``ambiguous``, ``bad_path``, ``too_large``, ``empty_file`` or ``corrupt``.
        """
        members = self._members[name]
        if len(members) > 1:
            places = ", ".join(str(self._archives[member.archive]) for member in members[:3])
            raise ClipError("ambiguous", f"{name} is {len(members)} times in the archives: {places}")
        member, archive = members[0], self._archives[members[0].archive]
        if member.refused:
            raise ClipError("bad_path", f"{name} of {archive.name} is not read: {member.refused}")
        if member.size > LARGEST_MEMBER:
            raise ClipError("too_large", f"{name} of {archive.name} has {member.size} bytes, {LARGEST_MEMBER} are read")
        if not member.size:
            raise ClipError("empty_file", f"{name} of {archive.name} has zero bytes")
        suffix = PurePosixPath(name).suffix.lower()
        path = Path(self._scratch.name) / f"sound{suffix if suffix[1:].isalnum() and suffix.isascii() else ''}"
        try:
            self._copy(name, member, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _copy(self, name: str, member: _Member, path: Path) -> None:
        source = self._open[member.archive]
        try:
            if isinstance(member.place, int):
                assert not isinstance(source, zipfile.ZipFile)
                source.seek(member.place)
                data = source.read(member.size)
            else:
                assert isinstance(source, zipfile.ZipFile)
                data = source.read(member.place)
        except (zipfile.BadZipFile, NotImplementedError, *DAMAGE) as error:
            raise ClipError("corrupt", f"{name} of {self._archives[member.archive].name}: {error}") from error
        path.write_bytes(data)


def _split(name: str) -> tuple[str, str]:
    """Key and suffix of a member of a webdataset: the key ends at the first point of the last part."""
    folder, slash, last = name.rpartition("/")
    key, _, suffix = last.partition(".")
    return f"{folder}{slash}{key}", f".{suffix}"


def archives_named(named: str | Sequence[str]) -> list[Path]:
    """Archives of a file's name, of a pattern such as ``set/*.tar``, or of several; of a pattern in order of name.

    A name without a file is kept as it is, so that whoever opens it says that it is not there.
    """
    paths = []
    for name in [named] if isinstance(named, str) else named:
        found = sorted(glob.glob(name)) if glob.has_magic(name) and not Path(name).exists() else [name]
        paths += [Path(path) for path in found or [name]]
    return paths


@contextmanager
def open_sounds(
    folder: str | Path | None = None, archives: str | Sequence[str] | None = None, name_field: str | None = None
) -> Iterator[FolderFiles | ArchiveFiles]:
    """Files of a folder, or of archives, for as long as the block lasts.

    Raises
    ------
    InputError
        If not one of both is given, or see :class:`FolderFiles` and :class:`ArchiveFiles`.
    """
    files = opened(folder, archives, name_field)
    try:
        yield files
    finally:
        files.close()


def opened(
    folder: str | Path | None, archives: str | Sequence[str] | None, name_field: str | None
) -> FolderFiles | ArchiveFiles:
    """Files of a folder, or of archives; to be closed."""
    if (folder is None) == (archives is None):
        raise InputError("give either a folder of samples or archives of them")
    if folder is not None:
        return FolderFiles(Path(folder))
    return ArchiveFiles(archives_named(archives or ()), name_field)
