"""Fetch the raw files of a shard's clips, with a ledger row for each."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from cafa.common.download import new_client
from cafa.common.errors import ClipError
from cafa.common.files import digest_of, sha256_file
from cafa.common.folder_lock import only_writer_of
from cafa.common.journal import Journal
from cafa.common.ledger import OK, REASONS, ledger_row, write_ledger
from cafa.common.ledger_classes import GONE, NOT_FOR_US, RETRY, UNKNOWN, UNUSABLE
from cafa.common.progress import progress
from cafa.common.shards import shard_of
from cafa.common.tables import records as rows_of
from cafa.data.fetch.archives import Archives
from cafa.data.fetch.download_cache import KINDS, DownloadCache
from cafa.data.fetch.fetch_journal import KEY, STAGE, holds, journal_of, record_of, still_there
from cafa.data.fetch.fetched_table import write_fetched
from cafa.data.fetch.folder_and_mirror import Folder, Mirror
from cafa.data.fetch.interface import ClipSource, FetchedFile, WantedClip
from cafa.data.fetch.rate_limit import RateLimiter
from cafa.data.fetch.settings import ArchivesSource, FetchSettings, FolderSource, MirrorSource, YouTubeSource
from cafa.data.fetch.youtube import OpenDownloader, YouTube

#: If several sources fail, the clip gets the reason with the lowest number: retriable before permanent, by class of
#: reason, and last that a source does not have the clip, by reason.
CLASS_PRIORITY = {RETRY: 0, UNKNOWN: 1, NOT_FOR_US: 2, GONE: 3, UNUSABLE: 4}
REASON_PRIORITY = {"not_found": 5, "missing_file": 6, "no_source": 7}


def fetch_shard(
    manifest: pd.DataFrame,
    settings: FetchSettings,
    *,
    shard: int,
    shards: int,
    folder: str | Path,
    output: str | Path,
    ledger: str | Path,
    downloader: tuple[OpenDownloader, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> dict[str, int]:
    """Find or download the file of each clip of a shard.

    A journal beside the ledger keeps what was found and what is gone for good: the same command run again asks only
    for the rest. Folders are looked into each time, the web is not asked twice for what came or is gone.

    Parameters
    ----------
    manifest : pd.DataFrame
        From :func:`cafa.data.manifest.read_manifest`.
    settings : FetchSettings
        Sources and pace.
    shard, shards : int
        Index and count.
    folder : str or Path
        Folder of downloads (:mod:`cafa.data.fetch.download_cache`), the same for all shards; data sets may share it,
        and with it the pace of asking.
    output : str or Path
        Table of where the files are (:mod:`cafa.data.fetch.fetched_table`).
    ledger : str or Path
        Ledger to write; its ``detail`` holds every source's answer.
    downloader, sleep, clock
        Given by tests.

    Returns
    -------
    dict of str to int
        Number of clips by status.

    Raises
    ------
    FetchStoppedError
        If the site blocks several requests in a row; what has been downloaded stays.
    InputError
        If a folder, a list of checksums or cookies are not there.
    """
    rows = [row for row in rows_of(manifest) if shard_of(row["clip_id"], shards) == shard]
    # What is in work belongs to this job alone; another one may be after the same clip.
    work = Path(folder) / ".work" / digest_of(str(Path(ledger).absolute()))[:16]
    with ExitStack() as stack:
        stack.enter_context(only_writer_of([output, ledger]))
        limiter = RateLimiter(
            settings.politeness.state or Path(folder) / "politeness.json", settings.politeness, clock, sleep
        )
        sources = _open_sources(settings, Path(folder), work, limiter, downloader, sleep, stack)
        journal = stack.enter_context(Journal(journal_of(ledger), KEY))
        job = _Job(
            settings,
            sources,
            DownloadCache(folder),
            work,
            journal,
            datetime.fromtimestamp(clock(), UTC).date().isoformat(),
        )
        outcomes = dict(progress(job.run(rows), f"fetch {shard}/{shards}", len(rows)))
    shutil.rmtree(work)
    records = [(row, outcomes[row["clip_id"]]) for row in rows]
    write_fetched(output, ({"clip_id": row["clip_id"], **r["found"]} for row, r in records if r["status"] == OK))
    write_ledger(
        ledger, [ledger_row(row["clip_id"], STAGE, r["status"], r["detail"], row["line"]) for row, r in records]
    )
    statuses = [record["status"] for _, record in records]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _open_sources(
    settings: FetchSettings,
    folder: Path,
    work: Path,
    limiter: RateLimiter,
    downloader: tuple[OpenDownloader, str] | None,
    sleep: Callable[[float], None],
    stack: ExitStack,
) -> list[ClipSource]:
    work.mkdir(parents=True, exist_ok=True)
    for left in work.glob(".youtube-*"):  # of a job that was killed; parts of files stay, to be gone on with
        shutil.rmtree(left)
    for left in work.glob(".cookies-*"):
        left.unlink()
    sources: list[ClipSource] = []
    for source in settings.sources:
        if isinstance(source, FolderSource):
            sources.append(Folder(source))
        elif isinstance(source, ArchivesSource):
            sources.append(Archives(source, folder))
        elif isinstance(source, MirrorSource):
            client = stack.enter_context(new_client(source.http, settings.concurrency))
            sources.append(Mirror(source, client, settings.maximum_bytes, sleep))
        else:
            sources.append(_YouTubeWhenNeeded(source, work, limiter, settings.maximum_bytes, downloader, stack))
    return sources


class _YouTubeWhenNeeded:
    """YouTube, whose programs (yt-dlp, ffmpeg) must be there only if a clip is nowhere else."""

    local = False

    def __init__(
        self,
        settings: YouTubeSource,
        work: Path,
        limiter: RateLimiter,
        maximum_bytes: int,
        downloader: tuple[OpenDownloader, str] | None,
        stack: ExitStack,
    ) -> None:
        self._given, self._stack = (settings, work, limiter, maximum_bytes, downloader), stack
        self._youtube: YouTube | None = None
        self._lock = threading.Lock()

    def fetch(self, clip: WantedClip, target: Path) -> FetchedFile:
        """As :meth:`YouTube.fetch`."""
        with self._lock:
            if self._youtube is None:
                self._youtube = YouTube(*self._given)
                self._stack.callback(self._youtube.close)
        return self._youtube.fetch(clip, target)


def identity(settings: FetchSettings) -> str:
    """Digest of where clips may come from: where it changes, what was gone is asked for again."""
    parts: list[Any] = []
    for source in settings.sources:
        if isinstance(source, YouTubeSource):
            parts.append({"kind": source.kind, "cookies": source.cookies is not None})
        else:
            parts.append(source.model_dump(mode="json", exclude={"http"}))
        if isinstance(source, MirrorSource) and source.checksums is not None:
            parts.append(sha256_file(source.checksums))
    return digest_of(parts)


class _Job:
    """The clips of one shard, several at a time; the journal is written by one thread."""

    def __init__(
        self,
        settings: FetchSettings,
        sources: list[ClipSource],
        cache: DownloadCache,
        work: Path,
        journal: Journal,
        today: str,
    ) -> None:
        self.settings, self.sources, self.cache, self.work, self.today = settings, sources, cache, work, today
        self.journal = journal
        self.identity = identity(settings)

    def run(self, rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Record of each clip, as they come. An error stops the rest; what came until then is in the journal."""
        waiting = iter(rows)
        running: dict[Future[dict[str, Any]], str] = {}
        errors: list[BaseException] = []
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            while True:
                while not errors and len(running) < self.settings.concurrency:
                    row = next(waiting, None)
                    if row is None:
                        break
                    clip_id = row["clip_id"]
                    running[pool.submit(self._outcome, row, self.journal.done.get(clip_id))] = clip_id
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    clip_id = running.pop(future)
                    if (error := future.exception()) is not None:
                        errors.append(error)
                        continue
                    record = future.result()
                    if record != self.journal.done.get(clip_id):
                        self.journal.add(clip_id, record)
                    yield clip_id, record
        if errors:
            raise errors[0]

    def _outcome(self, row: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
        asked = [row["uri"], float(row["start"]), None if pd.isna(row["duration"]) else float(row["duration"])]
        if before is not None and before["asked"] != asked:
            before = None
        if before is not None and still_there(before):
            return before
        if before is not None and before["status"] == OK:
            self.cache.remove(before["found"]["path"])
        remembered = before is not None and holds(before, self.identity)
        found, answers = self._ask(WantedClip.of(row), asked, remembered)
        if found is not None:
            return record_of(asked, self.identity, found=found)
        if before is not None and remembered:
            return before
        status, detail = _reason_of(answers)
        days = sorted({*(before or {}).get("days", []), self.today}) if status == "unknown" else []
        if len(days) >= self.settings.unknown_days:
            status, detail = "gone_unverified", f"asked on {', '.join(days)}; {detail}"
        return record_of(asked, self.identity, status=status, detail=detail, days=days)

    def _ask(
        self, clip: WantedClip, asked: list[Any], remembered: bool
    ) -> tuple[FetchedFile | None, list[tuple[str, str]]]:
        """The clip's file, or what each source answered; `remembered`: the web need not be asked."""
        answers: list[tuple[str, str]] = []
        kinds = [source.kind for source in self.settings.sources if source.kind in KINDS]
        for source in self.sources:
            if not source.local:
                if (cached := self.cache.find(clip, asked, kinds)) is not None:
                    return cached, answers
                if remembered:
                    continue
            try:
                found = source.fetch(clip, self.work / f"{clip.clip_id}.mp4")
                return (found if source.local else self.cache.add(clip, asked, found)), answers
            except ClipError as error:
                answers.append((error.reason, f"{_title(source)}: {error.reason}: {error.detail}"))
        return None, answers


def _title(source: ClipSource) -> str:
    return "youtube" if isinstance(source, _YouTubeWhenNeeded) else type(source).__name__.lower()


def _reason_of(answers: list[tuple[str, str]]) -> tuple[str, str]:
    """Status and detail of a clip that no source gave."""
    reasons = (reason for reason, _ in answers)
    status = min(reasons, key=lambda name: REASON_PRIORITY.get(name, CLASS_PRIORITY[REASONS[name].kind]))
    return status, "; ".join(text for _, text in answers)
