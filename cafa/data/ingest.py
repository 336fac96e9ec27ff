"""Ingest: normalise the clips of a shard, with a ledger row for each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import ClipError, InputError
from cafa.common.folder_lock import only_writer_in, only_writer_of
from cafa.common.journal import Journal
from cafa.common.ledger import OK, REASONS, ledger_row, read_ledgers, write_ledger
from cafa.common.progress import progress
from cafa.common.shards import shard_of
from cafa.common.stages import stage_version
from cafa.common.tables import records
from cafa.common.workers import map_in_processes
from cafa.data.fetch.fetched_table import read_fetched
from cafa.data.ingested import JOURNAL, Ingested, files_of, stands
from cafa.data.manifest import check_clip_id, local_path
from cafa.data.uris import is_remote
from cafa.media.normalise import NormaliseSettings, normalise_clip

STAGE = "ingest"
SUFFIXES = (".mp4", ".flac")


class IngestSettings(BaseModel):
    """Processes that normalise, and their patience. No bit depends on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(2, ge=1, description="processes that normalise the clips of a job")
    seconds_per_clip: int = Field(
        300, ge=1, description="clock time after which a clip is given up (`unreadable`) and its process ended"
    )


@dataclass(frozen=True)
class Raw:
    """Where a clip's raw file is.

    Parameters
    ----------
    path : Path
        Absolute.
    start : float
        Seconds, inside the file, at which the clip begins.
    sha256 : str, optional
        Of the file, where it is known.
    """

    path: Path
    start: float
    sha256: str | None = None


class RootFolder:
    """Raw files named by the manifest's ``uri``, relative to a folder."""

    def __init__(self, root: str | Path, *, follow_links: bool = False) -> None:
        self._root, self._follow_links = Path(root), follow_links

    def find(self, row: Mapping[str, Any]) -> Raw:
        """Raw file of a row of the manifest.

        Raises
        ------
        ClipError
            ``missing_file`` or ``bad_path``.
        """
        if is_remote(row["uri"]):
            raise ClipError(
                "missing_file", f"{row['uri']} is remote: fetch it, and name the local file in the manifest"
            )
        return Raw(local_path(self._root, row["uri"], follow_links=self._follow_links), float(row["start"]))


class Fetched:
    """Raw files where the fetch stage put or found them.

    Parameters
    ----------
    table : path
        As :func:`cafa.data.fetch.fetched_table.write_fetched` writes it.
    ledger : path, optional
        Of the fetch stage: why other clips are not there.
    """

    def __init__(self, table: str | Path, ledger: str | Path | None = None) -> None:
        rows = read_fetched(table)
        self._files = {
            clip_id: Raw(Path(path), float(start), sha256 if isinstance(sha256, str) else None)
            for clip_id, path, start, sha256 in rows[["clip_id", "path", "start", "sha256"]].itertuples(index=False)
        }
        self._why: dict[str, tuple[str, str]] = {}
        if ledger is not None:
            fetch = read_ledgers([ledger])
            self._why = {c: (s, d) for c, s, d in zip(fetch["clip_id"], fetch["status"], fetch["detail"], strict=True)}

    def find(self, row: Mapping[str, Any]) -> Raw:
        """Raw file of a row of the manifest.

        Raises
        ------
        ClipError
            ``missing_file``, or what the fetch stage's ledger says.
        """
        clip_id = row["clip_id"]
        if clip_id in self._files:
            return self._files[clip_id]
        status, detail = self._why.get(clip_id, ("missing_file", "no row in the table of fetched files"))
        raise ClipError("missing_file" if status == OK else status, f"fetch: {detail}")


@dataclass(frozen=True)
class _Work:
    """A clip to normalise; `given` is what its result depends on."""

    clip_id: str
    source: Path
    start: float
    duration: float | None
    given: list[Any]


