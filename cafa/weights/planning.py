"""What is to be fetched: which files are there, what their publishers state, whether the disk takes them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cafa.common.download import new_client
from cafa.common.errors import CafaError, WeightsError, WriteError
from cafa.common.http_settings import HttpSettings
from cafa.common.weight_files import WeightSource
from cafa.common.writing_errors import free_space, size_text
from cafa.weights.checking import Expectation, contradiction, expectations
from cafa.weights.folder import LockEntry, part_size
from cafa.weights.publishers import RequestContext, Statement, statement_of

#: for large files: a server that asks to wait ten minutes is waited for
DOWNLOAD_SETTINGS = HttpSettings(maximum_wait_seconds=600.0, maximum_seconds=7 * 86400.0)
Log = Callable[[str], None]
#: bytes that are left free on a disk
MARGIN = 50_000_000


@dataclass(frozen=True)
class GetSettings:
    """How files are fetched.

    Parameters
    ----------
    folder : Path
        Folder of weights.
    accept : tuple of str
        Models, or files, whose licences are accepted.
    unverified : bool
        Take files of which nobody states a digest.
    workers : int
        Files at once.
    http : HttpSettings
    """

    folder: Path
    accept: tuple[str, ...] = ()
    unverified: bool = False
    workers: int = 2
    http: HttpSettings = DOWNLOAD_SETTINGS


@dataclass(frozen=True)
class Job:
    """A file to fetch, or one that is there and was never checked."""

    source: WeightSource
    entry: LockEntry | None
    statement: Statement


@dataclass(frozen=True)
class Fetched:
    """A file that is there.

    Parameters
    ----------
    source : WeightSource
    path : Path
    sha256 : str
    checked_against : str
    fresh : bool
        It was not there, or not checked, before.
    """

    source: WeightSource
    path: Path
    sha256: str
    checked_against: str
    fresh: bool


def is_checked(path: Path, entry: LockEntry | None) -> bool:
    """Whether a file is there and was not touched since it was checked."""
    if entry is None or not path.is_file():
        return False
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (entry.bytes, entry.modified_ns)


def merged_message(faults: list[CafaError], others: int) -> str:
    """One message of several; what is said of many files is said once."""
    by_text: dict[str, list[str]] = {}
    for fault in faults:
        name, _, text = str(fault).partition(": ")
        by_text.setdefault(text, []).append(name)
    lines = [f"{', '.join(names)}: {text}" for text, names in by_text.items()]
    count = sum(len(names) for names in by_text.values())
    return "\n".join([*lines, f"({count} not fetched; {others} are there)"] if count + others > 1 else lines)


def ask_publishers(
    left: list[WeightSource], settings: GetSettings, entries: dict[str, LockEntry], faults: list[CafaError], log: Log
) -> list[Job]:
    """Jobs of files, with what their publishers state; nothing is asked for files that can be checked without."""
    jobs = []
    with new_client(settings.http) as client:
        context = RequestContext(client, settings.http, log)
        for source in left:
            entry = entries.get(source.relative_path)
            there = (settings.folder / source.relative_path).is_file()
            try:
                _require_agreement(source, expectations(source, entry))
                if there and (source.sha256 or entry):
                    statement = Statement(source.url, "nobody", source.bytes)
                else:
                    statement = statement_of(source, context, commit=entry.commit if entry else "")
                jobs.append(Job(source, entry, statement))
                _require_something(jobs[-1], settings)
            except CafaError as error:
                jobs = [job for job in jobs if job.source is not source]
                faults.append(error)
    return jobs


def _require_agreement(source: WeightSource, expected: list[Expectation]) -> None:
    """Refuse a file of which two digests are stated."""
    if wrong := contradiction(expected):
        raise WeightsError(
            f"{source.name}: {wrong}. Nothing was fetched. If you want the new one, forget the old one (`cafa "
            f"weights remove {source.name} --forget`), and write its SHA-256 into a table of your own (--table)"
        )


def _require_something(job: Job, settings: GetSettings) -> None:
    """Refuse a file that cannot be checked, or of which two digests are stated."""
    expected = expectations(job.source, job.entry, job.statement.digests, job.statement.by)
    _require_agreement(job.source, expected)
    if not expected and not settings.unverified:
        raise WeightsError(
            f"{job.source.name}: neither the table of weights nor its publisher states a digest of it: take it with "
            "--unverified, or write the SHA-256 of a file you trust into a table of your own (--table)"
        )


def require_space(jobs: list[Job], folder: Path) -> None:
    """Check that the disk takes what is still to come.

    Raises
    ------
    WriteError
        If it does not: what is needed, and what is free.
    """
    needed = 0
    for job in jobs:
        size = job.statement.bytes or job.source.bytes
        if size is not None and not (folder / job.source.relative_path).is_file():
            needed += max(size - part_size(folder, job.source), 0)
    free = free_space(folder)
    if needed and needed + MARGIN > free:
        raise WriteError(
            f"{size_text(needed)} are to come and {size_text(free)} are free on the disk of {folder}: nothing was "
            "fetched. Make room, or name another folder (--to FOLDER or the variable CAFA_WEIGHTS)"
        )
