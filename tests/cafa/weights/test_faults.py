"""Every fault of a download has a plain message, and leaves nothing under the file's name."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from cafa.common.download import retry_after
from cafa.common.errors import WeightsError
from cafa.weights import publishers
from cafa.weights.folder import LOCK
from tests.cafa.weights.conftest import BODY, Shop

PLAIN = "/files/plain.pth"


@pytest.mark.parametrize(
    ("moods", "message"),
    [
        (["status 401"], r"HTTP 401: .* asks for a login: `hf auth login` or HF_TOKEN for the hub, ~/\.netrc"),
        (["status 403"], "HTTP 403: the server refuses .*; see https://example.org/plain"),
        (["status 404"], "HTTP 404: there is no file at .*: it was moved or withdrawn"),
        (["status 410"], "HTTP 410: there is no file"),
        (["status 429"] * 3, "HTTP 429: the server takes no more requests for now"),
        (["status 429 wait 7200"], "HTTP 429: the server takes no more requests"),
        (["status 500"] * 3, "HTTP 500: the server of .* has a fault of its own: run the same command later"),
        (["status 302"], "HTTP 302 from .*, which is no answer that is known"),
        (["page"], "gave a web page, not the file: it may ask to log in or accept a licence"),
        (["pointer"] * 3, "has 130 bytes, the published one 12,288: it is a pointer of Git LFS"),
        (["wrong"], "has SHA-256 .* the table of weights has .*: it was damaged, or it is another file"),
        (["short"], "has 12,287 bytes, the published one 12,288: it ends early"),
        (
            ["cut 100"] + ["cut 0"] * 3,
            "the file ends early, again and again .*100 bytes have come.*received data is reused",
        ),
    ],
)
def test_what_a_host_of_files_may_do(shop: Shop, moods: list[str], message: str) -> None:
    shop.server.moods[PLAIN] = moods
    with pytest.raises(WeightsError, match=f"^plain: .*{message}"):
        shop.get("plain", accept=("plain",))
    assert shop.there() in ([], [LOCK])
    shop.server.moods.clear()
    (fetched,) = shop.get("plain")  # the same command again
    assert fetched.path.read_bytes() == BODY


def test_another_size_is_refused_before_it_comes(shop: Shop) -> None:
    shop.server.files[PLAIN] = BODY * 8
    with pytest.raises(WeightsError, match="the server has 98,304 bytes, not 12,288: it is another file"):
        shop.get("plain", accept=("plain",))
    assert shop.server.bytes_of(PLAIN) < len(BODY) * 8 + 1


def test_a_server_that_asks_to_wait_is_waited_for(shop: Shop) -> None:
    shop.server.moods[PLAIN] = ["status 429 wait 1", "status 503"]
    said: list[str] = []
    shop.get("plain", accept=("plain",), log=said.append)
    assert "plain: waiting 1 s before the next try" in said


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["status 429 wait 1"], None),
        (["status 500", "status 503"], None),
        (["status 500"] * 3, "HTTP 500: the server of"),
        (["status 429 wait 9999"], "HTTP 429: .* and asks to wait 9999 s"),
        (["status 418"], "HTTP 418 from"),
    ],
)
def test_what_the_hub_may_do(shop: Shop, answers: list[str], message: str | None) -> None:
    shop.server.heads["/lab/net/resolve/main/model.safetensors"] = answers
    if message is None:
        shop.get("net")
        return
    with pytest.raises(WeightsError, match=f"^net: {message}"):
        shop.get("net")


def test_something_else_answers_for_the_hub(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.server.files["/proxy/lab/net/resolve/main/model.safetensors"] = BODY
    monkeypatch.setattr(
        "tests.cafa.weights.servers._Handler._resolve", lambda self, path: self._send(200, b"", {"ETag": '"x"'})
    )
    with pytest.raises(WeightsError, match=r"does not answer like the hub \(no X-Repo-Commit\): check HF_ENDPOINT"):
        shop.get("net")


@pytest.mark.parametrize("document", ["/api/records/77", "/api/v3/repos/lab/net/releases/tags/v1"])
def test_an_interface_that_gives_no_json_or_no_such_file(shop: Shop, document: str) -> None:
    name = "zenodo" if "records" in document else "github"
    shop.server.files[document] = b"<html>"
    with pytest.raises(WeightsError, match=f"{name}: .* gave no JSON: something else answers"):
        shop.get(name)
    shop.server.documents[document] = {"files": [], "assets": []}
    with pytest.raises(WeightsError, match=f"{name}: re(cord 77|lease v1) has no net"):
        shop.get(name)


@pytest.mark.parametrize("name", ["net", "bare"])
def test_no_such_host(shop: Shop, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def unknown(host: object, *arguments: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    shop.write(bare={"url": "https://files.invalid/plain.pth"})
    with pytest.raises(
        WeightsError, match=r"the name (hub|files)\.invalid was not found .*--to FOLDER and copy the folder"
    ):
        shop.get(name)


def test_nobody_listens(shop: Shop) -> None:
    shop.write(bare={"url": "http://127.0.0.1:9/plain.pth"})
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:9 takes no connections: it is down, or a proxy or firewall"):
        shop.get("bare")


def test_a_host_that_is_down_is_asked_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = publishers.get_hf_file_metadata
    monkeypatch.setattr(
        publishers, "get_hf_file_metadata", lambda url, **more: (asked.append(url), real(url, **more))[1]
    )
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"^net, net_config: 127\.0\.0\.1:9 takes no connections"):
        shop.get("net")
    assert len(asked) == 1


def test_silence(shop: Shop) -> None:
    shop.server.moods[PLAIN] = ["hold 100", "hold 0"]
    with pytest.raises(WeightsError, match="does not answer: try again; received data is reused"):
        shop.get("plain", accept=("plain",), http={"timeout_seconds": 0.3, "attempts": 1})
    assert shop.server.answers or shop.folder.is_dir()


def test_offline(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.utils._http.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set, and the cache"):
        shop.get("net")


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[str]:
    """Address of a server with a certificate that nobody trusts."""
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "k.pem",
            "-out",
            "c.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ],
        cwd=tmp_path,
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://localhost:{listener.getsockname()[1]}"
    listener.close()


@pytest.mark.parametrize("name", ["net", "bare"])
def test_a_certificate_that_is_not_trusted(
    shop: Shop, strange: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", strange)
    shop.write(bare={"url": f"{strange}/plain.pth"})
    with pytest.raises(WeightsError, match=r"the certificate of localhost:\d+ is not trusted .*SSL_CERT_FILE"):
        shop.get(name)


def test_waits_may_be_dates() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after({"Retry-After": soon}) or 0) <= 60
    assert retry_after({"Retry-After": "12"}) == 12
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None
