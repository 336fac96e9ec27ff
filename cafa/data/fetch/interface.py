"""What a source is asked for, and what it answers with."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import pandas as pd

from cafa.common.errors import ClipError
from cafa.data.manifest import check_clip_id

#: an id of a YouTube video
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_VIDEO_URL = re.compile(r"https://(?:www\.youtube\.com/watch\?v=|youtu\.be/)([A-Za-z0-9_-]{11})")


def video_url(video_id: str) -> str:
    """Address of a YouTube video.

    Raises
    ------
    ClipError
        ``bad_id`` if it is not 11 of ``A-Z a-z 0-9 _ -``.
    """
    if not VIDEO_ID.fullmatch(video_id):
        raise ClipError("bad_id", f"{video_id!r} is not an id of a YouTube video: 11 of A-Z a-z 0-9 _ -")
    return f"https://www.youtube.com/watch?v={video_id}"


def video_id_of(uri: str) -> str | None:
    """Id of the YouTube video that a URI leads to; None for any other."""
    match = _VIDEO_URL.fullmatch(uri)
    return match[1] if match else None


@dataclass(frozen=True)
class WantedClip:
    """A row of a manifest, checked.

    Attributes
    ----------
    start : float
        Second of the video where the clip starts.
    duration : float or None
        Seconds; None: to the end.
    """

    clip_id: str
    video_id: str | None
    start: float
    duration: float | None
    label: str
    split: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> "WantedClip":
        """From a row of :func:`cafa.data.manifest.read_manifest`."""
        return cls(
            clip_id=check_clip_id(row["clip_id"]),
            video_id=video_id_of(row["uri"]),
            start=float(row["start"]),
            duration=None if pd.isna(row["duration"]) else float(row["duration"]),
            label=row["label"],
            split=row["split"],
        )

    def fill(self, pattern: str, *, quoted: bool = False) -> str:
        """A pattern with the clip's fields, `quoted` for an address.

        Raises
        ------
        ClipError
            ``no_source`` if the clip lacks a field, ``bad_path`` if its label is none for a path.
        """
        fields: dict[str, Any] = {"clip_id": self.clip_id, "split": self.split, "start_ms": round(self.start * 1000)}
        if self.video_id is not None:
            fields["video_id"] = self.video_id
        if self.start.is_integer():
            fields["start"] = int(self.start)
        if self.duration is not None:
            fields["end_ms"] = round((self.start + self.duration) * 1000)
        if "{label" in pattern:
            if re.search(r"[/\\\0]", self.label) or self.label.startswith("."):
                raise ClipError("bad_path", f"label {self.label!r} cannot be part of a path")
            fields["label"] = self.label
        if quoted:
            fields |= {name: quote(value, safe="") for name, value in fields.items() if isinstance(value, str)}
        try:
            return pattern.format(**fields)
        except KeyError as error:
            raise ClipError("no_source", f"{pattern!r} needs {error.args[0]}, which the clip has not") from error

    def names(self, cut: Sequence[str], whole: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Names that patterns lead to, those of cut clips first.

        Each is made when it is asked for, so that a clip which is found by one pattern needs nothing of the next.
        Patterns that need a field which the clip has not are left out.

        Yields
        ------
        name : str
        start : float
            Second of the file where the clip starts.

        Raises
        ------
        ClipError
            ``no_source`` if no pattern is left, and what else :meth:`fill` raises.
        """
        lacking: ClipError | None = None
        filled = False
        for pattern, start in [*((pattern, 0.0) for pattern in cut), *((pattern, self.start) for pattern in whole)]:
            try:
                name = self.fill(pattern)
            except ClipError as error:
                if error.reason != "no_source":
                    raise
                lacking = error
                continue
            filled = True
            yield name, start
        if lacking is not None and not filled:
            raise lacking


class FetchedFile(NamedTuple):
    """A clip's file.

    Attributes
    ----------
    path : Path
        Absolute.
    source : str
        Kind of the source that gave it.
    start : float
        Second of the file where the clip starts.
    sha256 : str or None
        Of the file, where it was computed.
    """

    path: Path
    source: str
    start: float
    sha256: str | None


class ClipSource(Protocol):
    """One place that clips may come from."""

    #: whether asking costs nothing and bothers nobody
    local: bool

    def fetch(self, clip: WantedClip, target: Path) -> FetchedFile:
        """The clip's file: one that is there, or `target`, written whole.

        Raises
        ------
        ClipError
            If the source has none.
        """
        ...
