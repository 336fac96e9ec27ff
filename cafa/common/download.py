"""One file over HTTP(S): whole or not at all, taken up again where it broke off."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import tenacity

from cafa import __version__
from cafa.common.errors import ClipError
from cafa.common.files import write_json
from cafa.common.http_settings import HttpSettings

FORBIDDEN = {401, 403, 407, 451}
ABSENT = {404, 410}
#: bytes up to which an answer of the wrong size is taken, to say what it is
SMALL_RESPONSE = 1 << 16


def new_client(settings: HttpSettings, connections: int = 1) -> httpx.Client:
    """Client for :func:`download`; it honours ``~/.netrc`` and the proxy variables of the environment."""
    return httpx.Client(
        timeout=settings.timeout_seconds,
        follow_redirects=True,
        limits=httpx.Limits(max_connections=connections),
        # The bytes as they are: lengths and ranges are those of the file.
        headers={"Accept-Encoding": "identity", "User-Agent": f"cafa/{__version__}"},
    )


class _TryAgain(Exception):
    """The server may do better next time."""

    def __init__(self, reason: str, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.wait = reason, detail, wait


@dataclass
class _Part:
    """What has come of a file so far, beside where it will stand."""

    target: Path
    url: str
    trusted: bool
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    size: int = 0
    validator: str | None = None

    def __post_init__(self) -> None:
        self.path = self.target.with_name(f".{self.target.name}.part")
        self.note = self.target.with_name(f".{self.target.name}.part.json")

        note = json.loads(self.note.read_text()) if self.path.is_file() and self.note.is_file() else {}
        self.validator = note.get("validator")
        if note.get("url") != self.url or not self.can_go_on:
            return self.drop()
        with self.path.open("rb") as file:
            while block := file.read(1 << 20):
                self.digest.update(block)
                self.size += len(block)

    @property
    def can_go_on(self) -> bool:
        """Whether more bytes are certain to belong to the same file.

        The server gave the file a validator, which the next request repeats; or the whole will be checked (`trusted`).
        """
        return bool(self.validator or self.trusted)

    def begin(self, validator: str | None) -> None:
        """Start from nothing."""
        self.drop()
        self.validator = validator
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.note, {"url": self.url, "validator": validator})

    def drop(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.digest, self.size, self.validator = hashlib.sha256(), 0, None


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it comes.

    Parameters
    ----------
    bytes : int, optional
        Its size: an answer of another one is refused at once, unless it is so small that its content can be named.
    digest : bool
        A digest is known, so that parts of another file would be noticed.
    """

    bytes: int | None = None
    digest: bool = False


@dataclass(frozen=True)
class _Ask:
    """What all tries of a download have in common."""

    maximum_bytes: int | None
    media: bool
    expected: Expected | None
    headers: dict[str, str]
    on_progress: Callable[[int], None]
    end: float