@dataclass(frozen=True)
class _Normalise:
    """Normalises one clip into a folder; runs in worker processes."""

    folder: Path
    settings: NormaliseSettings

    def __call__(self, work: _Work) -> str:
        facts = normalise_clip(
            work.source,
            start=work.start,
            duration=work.duration,
            settings=self.settings,
            video_output=self.folder / f"{work.clip_id}.mp4",
            sound_output=self.folder / f"{work.clip_id}.flac",
        )
        return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def ingest_shard(
    manifest: pd.DataFrame,
    raw: RootFolder | Fetched,
    *,
    shard: int,
    shards: int,
    settings: NormaliseSettings,
    output_folder: str | Path,
    ledger: str | Path,
    workers: int = 0,
    seconds_per_clip: float = 300.0,
    reuse: Sequence[str | Path] = (),
) -> dict[str, int]:
    """Normalise the clips of one shard into ``<clip_id>.mp4`` and ``<clip_id>.flac``.

    What is already there from an earlier run with the same settings, code, manifest row and source
    file is kept, so an interrupted run continues and a longer manifest costs its new clips only.
    Files of clips that are no longer asked for, or have become bad, are removed. The result is the same
    bytes for any number of workers.

    Parameters
    ----------
    manifest : pd.DataFrame
        From :func:`cafa.data.manifest.read_manifest`.
    raw : RootFolder or Fetched
        Where raw files are.
    shard, shards : int
        Index and count.
    settings : NormaliseSettings
        How to normalise.
    output_folder : str or Path
        Folder of this shard alone.
    ledger : str or Path
        Ledger to write; its ``detail`` is a JSON object of facts where the status is ``ok``, with the
        SHA-256 of both files (``video_sha256``, ``sound_sha256``).
    workers : int
        Processes. 0: in this one, without a limit of time.
    seconds_per_clip : float
        Clock time after which a clip is given up (``unreadable``).
    reuse : sequence of path
        Folders of normalised clips of other data sets (:class:`cafa.data.ingested.Ingested`): what they made of the
        same raw file, with the same settings and version, is taken instead of made.

    Returns
    -------
    dict of str to int
        Number of clips by status.

    Raises
    ------
    InputError
        If `output_folder` holds media files that ingest did not write.
    """
    folder = Path(output_folder)
    _check_folder(folder)
    mine = records(manifest[[shard_of(clip_id, shards) == shard for clip_id in manifest["clip_id"]]])
    key = {"settings": settings.model_dump(mode="json"), "version": stage_version("ingest")}
    results: dict[str, tuple[str, str]] = {}
    with only_writer_in(folder), only_writer_of([ledger]), Journal(folder / JOURNAL, key) as journal:
        left = []
        others = Ingested(reuse, key, (row["clip_id"] for row in mine if row["clip_id"] not in journal.done))
        for row in mine:
            known = _known(row, raw, folder, journal, others)
            if isinstance(known, _Work):
                left.append(known)
            else:
                results[row["clip_id"]] = known
        done = map_in_processes(_Normalise(folder, settings), left, workers=workers, seconds=seconds_per_clip)
        for work, result in progress(done, f"ingest {shard}/{shards}", len(mine), start=len(results)):
            status, detail = (result.reason, result.detail) if isinstance(result, ClipError) else (OK, result)
            results[work.clip_id] = status, detail
            if status == OK or not REASONS[status][0]:  # else trying again can help: not recorded as done
                journal.add(work.clip_id, {"given": work.given, "status": status, "detail": detail})
        journal.finish()
        rows = [ledger_row(row["clip_id"], STAGE, *results[row["clip_id"]], line=row["line"]) for row in mine]
        _remove_others(folder, (row["clip_id"] for row in rows if row["status"] == OK))
        write_ledger(ledger, rows)
    statuses = [row["status"] for row in rows]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _known(
    row: dict[str, Any], raw: RootFolder | Fetched, folder: Path, journal: Journal, others: Ingested
) -> tuple[str, str] | _Work:
    """Status and detail of a clip that is done, here or for another data set, or has no file; else what to do."""
    clip_id = check_clip_id(row["clip_id"])
    try:
        file = raw.find(row)
        if not file.path.is_file():
            raise ClipError("missing_file", f"no file at {file.path}")
    except ClipError as error:
        return error.reason, error.detail
    state = file.path.stat()
    duration = None if pd.isna(row["duration"]) else float(row["duration"])
    given = [str(file.path), file.start, duration, state.st_size, state.st_mtime_ns, file.sha256]
    done = journal.done.get(clip_id)
    if done is not None and done["given"] == given and stands(done, files_of(clip_id, folder)):
        return done["status"], done["detail"]
    if (taken := others.take(clip_id, given, folder)) is not None:
        journal.add(clip_id, taken)
        return taken["status"], taken["detail"]
    return _Work(clip_id, file.path, file.start, duration, given)


def _check_folder(folder: Path) -> None:
    """Refuse a folder of somebody's media: files there would be overwritten and removed."""
    if not (folder / JOURNAL).exists() and folder.is_dir():
        strange = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)
        if strange:
            raise InputError(
                f"{folder} holds {len(strange)} media files that ingest did not write, e.g. {strange[0]}: "
                "name a folder of its own, or empty this one"
            )


def _remove_others(folder: Path, clip_ids: Iterable[str]) -> None:
    """Remove media files of other clips, and what killed runs and workers left half written."""
    wanted = {f"{clip_id}{suffix}" for clip_id in clip_ids for suffix in SUFFIXES}
    for path in folder.iterdir():
        if path.suffix in SUFFIXES and path.name not in wanted:
            path.unlink()
