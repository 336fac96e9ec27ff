"""Fetching: two files at once, each taken up where it broke off, checked before it appears under its name."""

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from cafa.common.download import Expected, download, new_client
from cafa.common.errors import CafaError, ClipError, WeightsError
from cafa.common.weight_files import WeightSource, no_download
from cafa.common.writing_errors import explained
from cafa.weights.catalogue import require_accepted, terms_text
from cafa.weights.checking import (
    LOCKED,
    digests_of,
    expectations,
    require_equal,
    require_known_size,
)
from cafa.weights.faults import Stopped, download_fault
from cafa.weights.folder import LockEntry, changed_record, part_size, read_record, staging_path
from cafa.weights.planning import (
    Fetched,
    GetSettings,
    Job,
    Log,
    ask_publishers,
    is_checked,
    merged_message,
    require_space,
)
from cafa.weights.progress import Bar, Bars

#: seconds that threads get to end in
GRACE = 3.0


def get(wanted: Iterable[WeightSource], settings: GetSettings, log: Log) -> list[Fetched]:
    """Fetch files that are not there, check those that are, and record what was found.

    Parameters
    ----------
    wanted : iterable of WeightSource
    settings : GetSettings
    log : callable
        Takes lines for a person.

    Returns
    -------
    list of Fetched
        In the order of `wanted`.

    Raises
    ------
    InputError
        If a licence is not accepted, before anything is fetched.
    WriteError
        If the disk is too small, before anything is fetched.
    WeightsError
        Naming every file that could not be had; the others were fetched.
    """
    folder, wanted = settings.folder, list(wanted)
    record = read_record(folder)
    done = {
        source.name: Fetched(source, folder / source.relative_path, entry.sha256, entry.checked_against, False)
        for source in wanted
        if (entry := record.files.get(source.relative_path)) is not None
        and is_checked(folder / source.relative_path, entry)
        and source.sha256 in (None, entry.sha256)
    }
    left = [source for source in wanted if source.name not in done]
    missing = [source for source in left if not (folder / source.relative_path).is_file()]
    accepted = require_accepted(missing, settings.accept, record.accepted)
    for model, files in accepted.items():
        log(f"{model}: {files[0].licence}: {terms_text(files[0])} ({files[0].page}); accepted")
    faults: list[CafaError] = []
    if left:
        if accepted:
            with changed_record(folder) as changed:
                changed.accepted |= {model: files[0].licence for model, files in accepted.items()}
        jobs = ask_publishers(left, settings, record.files, faults, log)
        require_space(jobs, folder)
        for fetched in _run(jobs, settings, faults, log):
            done[fetched.source.name] = fetched
    if faults:
        raise WeightsError(merged_message(faults, len(done)))
    return [done[source.name] for source in wanted]


def _run(jobs: list[Job], settings: GetSettings, faults: list[CafaError], log: Log) -> list[Fetched]:
    """Run jobs in threads; a signal ends them between two blocks, and the data received so far stays on disk."""
    todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
    results: queue.SimpleQueue[Fetched | BaseException] = queue.SimpleQueue()
    for job in jobs:
        todo.put(job)
    stop, bars = threading.Event(), Bars(log)

    def work() -> None:
        with new_client(settings.http) as client:
            while not stop.is_set():
                try:
                    job = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    with bars.bar(job.source.name, job.statement.bytes or job.source.bytes) as bar:
                        results.put(_fetch_one(job, settings, client, bar, stop))
                except BaseException as error:  # given to the main thread, which raises it
                    results.put(error)

    # Daemons: a read that waits for a silent server must not keep the process.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(settings.workers, len(jobs)))]
    for thread in threads:
        thread.start()
    done: list[Fetched] = []
    try:
        for _ in jobs:
            result = _next(results)
            if isinstance(result, Fetched):
                done.append(result)
            elif isinstance(result, CafaError):
                faults.append(result)
            else:
                raise result
    finally:
        stop.set()
        until = time.monotonic() + GRACE
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.0))
        bars.close()
    return done


def _next(results: "queue.SimpleQueue[Fetched | BaseException]") -> Fetched | BaseException:
    """The next result; in short waits, so that a signal is handled at once."""
    while True:
        try:
            return results.get(timeout=0.2)
        except queue.Empty:
            continue


