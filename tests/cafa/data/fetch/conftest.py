"""A mirror that misbehaves on request, and what stands in for yt-dlp."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cafa.data.fetch.interface import WantedClip


class Mirror(ThreadingHTTPServer):
    """Serves `files` by path; `moods[path]` is a list of what to do at the next requests of that path.

    Moods: ``cut N`` promises the whole and closes after N bytes; ``status C`` and ``status C wait S`` (Retry-After);
    ``wrong`` other bytes of the same length; ``slow`` byte by byte; ``hold N`` nothing after N bytes until `release`
    is set; ``page`` a web page; ``deaf`` ignores Range.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.moods: dict[str, list[str]] = {}
        self.release = threading.Event()
        self.tag: str | None = '"v1"'
        #: path, status and number of body bytes of each answer
        self.answers: list[tuple[str, int, int]] = []
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        path = self.path
        mood = (self.server.moods.get(path) or [""]).pop(0).split()
        self.server.requests.append(dict(self.headers))
        if mood[:1] == ["status"]:
            headers = {"Retry-After": mood[3]} if len(mood) > 2 else {}
            return self._answer(int(mood[1]), b"busy", headers)
        if mood[:1] == ["page"]:
            return self._answer(200, b"<html>log in</html>", {"Content-Type": "text/html"})
        if path not in self.server.files:
            return self._answer(404, b"no such file", {})
        body = self.server.files[path]
        if mood[:1] == ["wrong"]:
            body = bytes(255 - byte for byte in body)
        tag = self.server.tag
        headers = {"ETag": tag} if tag else {}
        first, status = 0, 200
        asked = self.headers.get("Range", "")
        if asked and mood[:1] != ["deaf"] and self.headers.get("If-Range", tag) == tag:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            if first >= len(body):
                return self._answer(416, b"", {})
            status = 206
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        part = body[first:]
        if mood[:1] == ["cut"]:
            return self._answer(status, part, headers, sent=part[: int(mood[1])])
        if mood[:1] == ["hold"]:
            return self._answer(status, part, headers, step=int(mood[1]), hold=True)
        self._answer(status, part, headers, step=1 if mood[:1] == ["slow"] else None)

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        sent: bytes | None = None,
        step: int | None = None,
        hold: bool = False,
    ) -> None:
        sent = body if sent is None else sent
        self.server.answers.append((self.path, status, len(sent)))
        self.send_response(status)
        for name, value in ({"Content-Type": "video/mp4", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(sent), step or len(sent) or 1):
            self.wfile.write(sent[start : start + (step or len(sent))])
            self.wfile.flush()
            if hold:
                self.server.release.wait(60)
                break
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class StandIn:
    """Stands in for ``yt_dlp.YoutubeDL``: `acts` by video id, each a list of errors to raise or bytes to write."""

    def __init__(self) -> None:
        self.acts: dict[str, list[Exception | bytes]] = {}
        self.asked: list[str] = []
        self.options: list[dict[str, Any]] = []
        self.during: Callable[[dict[str, Any]], None] = lambda options: None

    @contextmanager
    def open(self, options: dict[str, Any]) -> Iterator["StandIn._One"]:
        self.options.append(options)
        yield StandIn._One(self, options)

    class _One:
        def __init__(self, owner: "StandIn", options: dict[str, Any]) -> None:
            self.owner, self.options = owner, options

        def extract_info(self, url: str, download: bool = True) -> dict[str, str]:
            video_id = url.removeprefix("https://www.youtube.com/watch?v=")
            self.owner.asked.append(video_id)
            self.owner.during(self.options)
            acts = self.owner.acts.get(video_id) or [b"media of " + video_id.encode()]
            act = acts.pop(0) if len(acts) > 1 else acts[0]
            if isinstance(act, Exception):
                raise act
            Path(self.options["outtmpl"]["default"].replace("%(ext)s", "mp4").replace("%%", "%")).write_bytes(act)
            return {"id": video_id}


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.naps: list[float] = []
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.naps.append(seconds)
            self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def clip(video_id: str = "abcdefghijk", start: float = 30.0, **fields: Any) -> WantedClip:
    given = {"clip_id": f"{video_id}_{int(start):06d}", "video_id": video_id, "start": start, "duration": 10.0}
    return WantedClip(**(given | {"label": "dog barking", "split": "test"} | fields))


def manifest_of(*video_ids: str, start: float = 30.0) -> pd.DataFrame:
    rows = [
        {
            "clip_id": f"{video_id}_{int(start):06d}",
            "uri": f"https://www.youtube.com/watch?v={video_id}",
            "start": start,
            "duration": 10.0,
            "label": "dog barking",
            "caption": "dog barking",
            "split": "test",
            "licence": "x",
            "line": line,
        }
        for line, video_id in enumerate(video_ids, start=2)
    ]
    return pd.DataFrame(rows)
