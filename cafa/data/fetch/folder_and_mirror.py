"""Folders and mirrors. YouTube has a file of its own."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from cafa.common.download import download
from cafa.common.errors import ClipError, InputError
from cafa.data.fetch.interface import FetchedFile, WantedClip
from cafa.data.fetch.settings import FolderSource, MirrorSource


class Folder:
    """Files that are already there; they stay where they are.

    Raises
    ------
    InputError
        If the folder is not there: a disk that is not mounted must not look like clips that are gone.
    """

    local = True

    def __init__(self, settings: FolderSource) -> None:
        self.settings = settings
        self.root = settings.root.absolute()
        if not self.root.is_dir():
            raise InputError(f"no folder at {self.root}: name one that is there in `sources`, or leave the source out")
        self._index: dict[str, list[Path]] | None = None
        self._lock = threading.Lock()

    def fetch(self, clip: WantedClip, target: Path) -> FetchedFile:
        """The first file that a pattern leads to; nothing is written to `target`."""
        tried = []
        for name, start in clip.names(self.settings.cut, self.settings.whole):
            tried.append(name)
            path = self._find(name)
            if path is not None:
                if path.stat().st_size == 0:
                    raise ClipError("empty_file", f"{path} has zero bytes")
                return FetchedFile(path, "folder", start, None)
        where = "anywhere below" if self.settings.search else "in"
        raise ClipError("missing_file", f"none of {', '.join(tried)} {where} {self.root}")

    def _find(self, name: str) -> Path | None:
        if not self.settings.search:
            path = self.root / name
            return path if path.is_file() else None
        name = name.rpartition("/")[2]
        found = self._files().get(name, [])
        if len(found) > 1:
            raise ClipError("ambiguous", f"{name} is at {' and at '.join(map(str, sorted(found)[:3]))}")
        return found[0] if found else None

    def _files(self) -> dict[str, list[Path]]:
        """Every file below the root by name; the folders are read once."""
        with self._lock:
            if self._index is None:
                index: dict[str, list[Path]] = {}
                for folder, _, names in os.walk(self.root):
                    for name in names:
                        index.setdefault(name, []).append(Path(folder, name))
                self._index = index
            return self._index


class Mirror:
    """An archive over HTTP(S)."""

    local = False

    def __init__(
        self,
        settings: MirrorSource,
        client: httpx.Client,
        maximum_bytes: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings, self._client, self._maximum_bytes, self._sleep = settings, client, maximum_bytes, sleep
        self._checksums = None if settings.checksums is None else read_checksums(settings.checksums)

    def fetch(self, clip: WantedClip, target: Path) -> FetchedFile:
        """Download the clip's file to `target`."""
        url = clip.fill(self.settings.url, quoted=True)
        expected = None
        if self._checksums is not None:
            name = clip.fill(self.settings.url).rpartition("/")[2]
            expected = self._checksums.get(name)
            if expected is None:
                raise ClipError("not_found", f"{self.settings.checksums} does not name {name}")
        digest = download(
            self._client,
            url,
            target,
            settings=self.settings.http,
            sha256=expected,
            maximum_bytes=self._maximum_bytes,
            media=True,
            sleep=self._sleep,
        )
        if target.stat().st_size == 0:
            target.unlink()
            raise ClipError("empty_file", f"{url} has zero bytes")
        return FetchedFile(target.absolute(), "mirror", clip.start if self.settings.whole else 0.0, digest)


def read_checksums(path: str | Path) -> dict[str, str]:
    """Read lines like those of ``sha256sum``: file name (its last part) -> SHA-256.

    Raises
    ------
    InputError
        If the file is not there, or a line is not of that form.
    """
    try:
        lines = Path(path).read_text().splitlines()
    except FileNotFoundError as error:
        raise InputError(f"no list of checksums at {path}") from error
    checksums = {}
    for number, line in enumerate(lines, start=1):
        digest, _, name = line.partition(" ")
        name = name.strip().lstrip("*")
        if len(digest) != 64 or not name or set(digest.lower()) - set("0123456789abcdef"):
            raise InputError(f"{path}, line {number}: expected a SHA-256, two spaces and a file name, got {line!r}")
        checksums[name.rpartition("/")[2]] = digest.lower()
    return checksums