def _fetch_one(job: Job, settings: GetSettings, client: httpx.Client, bar: Bar, stop: threading.Event) -> Fetched:
    """Fetch or check one file, which no other process fetches meanwhile."""
    source, folder = job.source, settings.folder
    path, staged = folder / source.relative_path, staging_path(folder, source)

    def on_progress(size: int) -> None:
        bar.at(size)
        if stop.is_set():
            raise Stopped

    def check(file: Path) -> Fetched:
        bar.checking()
        return _check(job, file, path, folder, on_progress)

    with ExitStack() as stack:
        lock = FileLock(staged.with_name(f"{staged.name}.lock"))
        while True:
            try:
                stack.enter_context(lock.acquire(timeout=0.5))
                break
            except Timeout:
                bar.note("another process fetches it: waiting")
                on_progress(0)
        entry = read_record(folder).files.get(source.relative_path)
        if entry is not None and entry != job.entry and is_checked(path, entry):  # by another process, meanwhile
            return Fetched(source, path, entry.sha256, entry.checked_against, True)
        with explained(path, job.statement.bytes):
            if path.is_file():
                return check(path)
            try:
                _download_or_copy(job, staged, settings, client, bar, on_progress, stop)
                return check(staged)
            except WeightsError:
                if not bar.resumed or stop.is_set():
                    raise
            # Parts of two versions may have been joined: once more, from nothing.
            bar.note("what had come before did not fit: from the beginning")
            bar.resumed = False
            _download_or_copy(job, staged, settings, client, bar, on_progress, stop)
            return check(staged)


def _download_or_copy(
    job: Job,
    staged: Path,
    settings: GetSettings,
    client: httpx.Client,
    bar: Bar,
    on_progress: Callable[[int], None],
    stop: threading.Event,
) -> None:
    """Get a file's bytes, from the hub's cache or its publisher."""
    if staged.is_file():
        return
    staged.parent.mkdir(parents=True, exist_ok=True)
    bar.resumed = part_size(settings.folder, job.source) > 0
    if job.statement.cached is not None:
        copy = staged.with_name(f"{staged.name}.copy")
        copy.unlink(missing_ok=True)
        try:
            os.link(job.statement.cached.resolve(), copy)
        except OSError:  # another disk, or one without links
            shutil.copyfile(job.statement.cached, copy)
        os.replace(copy, staged)
        return
    expected = expectations(job.source, job.entry, job.statement.digests)

    def sleep(seconds: float) -> None:
        bar.note(f"waiting {seconds:.0f} s before the next try")
        if stop.wait(seconds):
            raise Stopped

    try:
        download(
            client,
            job.statement.url,
            staged,
            settings=settings.http,
            media=True,
            expected=Expected(job.statement.bytes or job.source.bytes, bool(expected)),
            headers=job.statement.headers,
            on_progress=on_progress,
            sleep=sleep,
        )
    except ClipError as error:
        raise download_fault(error, job.source, job.statement.url) from error


def _check(job: Job, staged: Path, path: Path, folder: Path, on_progress: Callable[[int], None]) -> Fetched:
    """Compare a file with all that is known of it, record it, and give it its name.

    A file that came and is another one is removed; one that was there stays for its owner to judge.
    """
    source = job.source
    expected = expectations(source, job.entry, job.statement.digests, job.statement.by)
    try:
        require_known_size(staged, job.statement.bytes or source.bytes, source)
        found = digests_of(staged, {"sha256", *(one.algorithm for one in expected)}, on_progress)
        against = require_equal(staged, found, expected, source)
        if not expected and (seems := no_download(staged)):
            raise WeightsError(f"{source.name}: {seems}")
    except WeightsError as error:
        if staged == path:
            raise WeightsError(
                f"{error}. It lies at {path}: `cafa weights remove {source.name}`, then get it again"
            ) from error
        staged.unlink()
        raise WeightsError(f"{error}. It was deleted: run the same command again") from error
    if job.entry is not None and expected[0].by == LOCKED:
        against = job.entry.checked_against  # what the recorded digest was compared with
    path.parent.mkdir(parents=True, exist_ok=True)
    status = staged.stat()
    entry = LockEntry(
        source.name,
        source.url,
        found["sha256"],
        status.st_size,
        against,
        job.statement.commit or (job.entry.commit if job.entry else ""),
        status.st_mtime_ns,
    )
    with changed_record(folder) as record:
        record.files[source.relative_path] = entry
    if staged != path:
        os.replace(staged, path)
    return Fetched(source, path, entry.sha256, against, True)
