"""Who may call a service."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from cafa.service.guard import COOKIE, Guard, is_loopback


async def _answer(request: object) -> PlainTextResponse:
    return PlainTextResponse("hello")


def client(base: str = "http://127.0.0.1:8766", **guard: object) -> TestClient:
    app = Starlette(routes=[Route("/{path:path}", _answer, methods=["GET", "POST"])])
    app.add_middleware(Guard, **guard)  # type: ignore[arg-type]
    return TestClient(app, base_url=base, follow_redirects=False)


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1.example.org")))


def test_pages_of_other_sites_get_no_answer() -> None:
    local = client(token=None, loopback=True)
    assert local.get("/").text == "hello"
    assert local.get("/", headers={"origin": "http://127.0.0.1:8766"}).status_code == 200
    for origin in ("https://example.org", "null", "http://127.0.0.1:9999"):
        assert local.post("/v1/videos", headers={"origin": origin}).status_code == 403
    rebound = client("http://example.org", token=None, loopback=True)
    assert rebound.get("/").json()["reason"] == "wrong_host"


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/jobs"])
def test_without_the_token_nobody_gets_in(path: str) -> None:
    remote = client("http://10.0.0.1:8766", token="sesame", loopback=False)
    assert remote.get(path).status_code == 401
    assert remote.get(path).headers["www-authenticate"] == "Bearer"
    for wrong in ({"authorization": "Bearer other"}, {"authorization": "sesame"}, {"cookie": f"{COOKIE}=other"}):
        assert remote.get(path, headers=wrong).status_code == 401
    assert remote.get(f"{path}?token=other").status_code == 401
    assert remote.get("/v1/health").status_code == 200
    assert remote.get(path, headers={"authorization": "Bearer sesame"}).text == "hello"


def test_a_browser_gives_the_token_once() -> None:
    remote = client("http://10.0.0.1:8766", token="sesame", loopback=False)
    answer = remote.get("/?token=sesame")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert remote.get("http://10.0.0.1:8766//example.org?token=sesame").headers["location"] == "/example.org"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert remote.get("/").text == "hello"  # the cookie was kept
    assert remote.post("/v1/jobs", headers={"origin": "https://example.org"}).status_code == 403


def test_browsers_are_told_to_load_nothing_from_elsewhere() -> None:
    policy = client(token=None, loopback=True).get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy
