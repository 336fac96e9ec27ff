"""What the journal of a shard remembers of a clip, and how it is made to forget."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.files import write_json
from cafa.common.journal import Journal
from cafa.common.ledger import OK, REASONS, class_of, read_ledgers
from cafa.common.ledger_classes import CLASSES, GONE, NOT_FOR_US
from cafa.data.fetch.interface import FetchedFile

STAGE = "fetch"
#: of all journals: neither a new pace nor new code is a reason to download anything twice
KEY = {"version": "fetch 1"}


def journal_of(ledger: str | Path) -> Path:
    """Journal beside a ledger; it outlives the ledger."""
    path = Path(ledger)
    return path.with_name(f".{path.stem}.journal")


def request_of(ledger: str | Path) -> Path:
    """File beside a ledger that says that its clips are to be asked for again."""
    return Path(ledger).with_suffix(".retry.json")


def record_of(
    asked: list[Any],
    identity: str,
    *,
    found: FetchedFile | None = None,
    status: str = OK,
    detail: str = "",
    days: Sequence[str] = (),
) -> dict[str, Any]:
    """Record of a clip.

    Parameters
    ----------
    asked : list
        URI, start and duration of the manifest.
    identity : str
        Digest of the sources that were asked.
    found : FetchedFile, optional
        Its file.
    status, detail : str
        Why there is none.
    days : sequence of str
        Dates on which the answer was of no known kind.
    """
    record: dict[str, Any] = {"asked": asked, "sources": identity, "status": status, "detail": detail}
    if found is not None:
        state = found.path.stat()
        record["found"] = {
            "path": str(found.path),
            "source": found.source,
            "start": found.start,
            "sha256": found.sha256,
        }
        record["detail"] = json.dumps({"bytes": state.st_size, **record["found"]}, sort_keys=True)
        record["state"] = [state.st_size, state.st_mtime_ns]
    if days:
        record["days"] = list(days)
    return record


def still_there(record: dict[str, Any]) -> bool:
    """Whether a record is of a file that is still as it was."""
    if record["status"] != OK:
        return False
    path = Path(record["found"]["path"])
    return path.is_file() and [path.stat().st_size, path.stat().st_mtime_ns] == record["state"]


def holds(record: dict[str, Any], identity: str) -> bool:
    """Whether the web need not be asked again: what is gone for the same sources stays so until a retry is wanted."""
    status = record["status"]
    if status == OK or record["sources"] != identity:
        return False
    return REASONS[status].kind in (GONE, NOT_FOR_US) or status == "too_large"


def ask_again(ledgers: Sequence[str | Path], classes: Sequence[str]) -> dict[str, int]:
    """Let the next `cafa fetch` ask again for clips of some classes.

    Their entries leave the journal; a request beside each ledger tells the workflow that the shard is due. Clips that
    are ok, and those of other classes, stay as they are.

    Parameters
    ----------
    ledgers : sequence of path
        Ledgers of `cafa fetch`.
    classes : sequence of str
        Of :data:`cafa.common.ledger_classes.CLASSES`.

    Returns
    -------
    dict of str to int
        Clips to be asked for again, by ledger.

    Raises
    ------
    InputError
        If a ledger is of another stage, or a class is unknown.
    """
    unknown = sorted(set(classes) - set(CLASSES))
    if unknown or not classes:
        raise InputError(f"a class must be one of {', '.join(CLASSES)}, got {', '.join(unknown) or 'none'}")
    tables = {str(path): read_ledgers([path]) for path in ledgers}
    for path, rows in tables.items():
        others = sorted(set(rows["stage"]) - {STAGE})
        if others:
            raise InputError(f"{path} is a ledger of {', '.join(others)}: only what was fetched can be asked for again")
    counts = {}
    for path, rows in tables.items():
        chosen = list(rows.loc[[class_of(status) in classes for status in rows["status"]], "clip_id"])
        counts[path] = len(chosen)
        if chosen:
            with Journal(journal_of(path), KEY) as journal:
                for clip_id in chosen:
                    journal.add(clip_id, None)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            write_json(request_of(path), {"classes": list(classes), "clips": len(chosen), "time": now})
    return counts
