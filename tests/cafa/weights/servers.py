"""A server that answers like the hub, Zenodo, GitHub or a plain host of files; and misbehaves on request."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT, LATER = "c" * 40, "d" * 40
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"e" * 64 + b"\nsize 12000\n"
PAGE = b"<!DOCTYPE html><html>log in</html>"


def git_sha1(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@dataclass
class Repository:
    """Of the hub: files in LFS are served by another host, small ones by the hub itself."""

    lfs: dict[str, bytes] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)
    commit: str = COMMIT
    #: token that opens it; None: anybody may come
    token: str | None = None


@dataclass
class Answer:
    method: str
    path: str
    status: int
    headers: dict[str, str]
    #: bytes of the body given to the socket
    sent: int = 0


class Server(ThreadingHTTPServer):
    """All hosts at one port: the hub is 127.0.0.1, where large files come from is localhost.

    ``moods[path]`` is a list of what to do at the next requests for the bytes there: ``cut N`` (closes after N bytes),
    ``hold N`` (nothing after N bytes), ``status C``, ``status C wait S``, ``page``, ``pointer``, ``wrong`` (a byte),
    ``deaf`` (no ranges), ``short`` (the last byte is missing, and nobody says so), ``silent`` (no length).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.files: dict[str, bytes] = {}
        self.documents: dict[str, Any] = {}
        self.moods: dict[str, list[str]] = {}
        self.answers: list[Answer] = []
        self.heads: dict[str, list[str]] = {}
        self.release = threading.Event()
        self.slow = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bytes_of(self, path: str) -> int:
        return sum(answer.sent for answer in self.answers if answer.path == path and answer.method == "GET")


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._do()

    def do_GET(self) -> None:
        self._do()

    def _do(self) -> None:
        path = unquote(self.path)
        if path in self.server.documents:
            return self._send(
                200, json.dumps(self.server.documents[path]).encode(), {"Content-Type": "application/json"}
            )
        if "/resolve/" in path:
            return self._resolve(path)
        if path.startswith("/cdn/"):
            blobs = {
                hashlib.sha256(body).hexdigest(): body
                for repository in self.server.repositories.values()
                for body in repository.lfs.values()
            }
            return self._body(path, blobs.get(path.removeprefix("/cdn/")))
        self._body(path, self.server.files.get(path))

    def _resolve(self, path: str) -> None:
        name, _, rest = path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        if self.command == "HEAD" and (mood := (self.server.heads.get(path) or [""]).pop(0).split()):
            return self._send(int(mood[1]), b"", {"Retry-After": mood[3]} if len(mood) > 2 else {})
        repository = self.server.repositories.get(name)
        if repository is None:
            return self._send(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if repository.token is not None and self.headers.get("Authorization") != f"Bearer {repository.token}":
            status = 403 if "Authorization" in self.headers else 401
            return self._send(status, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        if revision not in ("main", repository.commit):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        headers = {"X-Repo-Commit": repository.commit}
        if file in repository.small:
            body = repository.small[file]
            return self._body(path, body, {**headers, "ETag": f'"{git_sha1(body)}"'})
        if file not in repository.lfs:
            return self._send(404, b"", {**headers, "X-Error-Code": "EntryNotFound"})
        body = repository.lfs[file]
        digest = hashlib.sha256(body).hexdigest()
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(body)), "ETag": f'"{digest}"'}
        self._send(302, b"", {**headers, "Location": f"http://localhost:{self.server.server_port}/cdn/{digest}"})

    def _body(self, path: str, body: bytes | None, headers: dict[str, str] | None = None) -> None:
        mood = (self.server.moods.get(path) or [""]).pop(0).split() if self.command == "GET" else []
        if mood[:1] == ["status"]:
            return self._send(int(mood[1]), b"busy", {"Retry-After": mood[3]} if len(mood) > 2 else {})
        if mood[:1] == ["page"]:
            return self._send(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        if mood[:1] == ["pointer"]:
            return self._send(200, POINTER, {})
        if body is None:
            return self._send(404, b"no such file", {})
        if mood[:1] == ["wrong"]:
            body = body[:-1] + bytes([255 - body[-1]])
        if mood[:1] == ["short"]:
            body = body[:-1]
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', **(headers or {})}
        first, status = 0, 200
        asked = self.headers.get("Range", "")
        if asked and mood[:1] != ["deaf"] and self.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
            first, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if first >= len(body):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        stop = int(mood[1]) if mood[:1] in (["cut"], ["hold"]) else None
        self._send(status, body[first:], headers, stop=stop, hold=mood[:1] == ["hold"])

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], stop: int | None = None, hold: bool = False
    ) -> None:
        # Counted before it is sent: who has the last byte may ask at once what was answered.
        asked = {name.title(): text for name, text in self.headers.items()}
        answer = Answer(self.command, unquote(self.path), status, asked)
        self.server.answers.append(answer)
        self.send_response(status)
        base = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in (base | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        if self.command != "GET":
            return
        view = memoryview(body)[:stop]
        try:
            for start in range(0, len(view), 1 << 16):
                part = view[start : start + (1 << 16)]
                answer.sent += len(part)
                self.wfile.write(part)
                self.wfile.flush()
                if self.server.slow:
                    self.server.release.wait(self.server.slow)
            if hold:
                self.server.release.wait(60)
        except ConnectionError:
            pass  # the other side was ended

    def log_message(self, format: str, *args: Any) -> None:
        pass
