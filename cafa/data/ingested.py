"""Clips that another data set of the run has normalised already, from the same raw files in the same way."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, sha256_file
from cafa.common.journal import read_journal
from cafa.common.ledger import OK
from cafa.common.resume import same_key

#: of a folder of normalised clips, beside them
JOURNAL = ".journal"


class Ingested:
    """Outcomes of ingest in other folders.

    Parameters
    ----------
    folders : sequence of path
        Folders of normalised clips of whole data sets: a folder for each shard, whatever their number.
    key : mapping
        Settings and version; what was made under another key is not used.
    clip_ids : iterable of str
        Clips of interest.

    Raises
    ------
    InputError
        If a folder is not there.
    """

    def __init__(self, folders: Sequence[str | Path], key: Mapping[str, Any], clip_ids: Iterable[str]) -> None:
        wanted, now = set(clip_ids), json.loads(json.dumps(key))
        self._done: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
        for folder in map(Path, folders):
            if not folder.is_dir():
                raise InputError(f"no folder of normalised clips to reuse at {folder}")
            for path in sorted(folder.glob(f"*/{JOURNAL}")):
                journal = read_journal(path)
                for clip_id in wanted & journal.items.keys() if same_key(journal.key, now) else ():
                    self._done.setdefault(clip_id, []).append((path.parent, journal.items[clip_id]))

    def take(self, clip_id: str, given: Sequence[Any], folder: Path) -> dict[str, Any] | None:
        """Record of a clip that was made from the same raw file; if it is ``ok``, its files are put into `folder`.

        Parameters
        ----------
        clip_id : str
        given : sequence
            What the clip's result depends on: raw file, its size, time and SHA-256 where known, start, duration.
        folder : Path
            Files appear there as links to the same bytes, or as copies where the file system has no links.
        """
        for place, record in self._done.get(clip_id, []):
            if record["given"] == list(given) and stands(record, files_of(clip_id, place)):
                if record["status"] == OK:
                    for name, path in files_of(clip_id, place).items():
                        _put(path, files_of(clip_id, folder)[name])
                return record
        return None


def files_of(clip_id: str, folder: Path) -> dict[str, Path]:
    """Files of a normalised clip, by the fact that holds their digest."""
    return {"video_sha256": folder / f"{clip_id}.mp4", "sound_sha256": folder / f"{clip_id}.flac"}


def stands(record: Mapping[str, Any], files: Mapping[str, Path]) -> bool:
    """Whether an outcome still holds: the files of an ``ok`` clip are there, to the byte."""
    if record["status"] != OK:
        return True
    facts = json.loads(record["detail"])
    return all(path.is_file() and sha256_file(path) == facts[name] for name, path in files.items())


def _put(source: Path, target: Path) -> None:
    with atomic_write(target) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, temporary)
