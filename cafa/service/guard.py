"""Who may call a service: checked for every request before anything else is done with it."""

import hmac
from http.cookies import SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "cafa_token"
#: what is told without a token: that the service is up
OPEN = {"/v1/health"}
#: told to browsers: load nothing from other hosts, show the page in no other page, guess no types
HEADERS = {
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Middleware that lets through who has the token, and no page of another site.

    A page that a person visits elsewhere can send requests to a service of their own machine. It is told by the
    ``Origin`` that browsers send along, and by a ``Host`` that is no name of this machine (a name of theirs that
    leads here).

    Parameters
    ----------
    app : ASGI application
    token : str, optional
        Wanted as ``Authorization: Bearer TOKEN``; a browser gives it once as ``?token=TOKEN`` and then as a cookie.
    loopback : bool
        The service listens on this machine's own address alone.
    """

    def __init__(self, app: ASGIApp, token: str | None, loopback: bool) -> None:
        self.app, self.token, self.loopback = app, token, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    sent.setdefault(name, value)
            await send(message)

        await (answer or self.app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | RedirectResponse | None:
        host = headers.get("host", "")
        if self.loopback and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return _refused(403, "wrong_host", f"this service is not called {host!r}")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return _refused(403, "other_site", "requests of other sites' pages are not answered")
        if self.token is None or scope["path"] in OPEN:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and self._is_token(given) and scope.get("method") == "GET":
            # so that the token does not stay in the address; `//host` would be another host
            answer = RedirectResponse("/" + scope["path"].lstrip("/"), 303)
            answer.set_cookie(COOKIE, given, httponly=True, samesite="strict")
            return answer
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        if (scheme.lower() == "bearer" and self._is_token(bearer)) or (cookie and self._is_token(cookie.value)):
            return None
        text = "a token is needed: `Authorization: Bearer TOKEN`, or open the page with ?token=TOKEN"
        return _refused(401, "no_token", text)

    def _is_token(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.strip().encode(), self.token.encode())


def _refused(status: int, reason: str, text: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": text, "reason": reason}, status, headers=headers)
