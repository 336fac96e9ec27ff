"""Journal of a job's finished items, so that an interrupted job continues where it was."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cafa.common.files import atomic_write
from cafa.common.resume import goes_on, same_key

#: last line of a journal whose job came to its end
FINISHED = json.dumps("finished")


@dataclass(frozen=True)
class Recorded:
    """What a journal on disk says.

    Parameters
    ----------
    key : dict or None
        Of its items; None if there is no journal, or it does not say.
    items : dict
        Records by item id.
    finished : bool
        Whether the job came to its end.
    """

    key: dict[str, Any] | None
    items: dict[str, Any]
    finished: bool


def read_journal(path: str | Path) -> Recorded:
    """Read a journal as far as it is whole; a line cut short is not read."""
    path = Path(path)
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    key = json.loads(lines[0]).get("key") if lines else None
    items = dict(json.loads(line) for line in lines[1:] if line != FINISHED)
    if isinstance(key, str):  # as journals said it before they named the parts of their key
        key = {"version": key}
    return Recorded(key if isinstance(key, dict) else None, items, lines[-1:] == [FINISHED])


class Journal:
    """Append-only record of finished items, valid for one key.

    Each finished item is one JSON line, flushed to disk before the next item begins; a line cut short by a kill is
    ignored. The first line holds the key. If the items of an unfinished job were made under another key (other
    settings, inputs or version), :func:`cafa.common.resume.goes_on` decides; a finished job's journal begins anew.

    Parameters
    ----------
    path : str or Path
        The file; its folder is created.
    key : mapping
        Everything the items depend on, JSON-serialisable: settings, seed, digests, versions, each under its name.

    Attributes
    ----------
    done : dict of str to Any
        Records of finished items by item id.
    """

    def __init__(self, path: str | Path, key: Mapping[str, Any]) -> None:
        self.path = Path(path)
        before, now = read_journal(self.path), json.loads(json.dumps(key))
        self.done: dict[str, Any] = before.items
        if self.done and not same_key(before.key, now):
            count = f"{len(self.done)} items done"
            if before.finished:
                print(f"{self.path}: made under another key ({count}), which is made again")
            if before.finished or not goes_on(self.path, before.key, now, count):
                self.done = {}
        # Rewritten whole: drops a line cut short, and items of another key.
        with atomic_write(self.path) as temporary:
            lines = [json.dumps({"key": now}), *(json.dumps(entry) for entry in self.done.items())]
            temporary.write_text("".join(f"{line}\n" for line in lines))
        self._file = open(self.path, "a")  # noqa: SIM115 - held for the life of the journal

    def add(self, item_id: str, record: Any) -> None:
        """Record a finished item (JSON-serialisable `record`)."""
        self.add_all({item_id: record})

    def add_all(self, records: Mapping[str, Any]) -> None:
        """Record finished items; on disk when this returns, and after a kill before that some of them may be."""
        self.done.update(records)
        self._file.write("".join(json.dumps(entry) + "\n" for entry in records.items()))
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Note that the job came to its end: another key may begin anew without a question."""
        self._file.write(f"{FINISHED}\n")

    def close(self, *, remove: bool = False) -> None:
        """Close the file; `remove` deletes it once the job's output stands."""
        self._file.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
