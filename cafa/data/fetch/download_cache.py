"""Downloads on disk, one folder for all data sets: a clip that two of them name is downloaded once."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cafa.common.files import digest_of, sha256_file
from cafa.data.fetch.interface import FetchedFile, WantedClip

#: kinds of sources that download
KINDS = ("mirror", "youtube")


class DownloadCache:
    """Files called ``<folder>/<two digits>/<clip_id>.<what was asked>.<source>[.whole].mp4``.

    They appear by renaming, complete or not at all, so that a file of the name is what the name says. ``whole`` marks a
    file in which the clip begins at its own second, not at 0.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def path(self, clip: WantedClip, asked: Sequence[Any], source: str, whole: bool) -> Path:
        """Where the file of a clip is, or is to be."""
        place = hashlib.sha256(clip.clip_id.encode()).hexdigest()[:2]
        name = f"{clip.clip_id}.{digest_of(list(asked))[:8]}.{source}{'.whole' if whole else ''}.mp4"
        return self.folder / place / name

    def find(self, clip: WantedClip, asked: Sequence[Any], kinds: Sequence[str]) -> FetchedFile | None:
        """What an earlier run, or the run of another data set, downloaded from one of these kinds of sources."""
        for kind in kinds:
            for whole in (False, True):
                path = self.path(clip, asked, kind, whole)
                if path.is_file():
                    return FetchedFile(path, kind, clip.start if whole else 0.0, sha256_file(path))
        return None

    def add(self, clip: WantedClip, asked: Sequence[Any], found: FetchedFile) -> FetchedFile:
        """Move a finished download to its place."""
        path = self.path(clip, asked, found.source, whole=found.start > 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(found.path, path)
        return found._replace(path=path)

    def remove(self, path: str | Path) -> None:
        """Remove a download that is no longer what it was; files elsewhere are not ours to remove."""
        if Path(path).is_relative_to(self.folder):
            Path(path).unlink(missing_ok=True)
