"""YouTube by yt-dlp's Python interface: one video a call, its seconds alone, never through a shell."""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from cafa.common.errors import ClipError, InputError
from cafa.common.files import sha256_file
from cafa.data.fetch.interface import FetchedFile, WantedClip, video_url
from cafa.data.fetch.rate_limit import RateLimiter
from cafa.data.fetch.settings import YouTubeSource
from cafa.data.fetch.youtube_errors import classify

#: name of the file inside a clip's work folder: ids of videos are no part of any path that yt-dlp sees
STEM = "clip"
#: longest text of an answer in the ledger
MAXIMUM_TEXT = 2000


class Downloader(Protocol):
    """What is used of ``yt_dlp.YoutubeDL``."""

    def extract_info(self, url: str, download: bool = True) -> Any:
        """Read the page of a video, and download it."""
        ...


OpenDownloader = Callable[[dict[str, Any]], AbstractContextManager[Downloader]]


def yt_dlp_downloader() -> tuple[OpenDownloader, str]:
    """The real one, and its version.

    Raises
    ------
    InputError
        If yt-dlp or ffmpeg is not installed.
    """
    try:
        import yt_dlp
        from yt_dlp.version import __version__
    except ImportError as error:
        raise InputError("the source `youtube` needs yt-dlp: pip install 'cafa[full]'") from error
    if shutil.which("ffmpeg") is None:
        raise InputError("the source `youtube` needs the program ffmpeg, which cuts the seconds out: install it")
    return yt_dlp.YoutubeDL, f"yt-dlp {__version__}"


class _Messages:
    """Collects what yt-dlp says, for the ledger."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str) -> None:
        pass

    def info(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        self.lines.append(f"WARNING: {message}")

    def error(self, message: str) -> None:
        self.lines.append(message)


class YouTube:
    """Clips of YouTube videos.

    Parameters
    ----------
    settings : YouTubeSource
        How to ask.
    folder : str or Path
        Folder of what is in work; each worker's copy of the cookies lies there until :meth:`close`.
    limiter : RateLimiter
        The pace, shared with other jobs.
    maximum_bytes : int
        Largest file to keep.
    downloader : (callable, str), optional
        Stands in for :func:`yt_dlp_downloader` in tests.
    """

    local = False

    def __init__(
        self,
        settings: YouTubeSource,
        folder: str | Path,
        limiter: RateLimiter,
        maximum_bytes: int,
        downloader: tuple[OpenDownloader, str] | None = None,
    ) -> None:
        if settings.cookies is not None and not settings.cookies.is_file():
            raise InputError(f"no cookies at {settings.cookies}: export cookies.txt from a browser, or leave it out")
        self.settings, self.folder, self.limiter, self._maximum_bytes = settings, Path(folder), limiter, maximum_bytes
        self._downloader = downloader
        self._copies: dict[int, Path] = {}
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Of yt-dlp."""
        return self._open()[1]

    def _open(self) -> tuple[OpenDownloader, str]:
        """The downloader: looked for when the first clip is sought here, as all may be in a folder."""
        if self._downloader is None:
            self._downloader = yt_dlp_downloader()
        return self._downloader

    def fetch(self, clip: WantedClip, target: Path) -> FetchedFile:
        """Download the clip's seconds to `target`.

        Raises
        ------
        ClipError
            Why there is none.
        FetchStoppedError
            If YouTube blocks several requests in a row.
        """
        if clip.video_id is None:
            raise ClipError("no_source", "its uri is not https://www.youtube.com/watch?v=<id>")
        url, (open_downloader, _) = video_url(clip.video_id), self._open()
        self.limiter.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".youtube-", dir=self.folder) as work:
            messages = _Messages()
            try:
                with open_downloader(self.options(clip, Path(work), messages)) as downloader:
                    downloader.extract_info(url, download=True)
            # Whatever foreign code raises is this clip's outcome and is kept with its text; a full disk is raised on.
            except Exception as error:
                reason, text = classify(error), self._text(error, messages)
                if reason in ("bot_check", "rate_limited"):
                    self.limiter.record_block(text)
                raise ClipError(reason, text) from error
            self.limiter.record_success()
            found = sorted(path for path in Path(work).iterdir() if path.is_file() and path.suffix != ".part")
            if len(found) != 1 or found[0].stat().st_size == 0:
                names = ", ".join(path.name for path in found) or "nothing"
                raise ClipError("unknown", self._text(f"no error, but it left {names}", messages))
            if found[0].stat().st_size > self._maximum_bytes:
                raise ClipError(
                    "too_large", f"{found[0].stat().st_size} bytes, at most {self._maximum_bytes} are allowed"
                )
            os.replace(found[0], target)
        start = clip.start if clip.duration is None else 0.0
        return FetchedFile(target.absolute(), "youtube", start, sha256_file(target))

    def options(self, clip: WantedClip, work: Path, messages: _Messages) -> dict[str, Any]:
        """Parameters of ``yt_dlp.YoutubeDL`` for one clip."""
        settings = self.settings
        options: dict[str, Any] = {
            "quiet": True,
            "noprogress": True,
            "logger": messages,
            "noplaylist": True,
            "format": settings.format,
            "merge_output_format": "mp4",
            "postprocessors": [{"key": "FFmpegVideoRemuxer", "preferedformat": "mp4"}],
            "outtmpl": {"default": f"{str(work).replace('%', '%%')}/{STEM}.%(ext)s"},
            "cachedir": False,
            "overwrites": True,
            "updatetime": False,
            "socket_timeout": settings.timeout_seconds,
            "retries": settings.retries,
            "fragment_retries": settings.retries,
            "extractor_retries": settings.page_retries,
            "retry_sleep_functions": {"http": _doubling, "fragment": _doubling, "extractor": _doubling},
            # A hole in the middle of a clip would be found by nobody.
            "skip_unavailable_fragments": False,
            "sleep_interval_requests": settings.sleep_requests_seconds,
            "sleep_interval": settings.sleep_seconds,
            "max_sleep_interval": max(settings.sleep_seconds, settings.maximum_sleep_seconds),
            "js_runtimes": {name: {} for name in settings.javascript},
        }
        if settings.rate_bytes_per_second is not None:
            options["ratelimit"] = settings.rate_bytes_per_second
        if settings.cookies is not None:
            options["cookiefile"] = str(self._cookies())
        if clip.duration is not None:
            section = {"start_time": clip.start, "end_time": clip.start + clip.duration}
            options["download_ranges"] = lambda info, downloader: [section]
            # Without it the cut begins at an earlier key frame and an edit list hides the rest.
            options["force_keyframes_at_cuts"] = True
        return options

    def close(self) -> None:
        """Remove the copies of the cookies."""
        for path in self._copies.values():
            path.unlink(missing_ok=True)

    def _cookies(self) -> Path:
        """This worker's own copy: yt-dlp writes to it."""
        assert self.settings.cookies is not None  # else nothing asks for a copy
        worker = threading.get_ident()
        with self._lock:
            if worker not in self._copies:
                descriptor, name = tempfile.mkstemp(prefix=".cookies-", suffix=".txt", dir=self.folder)
                with open(descriptor, "wb") as file:
                    file.write(self.settings.cookies.read_bytes())
                self._copies[worker] = Path(name)
            return self._copies[worker]

    def _text(self, error: BaseException | str, messages: _Messages) -> str:
        words = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        kept = " | ".join([words, *(line for line in messages.lines if line not in words)])
        return f"{kept[:MAXIMUM_TEXT]} ({self.version})"


def _doubling(n: int) -> float:
    return float(min(2**n, 60))
