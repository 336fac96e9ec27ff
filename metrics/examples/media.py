"""What a page of examples plays and draws: inside the page, or as files in a folder beside it."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cafa.common.errors import InputError
from cafa.common.files import atomic_write

#: Names of files beside a page: their contents' digest. No name of a clip or system becomes a path.
NAME = re.compile(r"[0-9a-f]{20}\.(mp4|jpg|png)")


class PageMedia:
    """Files of a page, each kept once whatever shows it.

    Parameters
    ----------
    page : path
        HTML of the page.
    kind : {"inside", "beside"}
        Kept for the page itself, as base64; or written to ``<name of the page>_media/``.
    max_megabytes : float
        Most that they may have together.
    """

    def __init__(self, page: Path, kind: Literal["inside", "beside"], max_megabytes: float) -> None:
        self.inside = kind == "inside"
        self.folder = page.with_name(f"{page.stem}_media")
        self._max, self._bytes = max_megabytes, 0
        self._files: dict[str, str] = {}

    def add(self, content: bytes, suffix: Literal["mp4", "jpg", "png"]) -> str:
        """Keep a file; its name.

        Raises
        ------
        InputError
            If all files have more than `max_megabytes`.
        """
        name = f"{hashlib.sha256(content).hexdigest()[:20]}.{suffix}"
        if name in self._files:
            return name
        self._files[name] = base64.b64encode(content).decode("ascii") if self.inside else ""
        self.require_room(len(self._files[name]) or len(content))
        if not self.inside:
            with atomic_write(self.folder / name) as temporary:
                temporary.write_bytes(content)
        return name

    def require_room(self, more: int) -> None:
        """Count `more` bytes; refuse a page that becomes too large."""
        self._bytes += more
        if self._bytes > self._max * 1e6:
            raise InputError(
                f"the page would have more than max_megabytes {self._max:g}: show fewer clips, prompts, failures or "
                "systems, or raise it. `media: beside` keeps videos in files beside the page, for many clips"
            )

    def count(self, suffix: Literal["mp4", "jpg", "png"]) -> int:
        """How many files of a kind there are."""
        return sum(name.endswith(suffix) for name in self._files)

    def inline(self) -> Iterator[tuple[str, str]]:
        """(name, base64) of the files that the page itself holds."""
        if self.inside:
            yield from self._files.items()

    def remove_others(self) -> None:
        """Remove what an earlier page left in the folder, once the new one is there."""
        for path in sorted(self.folder.glob("*")) if not self.inside else ():
            if NAME.fullmatch(path.name) and path.name not in self._files:
                path.unlink()
