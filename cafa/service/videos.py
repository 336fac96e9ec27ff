"""Uploads: written under names of our own, looked at before they are kept, deleted when they are old.

Nothing that a visitor sends becomes part of a path: an upload's name on the disk is a random id with a suffix out of a
list. The name that it had is kept as a word for people.
"""

import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
from pydantic import BaseModel, Field

from cafa.common.file_names import readable_part
from cafa.common.files import read_json, write_json
from cafa.common.work import Work
from cafa.service.apart import Apart, ReadingError
from cafa.service.errors import FolderFullError, NotAVideoError, TooLargeError, UnknownError
from cafa.service.limits import Limits
from cafa.service.looking import look_at

ID = re.compile(r"[0-9a-f]{32}")
#: suffixes that stay; the suffix decides into which container a result goes
SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".ts", ".mpg"}
PART, FACTS = ".part", "video.json"


def new_id() -> str:
    """An id that cannot be guessed: who knows it may use what it names."""
    return secrets.token_hex(16)


class Video(BaseModel):
    """An upload that can be used."""

    id: str = Field(description="names it in a job")
    name: str = Field(description="the name that the file had, as letters, digits and `_`")
    bytes: int
    seconds: float = Field(description="length of the picture")
    width: int
    height: int
    file: str = Field("", exclude=True)


class VideoStore:
    """The uploads of a service, in a folder of their own.

    Parameters
    ----------
    folder : path
        Made if it is not there. Parts of uploads that an ended service left are deleted.
    limits : Limits

    Attributes
    ----------
    result_bytes : int
        Bytes of the results that lie beside them.
    page : Path
        Folder of the page's own uploads, which count as well; empty when the service begins.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.page = folder.parent / "page"
        shutil.rmtree(self.page, ignore_errors=True)  # of a service that ended
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{PART}"):
            left.unlink()
        self.work: Work = Apart(limits.reading_seconds)
        self.result_bytes = 0
        self._videos: dict[str, Video] = {}
        for place in folder.iterdir():
            if ID.fullmatch(place.name) is None:
                continue  # not ours
            try:
                self._videos[place.name] = Video.model_validate(read_json(place / FACTS))
            except (OSError, ValueError):  # without facts, or with those of another version
                shutil.rmtree(place)

    def get(self, name: str) -> Video:
        """The upload of an id.

        Raises
        ------
        UnknownError
            If there is none.
        """
        if ID.fullmatch(name) is None or name not in self._videos:
            raise UnknownError("there is no such video: it was never uploaded, or was deleted since; upload it again")
        return self._videos[name]

    def path(self, video: Video) -> Path:
        """Where the file lies."""
        return self.folder / video.id / video.file

    async def receive(self, chunks: AsyncIterator[bytes], name: str) -> Video:
        """Write an upload as it comes, and look at it; nothing stays of one that is refused or cut off.

        Raises
        ------
        RefusedError
            If it is too large, too long, or no video.
        """
        part = self.folder / f"{new_id()}{PART}"
        try:
            written = 0
            with part.open("wb") as file:
                async for chunk in chunks:
                    written += len(chunk)
                    self._check_size(written)
                    await anyio.to_thread.run_sync(file.write, chunk)
            return await anyio.to_thread.run_sync(self._keep, part, name)
        finally:
            part.unlink(missing_ok=True)

    def copy(self, file: BinaryIO, name: str) -> Video:
        """As :meth:`receive`, from an open file."""
        part = self.folder / f"{new_id()}{PART}"
        try:
            self._check_size(file.seek(0, 2))
            file.seek(0)
            with part.open("wb") as output:
                shutil.copyfileobj(file, output)
            return self._keep(part, name)
        finally:
            part.unlink(missing_ok=True)

    def _check_size(self, size: int) -> None:
        if size > self.limits.largest_bytes:
            raise TooLargeError(f"the file is larger than {self.limits.largest_bytes / 1e6:g} MB, which is the limit")

    def require_room(self, size: int) -> None:
        """Refuse what would not fit beside the uploads and results that are there.

        Raises
        ------
        FolderFullError
            If it does not fit.
        """
        used = self.result_bytes + sum(video.bytes for video in self._videos.values()) + size_of(self.page)
        if used + size > self.limits.folder_bytes:
            raise FolderFullError("the room for uploads and results is full: try again later")

    def _keep(self, part: Path, name: str) -> Video:
        self.require_room(part.stat().st_size)
        try:
            seconds, width, height = self.work(look_at, part, self.limits)
        except ReadingError as error:
            raise NotAVideoError(str(error)) from error
        plain = name.replace("\\", "/").rpartition("/")[2]
        suffix = Path(plain).suffix.lower()
        video = Video(
            id=new_id(),
            name=readable_part(Path(plain).stem) or "video",
            bytes=part.stat().st_size,
            seconds=seconds,
            width=width,
            height=height,
            file=f"video{suffix if suffix in SUFFIXES else '.mp4'}",
        )
        folder = self.folder / video.id
        folder.mkdir()
        part.rename(folder / video.file)
        write_json(folder / FACTS, video.model_dump() | {"file": video.file})  # last: without it, it is not there
        self._videos[video.id] = video
        return video

    def clean(self, keep: set[str]) -> list[str]:
        """Delete what is older than the limit, apart from the ids in `keep`; gives the ids."""
        oldest = time.time() - self.limits.keep_hours * 3600
        gone = []
        for folder in self.folder.iterdir():
            ours = ID.fullmatch(folder.name) is not None
            if ours and folder.name not in keep and folder.stat().st_mtime < oldest:
                self._videos.pop(folder.name, None)
                shutil.rmtree(folder)
                gone.append(folder.name)
        for path in self.page.rglob("*"):
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
        return gone


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # others delete there
            total += path.stat().st_size if path.is_file() else 0
    return total
