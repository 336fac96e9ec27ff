"""What went wrong with a download, in plain words: one sentence for what happened, one for what to do."""

import socket
import ssl
from collections.abc import Iterator

from cafa.common.errors import ClipError, WeightsError
from cafa.common.weight_files import WeightSource


class Stopped(Exception):
    """The process was asked to end while a file came."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, from the outside in."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def page_of(source: WeightSource) -> str:
    """Where a person reads about a file."""
    return source.page or source.url


def is_permanent(error: BaseException) -> bool:
    """Whether a connection failed for a reason that does not pass soon: no such name, no trust, nobody listens."""
    refused = any("refused" in str(cause) for cause in chain(error))
    return refused or any(isinstance(cause, ssl.SSLError | socket.gaierror) for cause in chain(error))


def network_fault(error: BaseException, url: str) -> str:
    """What a failed connection was."""
    host = url.split("/")[2] if url.count("/") >= 2 else url
    causes = list(chain(error))
    texts = [str(cause) for cause in causes]
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or any("CERTIFICATE_VERIFY" in t for t in texts):
        return (
            f"the certificate of {host} is not trusted ({_last(texts)}): if a proxy of your institution inspects "
            "connections, name its certificates by the variable SSL_CERT_FILE; else something else answers for it"
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes) or any("name resolution" in t for t in texts):
        return (
            f"the name {host} was not found ({_last(texts)}): there is no network here, or no DNS. On a machine "
            "without network, fetch on another one with --to FOLDER and copy the folder"
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or any("refused" in t for t in texts):
        return f"{host} takes no connections: it is down, or a proxy or firewall is between (HTTPS_PROXY, HF_ENDPOINT)"
    if any("Timeout" in type(cause).__name__ or isinstance(cause, TimeoutError) for cause in causes):
        return f"{host} does not answer: try again; received data is reused"
    return f"the connection to {host} failed ({_last(texts)}): try again; received data is reused"


def _last(texts: list[str]) -> str:
    return next((text for text in reversed(texts) if text), "no reason given")


def status_fault(status: int, source: WeightSource, url: str, *, code: str = "", wait: str = "") -> str:
    """What an answer of a server means.

    Parameters
    ----------
    status : int
        Of HTTP.
    source : WeightSource
    url : str
        What was asked for.
    code : str
        ``X-Error-Code`` of the hub.
    wait : str
        Seconds that the server asks to wait.
    """
    page = page_of(source)
    if code == "GatedRepo" or ("gated" in source.terms.split() and status in (401, 403)):
        return (
            f"HTTP {status}: {source.model_name} is gated ({source.licence}): ask for access at {page} with your "
            "account, then log in with `hf auth login` (or set HF_TOKEN) and run the same command again"
        )
    if code in ("RepoNotFound", "RevisionNotFound"):
        return f"HTTP {status}: the repository, or its commit, is private or gone from {url}; see {page}"
    if status == 401:
        return f"HTTP 401: {url} asks for a login: `hf auth login` or HF_TOKEN for the hub, ~/.netrc for other hosts"
    if status in (403, 407, 451):
        return f"HTTP {status}: the server refuses {url}: your account or your network has no access; see {page}"
    if status in (404, 410):
        return f"HTTP {status}: there is no file at {url}: it was moved or withdrawn; see {page}"
    if status == 429:
        asked = f" and asks to wait {wait} s" if wait else ""
        return f"HTTP 429: the server takes no more requests for now{asked}: run the same command later"
    if status >= 500:
        return f"HTTP {status}: the server of {url} has a fault of its own: run the same command later"
    return f"HTTP {status} from {url}, which is no answer that is known"


def download_fault(error: ClipError, source: WeightSource, url: str) -> WeightsError:
    """The error of :func:`cafa.common.download.download`, about weights."""
    status = next((int(word) for word in _after(error.detail, "HTTP ") if word.isdecimal()), 0)
    if error.reason == "network" and not status:
        cut = "were promised" in error.detail or "peer closed" in error.detail
        early = f"the file ends early, again and again ({error.detail}): try again later; received data is reused"
        text = early if cut else network_fault(error, url)
    elif "a web page came" in error.detail:
        text = f"{url} gave a web page, not the file: it may ask to log in or accept a licence; see {page_of(source)}"
    elif error.reason == "size":
        text = f"{error.detail}: it is another file than the published one; see {page_of(source)}"
    elif status:
        text = status_fault(status, source, url)
    else:
        text = error.detail
    return WeightsError(f"{source.name}: {text}")


def _after(text: str, mark: str) -> list[str]:
    return [piece.split(" ")[0].rstrip(":;,") for piece in text.split(mark)[1:]]
