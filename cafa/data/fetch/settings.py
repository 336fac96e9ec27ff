"""Settings of fetching: where a clip's file may come from, and how politely it is asked for."""

import string
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cafa.common.http_settings import HttpSettings
from cafa.data.uris import is_remote

#: what a pattern may name
FIELDS = ("clip_id", "video_id", "start", "start_ms", "end_ms", "split", "label")


def _checked_pattern(text: str) -> str:
    names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    wrong = [name for name in names if name not in FIELDS]
    if wrong or not names:
        raise ValueError(f"{text!r} must name a clip by fields of {{{'}, {'.join(FIELDS)}}}, got {wrong or 'none'}")
    return text


def _checked_url(text: str) -> str:
    if not is_remote(text):
        raise ValueError(f"{text!r} must begin with http:// or https://")
    return _checked_pattern(text)


Pattern = Annotated[str, AfterValidator(_checked_pattern)]
UrlPattern = Annotated[str, AfterValidator(_checked_url)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FolderSource(_Settings):
    """Files that are already there."""

    kind: Literal["folder"] = "folder"
    root: Path = Field(description="folder that the patterns are relative to")
    cut: tuple[Pattern, ...] = Field(
        ("{clip_id}.mp4",),
        description="names of files that begin where the clip begins, tried in order; fields in braces",
    )
    whole: tuple[Pattern, ...] = Field((), description="names of files of whole videos, tried after those")
    search: bool = Field(False, description="look for the last part of each name in all folders below root")


class ArchivesSource(_Settings):
    """Archives as a publisher made them: tar read in place, tar.gz in one pass that writes the clips out."""

    kind: Literal["archives"] = "archives"
    root: Path = Field(description="folder of the archives")
    files: tuple[str, ...] = Field(
        ("*.tar", "*.tar.gz", "*.tgz"), min_length=1, description="names of the archives in it, with * and ?"
    )
    cut: tuple[Pattern, ...] = Field(
        ("{clip_id}.mp4",),
        description="names of members that begin where the clip begins, tried in order, in whatever folder they lie",
    )
    whole: tuple[Pattern, ...] = Field((), description="names of members that are whole videos, tried after those")


class MirrorSource(_Settings):
    """An archive that serves one file for each clip over HTTP(S)."""

    kind: Literal["mirror"] = "mirror"
    url: UrlPattern = Field(description="address of a clip; fields in braces")
    whole: bool = Field(False, description="the files are whole videos, not cut clips")
    checksums: Path | None = Field(
        None, description="SHA-256 of the files, in lines like those of sha256sum; names as in the address"
    )
    http: HttpSettings = HttpSettings()


class YouTubeSource(_Settings):
    """YouTube, by yt-dlp: the clip's seconds alone, cut at forced key frames."""

    kind: Literal["youtube"] = "youtube"
    format: str = Field("bv*[height<=360]+ba/b[height<=360]", description="formats, in yt-dlp's words")
    cookies: Path | None = Field(
        None, description="cookies.txt of an account; each worker writes to a copy of its own, never to this file"
    )
    sleep_requests_seconds: float = Field(0.75, ge=0, description="pause between requests for one video")
    sleep_seconds: float = Field(0.0, ge=0, description="shortest extra pause before the media of a video")
    maximum_sleep_seconds: float = Field(0.0, ge=0, description="longest such pause; drawn between the two")
    rate_bytes_per_second: int | None = Field(2_000_000, gt=0, description="limit of a download's rate; null: none")
    timeout_seconds: float = Field(20.0, gt=0, description="longest silence of the server")
    retries: int = Field(10, ge=0, description="tries again of a piece of media")
    page_retries: int = Field(3, ge=0, description="tries again of a page")
    javascript: tuple[str, ...] = Field(("deno",), description="JavaScript programs that yt-dlp may use")


class Politeness(_Settings):
    """How YouTube is asked by all jobs of a run together: they share a file with a lock."""

    interval_seconds: float = Field(5.0, ge=0, description="shortest time between the beginnings of two downloads")
    back_off_seconds: float = Field(
        60.0, ge=0, description="pause of all jobs after a bot check or rate limit; doubles with each one in a row"
    )
    bot_checks: int = Field(5, ge=1, description="bot checks and rate limits in a row that stop the run")
    cool_down_seconds: float = Field(3600.0, ge=0, description="a stopped run is not taken up again before this")
    state: Path | None = Field(
        None,
        description="file that the jobs share, for data sets with folders of their own that are fetched from one "
        "address at the same time. null: politeness.json in the folder of downloads",
    )


Source = Annotated[FolderSource | ArchivesSource | MirrorSource | YouTubeSource, Field(discriminator="kind")]


class FetchSettings(_Settings):
    """Where clips come from."""

    sources: tuple[Source, ...] = Field(min_length=1, description="tried in this order for each clip")
    concurrency: int = Field(2, ge=1, le=64, description="clips of one job in work at the same time")
    maximum_bytes: int = Field(2_000_000_000, gt=0, description="largest file that is taken from the web")
    unknown_days: int = Field(
        3, ge=1, description="days on which an answer that no rule knows is asked for again, before it counts as gone"
    )
    politeness: Politeness = Politeness()
