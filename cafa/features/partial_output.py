"""What an unfinished job has encoded so far: on disk, and good after a kill at any moment.

Rows are appended to one file per kind, flushed to disk, and then noted in a journal with their place. A row without a
note is cut off when the job starts again. The final files are written from the rows in the order of clip ids, so they
are the same bytes however often the job was killed and in whatever order clips were done.
"""

import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.common.journal import Journal, read_journal
from cafa.common.ledger import OK
from cafa.common.resume import answer
from cafa.features.store import FeatureFormat, FeatureWriter


@dataclass(frozen=True)
class EncodedClip:
    """What became of a clip.

    Parameters
    ----------
    clip_id : str
    sources : dict
        Kind of feature -> SHA-256 of the file that it is made from.
    status, detail : str
        As in a ledger.
    rows : dict
        Kind -> bytes of the array (:meth:`FeatureFormat.pack`); empty unless the status is ``ok``.
    """

    clip_id: str
    sources: dict[str, str | None]
    status: str = OK
    detail: str = ""
    rows: dict[str, bytes] = field(default_factory=dict)


class ResumableWriter:
    """Outcomes of an unfinished job.

    Parameters
    ----------
    output : Path
        The job's (first) output; outcomes are kept in a hidden folder beside it.
    formats : mapping of str to FeatureFormat
        By kind; they are the key of the journal (another encoder, other settings, another version).
    """

    def __init__(self, output: Path, formats: Mapping[str, FeatureFormat]) -> None:
        self.folder = output.with_name(f".{output.stem}.unfinished")
        self._formats = dict(formats)
        key = {kind: form.about for kind, form in self._formats.items()}
        self._check_rows(self.folder / "journal", key)
        self._journal = Journal(self.folder / "journal", key)
        self._files = {kind: open(self.folder / f"{kind}.rows", "ab+") for kind in self._formats}  # noqa: SIM115
        held = {kind: os.fstat(file.fileno()).st_size for kind, file in self._files.items()}
        ends = dict.fromkeys(self._formats, 0)
        for clip_id, record in list(self._journal.done.items()):
            places = record["places"]
            if any(offset + length > held[kind] for kind, (offset, length, _) in places.items()):
                del self._journal.done[clip_id]  # a disk that lost what it had promised
                continue
            for kind, (offset, length, _) in places.items():
                ends[kind] = max(ends[kind], offset + length)
        for kind, file in self._files.items():
            file.truncate(ends[kind])

    @staticmethod
    def _check_rows(journal: Path, key: Mapping[str, Any]) -> None:
        """Refuse to go on with rows of another form: they are no rows of this file."""
        before = read_journal(journal)
        if answer() == "resume" and before.key is not None and before.items:
            for kind, form in key.items():
                for name in ("shape", "dtype", "trimmed"):
                    if (old := before.key.get(kind, {}).get(name)) != form[name]:
                        raise InputError(
                            f"{journal.parent} holds {kind} of {name} {old}, wanted is {form[name]}: "
                            "this cannot be gone on with, give --restart"
                        )

    def status(self, clip_id: str, sources: Mapping[str, str | None]) -> tuple[str, str] | None:
        """Status and detail of a clip that is done; None if it is not, or was done from other files."""
        record = self._journal.done.get(clip_id)
        if record is None or record["sources"] != dict(sources):
            return None
        return record["status"], record["detail"]

    def add(self, outcomes: Sequence[EncodedClip]) -> None:
        """Keep outcomes; on disk when this returns."""
        records: dict[str, Any] = {}
        for outcome in outcomes:
            places = {}
            for kind, data in outcome.rows.items():
                file = self._files[kind]
                places[kind] = (file.seek(0, os.SEEK_END), len(data), zlib.crc32(data))
                file.write(data)
            records[outcome.clip_id] = {
                "sources": outcome.sources,
                "status": outcome.status,
                "detail": outcome.detail,
                "places": places,
            }
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        self._journal.add_all(records)

    def write(self, outputs: Mapping[str, Path], clip_ids: Sequence[str]) -> None:
        """Write the feature files of the given clips, all of status ``ok``, in that order.

        Raises
        ------
        InputError
            If a row is not what was noted of it.
        """
        with ExitStack() as stack:
            writers = {}
            for kind, path in outputs.items():
                temporary = stack.enter_context(atomic_write(path))
                writers[kind] = stack.enter_context(FeatureWriter(temporary, self._formats[kind]))
            for clip_id in clip_ids:
                record = self._journal.done[clip_id]
                for kind, writer in writers.items():
                    offset, length, checksum = record["places"][kind]
                    data = os.pread(self._files[kind].fileno(), length, offset)
                    if zlib.crc32(data) != checksum:
                        raise InputError(f"{self.folder} is damaged at clip {clip_id}: remove it and run again")
                    writer.add(clip_id, data, record["sources"][kind])

    def close(self, *, remove: bool = False) -> None:
        """Close the files; `remove` deletes them once the job's outputs stand."""
        self._journal.close()
        for file in self._files.values():
            file.close()
        if remove:
            shutil.rmtree(self.folder)

    def __enter__(self) -> "ResumableWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
