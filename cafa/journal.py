"""Journal of a job's finished items, so that an interrupted job continues where it was."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cafa.files import whole


class Journal:
    """Append-only record of finished items, valid for one key.

    Each finished item is one JSON line, flushed to disk before the next item begins; a line cut
    short by a kill is ignored. A journal written under another key (other settings, inputs or
    code) is discarded.

    Parameters
    ----------
    path : str or Path
        The file; its folder is created.
    key : str
        Digest of everything the items depend on.

    Attributes
    ----------
    done : dict of str to Any
        Records of finished items by item id.
    """

    def __init__(self, path: str | Path, key: str) -> None:
        self.path = Path(path)
        self.done: dict[str, Any] = {}
        lines = self.path.read_text().split("\n")[:-1] if self.path.exists() else []
        if lines and lines[0] == json.dumps({"key": key}):
            for line in lines[1:]:
                item_id, record = json.loads(line)
                self.done[item_id] = record
        # Rewritten whole: drops a line cut short, and a journal of another key.
        with whole(self.path) as temporary:
            entries = [json.dumps({"key": key}), *(json.dumps(entry) for entry in self.done.items())]
            temporary.write_text("".join(f"{entry}\n" for entry in entries))
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

    def close(self, *, remove: bool = False) -> None:
        """Close the file; `remove` deletes it once the job's output stands."""
        self._file.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