def download(
    client: httpx.Client,
    url: str,
    target: str | Path,
    *,
    settings: HttpSettings,
    sha256: str | None = None,
    maximum_bytes: int | None = None,
    media: bool = False,
    expected: Expected | None = None,
    headers: Mapping[str, str] | None = None,
    on_progress: Callable[[int], None] = lambda size: None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Download `url` to `target`; return the SHA-256 of what came.

    Tries that bring bytes do not count against `settings.attempts`: a connection that breaks again and again is taken
    up where it broke (``Range`` with ``If-Range``). What has come stays in a hidden file beside `target`, for the next
    run to go on with.

    Parameters
    ----------
    client : httpx.Client
        From :func:`new_client`.
    url : str
        Address.
    target : str or Path
        File to write.
    settings : HttpSettings
        Patience.
    sha256 : str, optional
        What the file must have.
    maximum_bytes : int, optional
        Largest file to take.
    media : bool
        Refuse a web page: some servers answer with one where a file should be.
    expected : Expected, optional
        What the file is known to be; its digest is for the caller to compare, who need not ask for it again.
    headers : mapping of str to str, optional
        Sent with each request, such as an authorisation; another host that the server leads to does not get that.
    on_progress : callable
        Called with the number of bytes that are there, whenever some came. What it raises ends the download, of which
        nothing is lost.
    sleep : callable
        Waits; given by tests.

    Raises
    ------
    ClipError
        ``not_found``, ``forbidden``, ``rate_limited``, ``network``, ``checksum``, ``too_large``, ``size``, ``unknown``.
    """
    target = Path(target)
    part = _Part(target, url, trusted=sha256 is not None or (expected is not None and expected.digest))
    on_progress(part.size)
    end = time.monotonic() + settings.maximum_seconds
    fruitless = 0

    def attempt() -> None:
        nonlocal fruitless
        before = part.size
        try:
            _transfer(client, part, _Ask(maximum_bytes, media, expected, dict(headers or {}), on_progress, end))
            if sha256 is not None and part.digest.hexdigest() != sha256.lower():
                found, size = part.digest.hexdigest(), part.size
                part.drop()
                raise _TryAgain("checksum", f"{url}: {size} bytes with SHA-256 {found}, expected {sha256}")
        except _TryAgain:
            fruitless = 0 if part.size > before else fruitless + 1
            raise

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        backed_off = min(settings.first_wait_seconds * 2 ** max(fruitless - 1, 0), settings.maximum_wait_seconds)
        return max(backed_off, getattr(error, "wait", None) or 0.0)

    def give_up(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "wait", None) or 0.0
        return fruitless >= settings.attempts or asked > settings.maximum_wait_seconds or time.monotonic() > end

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_TryAgain), wait=wait, stop=give_up, sleep=sleep, reraise=True
    )
    try:
        retrying(attempt)
    except _TryAgain as error:
        raise ClipError(error.reason, f"{error.detail} ({retrying.statistics['attempt_number']} tries)") from error
    os.replace(part.path, target)
    part.note.unlink(missing_ok=True)
    return part.digest.hexdigest()


def _transfer(client: httpx.Client, part: _Part, ask: _Ask) -> None:
    """Take what one connection gives."""
    headers, maximum_bytes = dict(ask.headers), ask.maximum_bytes
    if part.size and part.can_go_on:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    try:
        with client.stream("GET", part.url, headers=headers) as response:
            total = _check_answer(response, part, ask)
            ask.on_progress(part.size)
            if maximum_bytes is not None and (total or 0) > maximum_bytes:
                part.drop()
                raise ClipError("too_large", f"{part.url}: {total} bytes, at most {maximum_bytes} are taken")
            with part.path.open("ab", buffering=0) as file:  # a kill loses nothing that came
                for block in response.iter_raw():
                    file.write(block)
                    part.digest.update(block)
                    part.size += len(block)
                    ask.on_progress(part.size)
                    if maximum_bytes is not None and part.size > maximum_bytes:
                        part.drop()
                        raise ClipError("too_large", f"{part.url}: more than {maximum_bytes} bytes")
                    if time.monotonic() > ask.end:
                        raise _TryAgain("network", f"{part.url}: too slow, {part.size} bytes have come")
    except httpx.HTTPError as error:
        detail = f"{part.url}: {type(error).__name__}: {error}; {part.size} bytes have come"
        raise _TryAgain("network", detail) from error
    if total is not None and part.size != total:
        size = part.size
        if size > total:
            part.drop()
        raise _TryAgain("network", f"{part.url}: {size} bytes came, {total} were promised")


def _check_answer(response: httpx.Response, part: _Part, ask: _Ask) -> int | None:
    """Whole size that a good answer promises; `part` begins anew unless the answer goes on from where it is."""
    status, text = response.status_code, f"{part.url}: HTTP {response.status_code} {response.reason_phrase}".strip()
    if status in ABSENT:
        raise ClipError("not_found", text)
    if status in FORBIDDEN:
        raise ClipError("forbidden", text)
    if status in (429, 503):
        raise _TryAgain("rate_limited" if status == 429 else "network", text, retry_after(response.headers))
    if status == 416:  # what we have is no part of what the server has now
        part.drop()
        raise _TryAgain("network", text)
    if status >= 500 or status == 408:
        raise _TryAgain("network", text)
    if status not in (200, 206):
        raise ClipError("unknown", text)
    if ask.media and response.headers.get("Content-Type", "").startswith("text/html"):
        raise ClipError("unknown", f"{text}: a web page came, not a file")
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    known = ask.expected.bytes if ask.expected is not None else None
    if status == 200 and known is not None and size is not None and size != known and size > SMALL_RESPONSE:
        part.drop()
        raise ClipError("size", f"{part.url}: the server has {size:,} bytes, not {known:,}")
    if status == 206:
        span, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(part.size):
            part.drop()
            raise _TryAgain("network", f"{text}: asked for another range than {span!r}")
        return int(whole) if whole.isdecimal() else None
    tag = response.headers.get("ETag", "")
    # A weak tag says nothing about bytes.
    part.begin((tag if not tag.startswith("W/") else "") or response.headers.get("Last-Modified"))
    return size


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, given as such or as a date; None where it asks for nothing."""
    text = headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((until - datetime.now(UTC)).total_seconds(), 0.0) if until.tzinfo else None
