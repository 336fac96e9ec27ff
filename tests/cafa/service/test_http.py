"""The HTTP API: what it takes, what it refuses, and that its description is true."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from cafa.service.engine import Engine
from cafa.service.http import service_app
from cafa.service.limits import Limits
from tests.cafa.service.conftest import write_video
from tests.cafa.service.documented import DocumentedClient
from tests.cafa.service.makers import SteppingMaker, until_ended, until_running

ROOT = Path(__file__).resolve().parents[3]
LIMITS = Limits(
    queue_length=1, most_takes=2, longest_seconds=2, longest_video=2, largest_bytes=200_000, folder_bytes=400_000
)


@pytest.fixture
def maker() -> SteppingMaker:
    return SteppingMaker(free=False)


@pytest.fixture
def engine(maker: SteppingMaker, tmp_path: Path) -> Iterator[Engine]:
    with Engine(maker, tmp_path / "service", LIMITS) as engine:
        yield engine


@pytest.fixture
def client(engine: Engine) -> DocumentedClient:
    return DocumentedClient(service_app(engine))


def uploaded(client: DocumentedClient, video: Path) -> str:
    answer = client.post("/v1/videos?name=bars.mp4", content=video.read_bytes())
    assert answer.status_code == 201
    found: str = answer.json()["id"]
    return found


def test_from_a_video_to_files(client: DocumentedClient, engine: Engine, maker: SteppingMaker, video: Path) -> None:
    with video.open("rb") as file:
        sent = client.post("/v1/videos", files={"video": ("../my bars.mov", file, "video/quicktime")}).json()
    assert (sent["name"], sent["seconds"], sent["bytes"]) == ("my_bars", 1.0, video.stat().st_size)
    asked = {"video": sent["id"], "prompt": "a dog – barks", "seed": 7}
    job = client.post("/v1/jobs", json=asked).json()
    assert (job["state"], job["request"]["gamma"], job["request"]["takes"]) == ("queued", 0.5, 1)
    assert client.get(f"/v1/jobs/{job['id']}/takes/0/wav").status_code == 409
    maker.let()
    until_ended(engine, job["id"])
    done = client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["state"], done["progress"], done["takes"][0]["seed"]) == ("done", 1.0, 8)
    place = f"/v1/jobs/{job['id']}/takes/0"
    for kind, media_type in {"wav": "audio/wav", "flac": "audio/flac", "video": "video/mp4"}.items():
        answer = client.get(f"{place}/{kind}?download=true")
        assert answer.headers["content-type"] == media_type
        assert answer.content == b"<svg/>"
        assert "my_bars--a_dog_barks--8" in answer.headers["content-disposition"]
    timeline = client.get(f"{place}/timeline")
    assert "default-src 'none'" in timeline.headers["content-security-policy"]
    assert client.get(f"{place}/preview").headers["x-content-type-options"] == "nosniff"


def test_the_queue_is_bounded_and_jobs_can_be_cancelled(
    client: DocumentedClient, engine: Engine, maker: SteppingMaker, video: Path
) -> None:
    asked = {"video": uploaded(client, video), "prompt": "a dog"}
    running = client.post("/v1/jobs", json=asked).json()["id"]
    until_running(engine, running)
    waiting = client.post("/v1/jobs", json=asked).json()
    assert waiting["position"] == 1
    full = client.post("/v1/jobs", json=asked)
    assert (full.status_code, full.json()["reason"]) == (503, "queue_full")
    assert client.get("/v1/health").json() == {"status": "ok", "version": "0.2.0", "waiting": 1, "running": True}
    assert client.post(f"/v1/jobs/{waiting['id']}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/v1/jobs/{running}/cancel").json()["state"] == "running"
    assert until_ended(engine, running)[-1].state == "cancelled"
    assert maker.made == []


def test_uploads_that_cannot_be_used_are_refused(
    client: DocumentedClient, engine: Engine, video: Path, tmp_path: Path
) -> None:
    long = write_video(tmp_path / "long.mp4", 3).read_bytes()
    wrong = [
        (b"no video\n" * 20, 422, "not_a_video"),
        (b"", 422, "not_a_video"),
        (long, 422, "too_long"),
        (bytes(200_001), 413, "too_large"),
    ]
    for data, status, reason in wrong:
        for sent in ({"content": data}, {"files": {"video": ("x.mp4", data)}}):
            answer = client.post("/v1/videos", **sent)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    # without a length: what comes is counted
    endless = client.post("/v1/videos", content=iter([bytes(50_000)] * 100))
    assert (endless.status_code, endless.json()["reason"]) == (413, "too_large")
    form = b"--x\r\nContent-Disposition: form-data; name=video; filename=a.mp4\r\n\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    endless = client.post("/v1/videos", content=iter([form, *[bytes(50_000)] * 100]), headers=headers)
    assert (endless.status_code, endless.json()["reason"]) == (413, "too_large")
    other = client.post("/v1/videos", files={"other": ("x.mp4", b"x")})
    assert "the form has no file" in other.json()["error"]
    assert client.post("/v1/videos", content=b"--y", headers=headers).status_code == 400
    assert not list((engine.folder / "videos").iterdir())
    for _ in range(LIMITS.folder_bytes // video.stat().st_size):
        uploaded(client, video)
    full = client.post("/v1/videos", content=video.read_bytes())
    assert (full.status_code, full.json()["reason"]) == (507, "folder_full")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"prompt": "  !"}, "at least one word"),
        ({"prompt": "x" * 1001}, "prompt: String should have at most 1000"),
        ({"gamma": -1}, "gamma: Input should be greater"),
        ({"gamma": "NaN"}, "gamma"),
        ({"seed": 2**31}, "seed"),
        ({"mix": 100}, "mix"),
        ({"takes": 3}, "at most 2 are made at once"),
        ({"prompt": "twenty words"}, "a caption must have 1 to 16 words, got 20"),
        ({"models": "/etc"}, "models: Extra inputs are not permitted"),
    ],
)
def test_jobs_that_are_not_possible_are_refused(
    client: DocumentedClient, video: Path, change: dict[str, object], text: str
) -> None:
    answer = client.post("/v1/jobs", json={"video": uploaded(client, video), "prompt": "a dog"} | change)
    assert answer.status_code == 422
    assert text in answer.json()["error"]


def test_a_prompt_that_the_model_would_cut_is_said_to_be_from_the_beginning(
    client: DocumentedClient, video: Path
) -> None:
    answer = client.post("/v1/jobs", json={"video": uploaded(client, video), "prompt": "a long tale"})
    assert answer.status_code == 202
    assert answer.json()["note"] == "the prompt is cut"


def test_no_path_of_a_request_reaches_the_disk(
    client: DocumentedClient, engine: Engine, maker: SteppingMaker, video: Path
) -> None:
    maker.let()
    job = client.post("/v1/jobs", json={"video": uploaded(client, video), "prompt": "a dog"}).json()["id"]
    until_ended(engine, job)
    (engine.folder / "secret.wav").write_bytes(b"secret")
    tricks = [
        f"/v1/jobs/{job}/takes/0/job.json",
        f"/v1/jobs/{job}/takes/0/..%2fjob.json",
        f"/v1/jobs/{job}/takes/0/%2e%2e%2fsecret.wav",
        f"/v1/jobs/{job}/takes/-1/wav",
        f"/v1/jobs/{job}/takes/1/wav",
        f"/v1/jobs/{job}/takes/0x0/wav",
        "/v1/jobs/..%2f..%2fetc/takes/0/wav",
        "/v1/jobs/%2e%2e/takes/0/wav",
        f"/v1/jobs/{'0' * 32}",
        "/v1/jobs/../secret.wav",
        "/v1/../secret.wav",
        "/%2e%2e/%2e%2e/etc/passwd",
    ]
    for path in tricks:
        answer = client.get(path)
        assert answer.status_code in (404, 422), path
        assert b"secret" not in answer.content
        assert str(engine.folder) not in answer.text
    for name in ("../jobs", f"{job}/..", "/etc/passwd", job):
        answer = client.post("/v1/jobs", json={"video": name, "prompt": "a dog"})
        assert (answer.status_code, answer.json()["reason"]) == (404, "unknown")


def test_every_route_is_described_and_nothing_else(client: DocumentedClient) -> None:
    routes = {
        (route.path, method.lower())
        for route in client.app.routes  # type: ignore[attr-defined]
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    described = {(path, method) for path, methods in client.document["paths"].items() for method in methods}
    assert described == routes
    text = (ROOT / "docs" / "service.md").read_text()
    for path, method in described:
        assert f"`{method.upper()} {path}`" in text
    for one in client.document["paths"].values():
        assert all(operation["summary"] for operation in one.values())
    about = client.get("/v1/models").json()
    assert about["limits"] == LIMITS.model_dump()
