"""A server on this machine that stands for the web: files of a folder, and what was asked of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

#: what a process is given in place of the internet: every address but this machine's is refused
NO_INTERNET = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "all_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
    "HF_HUB_OFFLINE": "1",
}


class Web(NamedTuple):
    """A running server.

    Attributes
    ----------
    address : str
        Without the last slash.
    asked : list of tuple
        Path and status of every request so far.
    """

    address: str
    asked: list[tuple[str, int]]


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, asked: list[tuple[str, int]], **options: Any) -> None:
        self._asked = asked
        super().__init__(*arguments, **options)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        self._asked.append((self.path, int(code)))

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: what was asked is kept."""


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Web]:
    """Serve a folder on the loopback address while the block runs; port 0: any that is free."""
    asked: list[tuple[str, int]] = []
    with ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder), asked=asked)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Web(f"http://127.0.0.1:{server.server_address[1]}", asked)
        finally:
            server.shutdown()
