"""Ingest: normalise the clips of a shard, with a ledger row for each."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from cafa.errors import ClipError, InputError
from cafa.files import digest_of, sha256_file
from cafa.journal import Journal
from cafa.ledger import OK, REASONS, ledger_row, write_ledger
from cafa.manifest import check_clip_id, is_remote, local_path
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.progress import progress
from cafa.provenance import code_digest
from cafa.shards import shard_of

STAGE = "ingest"
JOURNAL = ".journal"
SUFFIXES = (".mp4", ".flac")


def ingest_shard(
    manifest: pd.DataFrame,
    root: str | Path,
    *,
    shard: int,
    shards: int,
    settings: NormaliseSettings,
    output_folder: str | Path,
    ledger: str | Path,
) -> dict[str, int]:
    """Normalise the clips of one shard into ``<clip_id>.mp4`` and ``<clip_id>.flac``.

    What is already there from an earlier run with the same settings, code, manifest row and source
    file is kept, so an interrupted run continues and a longer manifest costs its new clips only.
    Files of clips that are no longer asked for, or have become bad, are removed.

    Parameters
    ----------
    manifest : pd.DataFrame
        From :func:`cafa.manifest.read_manifest`.
    root : str or Path
        Folder that local URIs are relative to.
    shard, shards : int
        Index and count.
    settings : NormaliseSettings
        How to normalise.
    output_folder : str or Path
        Folder of this shard alone.
    ledger : str or Path
        Ledger to write; its ``detail`` is a JSON object of facts where the status is ``ok``.

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
    rows = [row for row in manifest.to_dict("records") if shard_of(row["clip_id"], shards) == shard]
    key = digest_of({"settings": settings.model_dump(), "code": code_digest("cafa.ingest")})
    outcomes: list[dict[str, Any]] = []
    with Journal(folder / JOURNAL, key) as journal:
        for row in progress(rows, f"ingest {shard}/{shards}", len(rows)):
            status, detail = _ingest(row, Path(root), folder, settings, journal)
            outcomes.append(ledger_row(row["clip_id"], STAGE, status, detail, row["line"]))
    _remove_others(folder, (row["clip_id"] for row in outcomes if row["status"] == OK))
    write_ledger(ledger, outcomes)
    statuses = [row["status"] for row in outcomes]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _ingest(
    row: dict[str, Any], root: Path, folder: Path, settings: NormaliseSettings, journal: Journal
) -> tuple[str, str]:
    """Status and detail of one clip, its files in place where the status is ``ok``."""
    clip_id = check_clip_id(row["clip_id"])
    outputs = {"video_sha256": folder / f"{clip_id}.mp4", "sound_sha256": folder / f"{clip_id}.flac"}
    try:
        source = _source(root, row["uri"])
    except ClipError as error:
        return error.reason, error.detail
    state = source.stat()
    duration = None if pd.isna(row["duration"]) else float(row["duration"])
    given = [row["uri"], float(row["start"]), duration, state.st_size, state.st_mtime_ns]
    done = journal.done.get(clip_id)
    if done is not None and done["given"] == given and _stands(done, outputs):
        return done["status"], done["detail"]
    try:
        facts = normalise_clip(
            source,
            start=float(row["start"]),
            duration=duration,
            settings=settings,
            video_output=outputs["video_sha256"],
            sound_output=outputs["sound_sha256"],
        )
        status, detail = OK, json.dumps(facts, sort_keys=True, separators=(",", ":"))
    except ClipError as error:
        status, detail = error.reason, error.detail
        if REASONS[status][0]:  # trying again can help: not recorded as done
            return status, detail
    journal.add(clip_id, {"given": given, "status": status, "detail": detail})
    return status, detail


def _source(root: Path, uri: str) -> Path:
    if is_remote(uri):
        raise ClipError("missing_file", f"{uri} is remote: fetch it, and name the local file in the manifest")
    path = local_path(root, uri)
    if not path.is_file():
        raise ClipError("missing_file", f"no file at {path}")
    return path


def _stands(done: dict[str, Any], outputs: dict[str, Path]) -> bool:
    """Whether an outcome still holds: the files of an ``ok`` clip are there, to the byte."""
    if done["status"] != OK:
        return True
    facts = json.loads(done["detail"])
    return all(path.is_file() and sha256_file(path) == facts[name] for name, path in outputs.items())


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
    """Remove media files of other clips, and what an interrupted run left half written."""
    wanted = {f"{clip_id}{suffix}" for clip_id in clip_ids for suffix in SUFFIXES}
    for path in folder.iterdir():
        if path.suffix in SUFFIXES and path.name not in wanted:
            path.unlink()
