"""Embeddings that are finished, on disk: an interrupted evaluation continues, and nothing old is ever taken for new."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import ClipError
from cafa.common.files import atomic_write, digest_of
from cafa.common.journal import Journal, read_journal
from cafa.common.resume import answer, goes_on, same_key


class EmbeddingCache:
    """Arrays by item.

    An item counts as finished if the journal holds it for the very bytes it was made from, and its file of arrays is
    there whole. Each `key` (judges, lengths, version) has a folder of its own. Unfinished work of another key is never
    left aside unasked (:func:`cafa.common.resume.goes_on`).

    Parameters
    ----------
    folder : path
        Of the journal and the arrays.
    key : mapping
        Everything but the items' own files.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self.folder = folder / digest_of(key)[:16]
        if not self.folder.exists():
            self._settle_others(folder, key)
        self._journal = Journal(self.folder / "journal", key)

    def __enter__(self) -> "EmbeddingCache":
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            self._journal.finish()
        self._journal.close()

    def _settle_others(self, folder: Path, key: Mapping[str, Any]) -> None:
        """Ask about unfinished work of other keys; that which is gone on with becomes this key's."""
        for journal in sorted(folder.glob("*/journal")):
            other = read_journal(journal)
            if other.finished or not other.items:
                continue
            if answer() == "resume" or same_key(other.key, key):
                journal.parent.rename(self.folder)  # the journal, when it is opened, says what changed
                return
            goes_on(journal.parent, other.key, key, f"{len(other.items)} sounds and pictures done")
            shutil.rmtree(journal.parent)

    def _file(self, item: str, source: str) -> Path:
        """Named by what it holds: arrays of other bytes never have the same name."""
        return self.folder / f"{hashlib.sha256(f'{item} {source}'.encode()).hexdigest()[:40]}.npz"

    def finished(self, item: str, source: str) -> bool:
        """Whether the item is done, with success or not, for the bytes whose digest is `source`."""
        record = self._journal.done.get(item)
        if record is None or not source or record["source"] != source:
            return False
        file = self._file(item, source)
        return "reason" in record or (file.is_file() and file.stat().st_size == record["size"])

    def facts(self, item: str) -> dict[str, Any]:
        """What was recorded of a finished item.

        Raises
        ------
        ClipError
            If it failed.
        """
        record = self._journal.done[item]
        if "reason" in record:
            raise ClipError(record["reason"], record["detail"])
        return record["facts"]

    def arrays(self, item: str) -> dict[str, np.ndarray]:
        """Arrays of an item that succeeded."""
        self.facts(item)
        with np.load(self._file(item, self._journal.done[item]["source"]), allow_pickle=False) as content:
            return dict(content)

    def put(self, item: str, source: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Store arrays, then record the item."""
        file = self._file(item, source)
        with atomic_write(file) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        self._journal.add(item, {"source": source, "size": file.stat().st_size, "facts": dict(facts)})

    def put_failure(self, item: str, source: str, error: ClipError) -> None:
        """Record that an item cannot be made from these bytes; other bytes are tried again."""
        self._journal.add(item, {"source": source, "reason": error.reason, "detail": error.detail})
