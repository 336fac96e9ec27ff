import csv
import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from cafa.common.http_settings import HttpSettings
from cafa.common.weight_files import COLUMNS, FETCHING, WeightSource, read_weight_sources
from cafa.weights.catalogue import select
from cafa.weights.fetching import get
from cafa.weights.planning import Fetched, GetSettings
from tests.cafa.weights.servers import Repository, Server

BODY = bytes(range(256)) * 48
DIGEST = hashlib.sha256(BODY).hexdigest()
HUB = "https://huggingface.co"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.release.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(autouse=True)
def _no_real_hosts(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is the local server, its cache and login are empty, and no proxy is between."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub" / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "hub" / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "CAFA_WEIGHTS", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


def write_table(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, (*COLUMNS, *FETCHING), delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows({"licence": "MIT", "used_by": "tests", **row} for row in rows)
    return path


@pytest.fixture
def shop(server: Server, tmp_path: Path) -> "Shop":
    return Shop(server, tmp_path)


class Shop:
    """A table, the server behind it, and a folder of weights."""

    def __init__(self, server: Server, tmp_path: Path) -> None:
        self.server, self.folder, self.table = server, tmp_path / "weights", tmp_path / "weights.tsv"
        server.repositories["lab/net"] = Repository({"model.safetensors": BODY}, {"config.json": b'{"a": 1}\n'})
        server.repositories["lab/gated"] = Repository({"model.safetensors": BODY[::-1]}, token="hf_good")
        server.files["/files/plain.pth"] = BODY
        server.files["/record/77/files/net=0.4.pth"] = BODY
        server.files["/lab/net/releases/download/v1/net.pth"] = BODY
        self.rows = [
            {"name": "net", "url": f"{HUB}/lab/net/resolve/main/model.safetensors", "path": "net/model.safetensors"},
            {"name": "net_config", "url": f"{HUB}/lab/net/resolve/main/config.json", "path": "net/config.json"},
            {
                "name": "closed",
                "url": f"{HUB}/lab/gated/resolve/main/model.safetensors",
                "terms": "gated",
                "licence": "Closed 1.0",
                "page": f"{HUB}/lab/gated",
                "path": "gated/model.safetensors",
            },
            {
                "name": "plain",
                "url": f"{server.url}/files/plain.pth",
                "sha256": DIGEST,
                "bytes": str(len(BODY)),
                "terms": "non-commercial",
                "licence": "CC-BY-NC-4.0",
                "page": "https://example.org/plain",
            },
            {"name": "zenodo", "url": f"{server.url}/record/77/files/net%3D0.4.pth"},
            {"name": "github", "url": f"{server.url}/lab/net/releases/download/v1/net.pth", "path": "github.pth"},
            {"name": "bare", "url": f"{server.url}/files/plain.pth", "path": "bare.pth"},
        ]
        for row in self.rows[:2]:
            row |= {"model": "net", "purposes": "generate", "page": f"{HUB}/lab/net"}
        self.write()

    def write(self, **changes: dict[str, str]) -> Path:
        """Write the table, with changes of rows by name."""
        return write_table(self.table, *({**row, **changes.get(row["name"], {})} for row in self.rows))

    @property
    def cdn(self) -> str:
        """Path of the large file of lab/net."""
        body = self.server.repositories["lab/net"].lfs["model.safetensors"]
        return f"/cdn/{hashlib.sha256(body).hexdigest()}"

    def sources(self, *names: str) -> list[WeightSource]:
        return select(read_weight_sources(self.table), names)

    def get(
        self,
        *names: str,
        log: Callable[[str], None] = lambda line: None,
        http: dict[str, Any] | None = None,
        **more: Any,
    ) -> list[Fetched]:
        settings = HttpSettings(**{"attempts": 3, "timeout_seconds": 5.0, "first_wait_seconds": 0.01, **(http or {})})
        return get(self.sources(*names), GetSettings(self.folder, http=settings, **more), log)

    def there(self) -> list[str]:
        """Files below the folder that a person sees."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path) for path in found if path.parts[0] != ".fetching")
