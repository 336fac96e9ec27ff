"""One download: whole or not at all, taken up where it broke, patient but not for ever."""

import hashlib
from pathlib import Path

import pytest

from cafa.common.download import download, new_client
from cafa.common.errors import ClipError
from cafa.data.fetch.settings import HttpSettings
from tests.cafa.data.fetch.conftest import Mirror, Time

BODY = bytes(range(256)) * 40
DIGEST = hashlib.sha256(BODY).hexdigest()


def get(mirror: Mirror, time: Time, target: Path, path: str = "/a.mp4", **options: object) -> str:
    settings = HttpSettings(**{"attempts": 3, "timeout_seconds": 5.0, **options.pop("http", {})})
    with new_client(settings) as client:
        return download(client, mirror.url + path, target, settings=settings, sleep=time.sleep, **options)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "a.mp4"


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.is_dir() else []


def test_a_file_comes_whole(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    assert get(mirror, time, target) == DIGEST
    assert target.read_bytes() == BODY
    assert left(target) == ["a.mp4"]
    assert time.naps == []
    assert mirror.requests[0]["Accept-Encoding"] == "identity"


def test_slow_but_steady(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY[:300]
    mirror.moods["/a.mp4"] = ["slow"]
    assert get(mirror, time, target) == hashlib.sha256(BODY[:300]).hexdigest()


def test_too_slow(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    with pytest.raises(ClipError, match=r"network: .* too slow") as caught:
        get(mirror, time, target, http={"maximum_seconds": 1e-9})
    assert caught.value.reason == "network"
    assert not target.exists()


def test_a_broken_connection_is_taken_up_where_it_broke(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = ["cut 1000", "cut 2000", "cut 3000", "cut 1", "cut 1"]  # more than `attempts`
    assert get(mirror, time, target) == DIGEST
    assert [status for _, status, _ in mirror.answers] == [200, 206, 206, 206, 206, 206]
    assert sum(sent for _, _, sent in mirror.answers) == len(BODY)  # no byte twice


def test_an_interrupted_run_is_taken_up(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = ["cut 5000", "status 500", "status 500", "status 500"]
    with pytest.raises(ClipError, match=r"network: .*HTTP 500"):
        get(mirror, time, target)
    assert left(target) == [".a.mp4.part", ".a.mp4.part.json"]
    assert get(mirror, time, target) == DIGEST
    assert mirror.answers[-1] == ("/a.mp4", 206, len(BODY) - 5000)
    assert left(target) == ["a.mp4"]


def test_another_version_is_not_glued_to_the_first_half(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = ["cut 5000", "status 500", "status 500", "status 500"]
    with pytest.raises(ClipError, match="network"):
        get(mirror, time, target)
    mirror.files["/a.mp4"], mirror.tag = BODY[::-1], '"v2"'
    assert get(mirror, time, target) == hashlib.sha256(BODY[::-1]).hexdigest()
    assert mirror.answers[-1][1] == 200


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_tag_a_download_begins_anew(mirror: Mirror, time: Time, target: Path, tag: str | None) -> None:
    mirror.files["/a.mp4"], mirror.tag = BODY, tag
    mirror.moods["/a.mp4"] = ["cut 5000"]
    assert get(mirror, time, target) == DIGEST
    assert [status for _, status, _ in mirror.answers] == [200, 200]


def test_with_a_checksum_no_tag_is_needed(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"], mirror.tag = BODY, None
    mirror.moods["/a.mp4"] = ["cut 5000"]
    assert get(mirror, time, target, sha256=DIGEST.upper()) == DIGEST
    assert [status for _, status, _ in mirror.answers] == [200, 206]


def test_a_server_without_ranges(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = ["cut 5000", "deaf"]
    assert get(mirror, time, target) == DIGEST
    assert target.read_bytes() == BODY


def test_wrong_bytes_are_asked_for_again_and_then_refused(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = ["wrong"]
    assert get(mirror, time, target, sha256=DIGEST) == DIGEST
    target.unlink()
    mirror.moods["/a.mp4"] = ["wrong"] * 3
    with pytest.raises(ClipError, match=rf"checksum: .*expected {DIGEST} \(3 tries\)"):
        get(mirror, time, target, sha256=DIGEST)
    assert left(target) == []


def test_too_many_requests_then_fine(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = ["status 429 wait 7", "status 503"]
    assert get(mirror, time, target) == DIGEST
    assert time.naps == [7.0, 2.0]  # what the server asks for, then ours, doubled


def test_a_server_that_asks_for_hours_is_left_alone(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.moods["/a.mp4"] = ["status 429 wait 7200"]
    with pytest.raises(ClipError, match=r"HTTP 429 .*\(1 tries\)") as caught:
        get(mirror, time, target)
    assert caught.value.reason == "rate_limited"
    assert time.naps == []


@pytest.mark.parametrize(
    ("mood", "reason", "requests"),
    [
        ("status 404", "not_found", 1),
        ("status 410", "not_found", 1),
        ("status 401", "forbidden", 1),
        ("status 403", "forbidden", 1),
        ("status 451", "forbidden", 1),
        ("status 429", "rate_limited", 3),
        ("status 500", "network", 3),
        ("status 502", "network", 3),
        ("status 418", "unknown", 1),
        ("page", "unknown", 1),
        ("cut 0", "network", 3),
    ],
)
def test_answers(mirror: Mirror, time: Time, target: Path, mood: str, reason: str, requests: int) -> None:
    mirror.files["/a.mp4"] = BODY
    mirror.moods["/a.mp4"] = [mood] * 3
    with pytest.raises(ClipError) as caught:
        get(mirror, time, target, media=True)
    assert caught.value.reason == reason
    assert len(mirror.answers) == requests
    assert mirror.url in caught.value.detail
    assert not target.exists()


def test_nobody_there(time: Time, target: Path) -> None:
    server = Mirror()
    server.server_close()
    with pytest.raises(ClipError, match=r"network: .*ConnectError"):
        get(server, time, target)
    assert time.naps == [1.0, 2.0]


def test_too_large(mirror: Mirror, time: Time, target: Path) -> None:
    mirror.files["/a.mp4"] = BODY
    with pytest.raises(ClipError, match=f"too_large: .*{len(BODY)} bytes, at most 100"):
        get(mirror, time, target, maximum_bytes=100)
    assert left(target) == []
