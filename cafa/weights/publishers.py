"""What the publisher of a file states about it: address, size, digests, commit.

The hub states the SHA-256 of a large file and git's SHA-1 of a small one (``ETag``), a record of Zenodo the MD5 of each
file, a release of GitHub the SHA-256 of its assets where it was made late enough; other hosts state a size at most.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import httpx2
import tenacity
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers

from cafa.common.download import retry_after
from cafa.common.errors import WeightsError
from cafa.common.http_settings import HttpSettings
from cafa.common.weight_files import WeightSource
from cafa.weights.faults import is_permanent, network_fault, page_of, status_fault

HUB = re.compile(
    r"https://huggingface\.co/(?P<datasets>datasets/)?(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)"
)
ZENODO = re.compile(r"(?P<host>https?://[^/]+)/records?/(?P<record>\d+)/files/(?P<file>[^/?]+)")
GITHUB = re.compile(
    r"(?P<host>https?://[^/]+)/(?P<repository>[^/]+/[^/]+)/releases/download/(?P<tag>[^/]+)/(?P<file>.+)"
)
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Statement:
    """What is stated of a file.

    Parameters
    ----------
    url : str
        Where the file is fetched from; of a repository, of one commit.
    by : str
        Who states it.
    bytes : int, optional
    digests : dict of str to str
        ``sha256``, ``md5`` or ``git`` (SHA-1 of git's blob) -> hexadecimal.
    commit : str
        Of a repository; empty elsewhere.
    headers : dict of str to str
        To send when the file is fetched.
    cached : Path, optional
        The file, in the cache of ``huggingface_hub``.
    """

    url: str
    by: str
    bytes: int | None = None
    digests: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cached: Path | None = None


@dataclass(frozen=True)
class RequestContext:
    """What requests share: client of hosts other than the hub, retry settings, and where waits are logged."""

    client: httpx.Client
    http: HttpSettings
    log: Callable[[str], None]
    #: hosts that did not answer, with the fault: they are not asked again for the next file
    down: dict[str, str] = field(default_factory=dict)


def statement_of(source: WeightSource, context: RequestContext, *, commit: str = "") -> Statement:
    """Ask the publisher of a file.

    Parameters
    ----------
    source : WeightSource
    context : RequestContext
    commit : str
        Commit that the file came from before, where the table names a branch.

    Raises
    ------
    WeightsError
        If there is no answer, or no such file: what it was, and what to do.
    """
    for pattern, ask in ((HUB, _hub), (ZENODO, _zenodo), (GITHUB, _github)):
        if found := pattern.fullmatch(source.url):
            return ask(source, found, context, commit)
    return _plain(source, context)


def _hub(source: WeightSource, found: re.Match[str], context: RequestContext, commit: str) -> Statement:
    repository, file = found["repository"], unquote(found["file"])
    kind = "dataset" if found["datasets"] else "model"
    revision = commit or found["revision"]
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    url = hf_hub_url(repository, file, repo_type=kind, revision=revision, endpoint=endpoint)
    try:
        answer = _with_retries(lambda: get_hf_file_metadata(url, endpoint=endpoint), source, url, context)
    except WeightsError:
        # A machine without network may have the file in the hub's cache.
        if (statement := _cached(repository, file, kind, revision, source)) is not None:
            return statement
        raise
    if answer.commit_hash is None:
        raise WeightsError(
            f"{source.name}: {url} does not answer like the hub (no X-Repo-Commit): check HF_ENDPOINT and your proxy"
        )
    if COMMIT.fullmatch(revision) and answer.commit_hash != revision:
        raise WeightsError(f"{source.name}: asked for commit {revision}, {url} has {answer.commit_hash}")
    cached = try_to_load_from_cache(repository, file, revision=answer.commit_hash, repo_type=kind)
    return Statement(
        hf_hub_url(repository, file, repo_type=kind, revision=answer.commit_hash, endpoint=endpoint),
        "the hub",
        answer.size,
        _of_tag(answer.etag),
        answer.commit_hash,
        {name: value for name, value in build_hf_headers().items() if name.lower() == "authorization"},
        Path(cached) if isinstance(cached, str) else None,
    )


def _of_tag(tag: str | None) -> dict[str, str]:
    """Digest that an entity tag of the hub is."""
    if tag and re.fullmatch(r"[0-9a-f]{64}", tag):
        return {"sha256": tag}
    return {"git": tag} if tag and COMMIT.fullmatch(tag) else {}


def _cached(repository: str, file: str, kind: str, revision: str, source: WeightSource) -> Statement | None:
    """A file of the hub's cache; the blob that it leads to is named by its entity tag."""
    cached = try_to_load_from_cache(repository, file, revision=revision, repo_type=kind)
    if not isinstance(cached, str):
        return None
    path = Path(cached)
    commit = path.parts[path.parts.index("snapshots") + 1]
    by = "the cache of huggingface_hub"
    return Statement(source.url, by, path.stat().st_size, _of_tag(path.resolve().name), commit, cached=path)


def _zenodo(source: WeightSource, found: re.Match[str], context: RequestContext, commit: str) -> Statement:
    if source.sha256 is not None:
        return _plain(source, context)
    record = _json(f"{found['host']}/api/records/{found['record']}", source, context)
    for file in record.get("files", []):
        if file.get("key", file.get("filename")) == unquote(found["file"]):
            algorithm, _, digest = str(file.get("checksum", "")).rpartition(":")
            return Statement(
                source.url, "the record of Zenodo", file.get("size"), {algorithm or "md5": digest} if digest else {}
            )
    raise WeightsError(
        f"{source.name}: record {found['record']} has no {unquote(found['file'])}; see {page_of(source)}"
    )


def _github(source: WeightSource, found: re.Match[str], context: RequestContext, commit: str) -> Statement:
    if source.sha256 is not None:
        return _plain(source, context)
    # A server of one's own has the interface below its own address.
    interface = "https://api.github.com" if found["host"] == "https://github.com" else f"{found['host']}/api/v3"
    release = _json(f"{interface}/repos/{found['repository']}/releases/tags/{found['tag']}", source, context)
    for asset in release.get("assets", []):
        if asset.get("name") == unquote(found["file"]):
            algorithm, _, digest = str(asset.get("digest") or "").partition(":")
            digests = {algorithm: digest} if digest else {}
            return Statement(source.url, "the release on GitHub", asset.get("size"), digests)
    raise WeightsError(f"{source.name}: release {found['tag']} has no {unquote(found['file'])}; see {page_of(source)}")


def _plain(source: WeightSource, context: RequestContext) -> Statement:
    """Any other host: the size alone, where it says one."""
    if source.bytes is not None:
        return Statement(source.url, "the table of weights", source.bytes)

    def ask() -> httpx.Response:
        answer = context.client.head(source.url)
        if answer.status_code not in (405, 501):  # a host may not know the question
            answer.raise_for_status()
        return answer

    answer = _with_retries(ask, source, source.url, context)
    length = answer.headers.get("Content-Length", "") if answer.is_success else ""
    return Statement(source.url, "the server", int(length) if length.isdecimal() else None)


def _json(url: str, source: WeightSource, context: RequestContext) -> dict[str, Any]:
    def ask() -> httpx.Response:
        return context.client.get(url, headers={"Accept": "application/json"}).raise_for_status()

    answer = _with_retries(ask, source, url, context)
    try:
        found = answer.json()
    except ValueError as error:
        raise WeightsError(f"{source.name}: {url} gave no JSON: something else answers for this host") from error
    return found if isinstance(found, dict) else {}


def _with_retries(ask: Callable[[], Any], source: WeightSource, url: str, context: RequestContext) -> Any:
    """What `ask` gives; asked again where that can help, and a fault in plain words in the end."""

    def may_help(error: BaseException) -> bool:
        if isinstance(error, httpx.HTTPStatusError | HfHubHTTPError):
            return error.response.status_code in (408, 429) or error.response.status_code >= 500
        return isinstance(error, httpx.TransportError | httpx2.TransportError) and not is_permanent(error)

    def wait(state: tenacity.RetryCallState) -> float:
        backed_off = context.http.first_wait_seconds * 2 ** (state.attempt_number - 1)
        seconds = max(min(backed_off, context.http.maximum_wait_seconds), _asked(state) or 0.0)
        if seconds > 1:
            context.log(f"{source.name}: waiting {seconds:.0f} s before the next try")
        return seconds

    def give_up(state: tenacity.RetryCallState) -> bool:
        return (
            state.attempt_number >= context.http.attempts or (_asked(state) or 0.0) > context.http.maximum_wait_seconds
        )

    host = url.split("/")[2]
    if host in context.down:
        raise WeightsError(f"{source.name}: {context.down[host]}")
    retrying = tenacity.Retrying(retry=tenacity.retry_if_exception(may_help), wait=wait, stop=give_up, reraise=True)
    try:
        return retrying(ask)
    except (httpx.HTTPStatusError, HfHubHTTPError) as error:
        headers = error.response.headers
        fault = status_fault(
            error.response.status_code,
            source,
            url,
            code=headers.get("X-Error-Code", ""),
            wait=headers.get("Retry-After", ""),
        )
        raise WeightsError(f"{source.name}: {fault}") from error
    except OfflineModeIsEnabled as error:
        raise WeightsError(
            f"{source.name}: HF_HUB_OFFLINE is set, and the cache of huggingface_hub has no such file: unset it, or "
            "put the published file into the folder of weights by hand"
        ) from error
    except (httpx.TransportError, httpx2.TransportError) as error:
        context.down[host] = network_fault(error, url)
        raise WeightsError(f"{source.name}: {context.down[host]}") from error


def _asked(state: tenacity.RetryCallState) -> float | None:
    """Seconds that a server asked to wait."""
    error = state.outcome.exception() if state.outcome else None
    response = getattr(error, "response", None)
    return retry_after(response.headers) if response is not None else None
