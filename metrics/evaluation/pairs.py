"""Which files belong together: a list of prompts, the clips' own sound and picture, and every system's sound.

A file is named by a column of the list, or found as ``<clip_id>.<suffix>``. Names are compared whole, whatever their
length; a name that could mean two files is an error, never a choice.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cafa.common.errors import ClipError, InputError
from cafa.data.manifest import check_clip_id, local_path
from cafa.data.reading_lists import read_rows
from metrics.embedding.located import Located
from metrics.evaluation.near import Near, Neighbours, what_is_there

PROTOCOL = "given"
REQUIRED = ("clip_id", "caption")
#: Columns that name files, relative to the folder of the clips (the first two) or of the system.
REFERENCE, VIDEO, SAMPLE = "reference", "video", "sample"
KNOWN = ("caption_id", "label", "own_label", "own_caption", REFERENCE, VIDEO, SAMPLE)
SOUNDS = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aiff"})
PICTURES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".ts", ".flv"})

RowKey = tuple[str, str]


@dataclass(frozen=True)
class Pairs:
    """Everything that is to be compared.

    Attributes
    ----------
    prompts
        clip_id, caption_id, caption, label, own_label, own_caption, protocol; sorted by clip_id, caption_id.
    sounds, pictures
        The clips' own, by clip_id.
    samples
        system -> (clip_id, caption_id) -> the system's sound.
    """

    prompts: pd.DataFrame
    sounds: dict[str, Located]
    pictures: dict[str, Located]
    samples: dict[str, dict[RowKey, Located]]


class _Folder:
    """Files directly in a folder, by name without suffix."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError(f"no folder {path}")
        self.path = path
        self._by_stem: dict[str, list[Path]] = {}
        for file in sorted(path.iterdir()):
            if file.suffix.lower() in SOUNDS | PICTURES and not file.name.startswith("."):
                self._by_stem.setdefault(file.stem, []).append(file)
        self._neighbours: Neighbours | None = None
        #: What lies near the ids that were not found.
        self.near: dict[str, Near | None] = {}

    def near_to(self, clip_id: str) -> Near | None:
        """What an id that was not found may have meant."""
        if self._neighbours is None:
            self._neighbours = Neighbours(self.path, SOUNDS | PICTURES)
        return self.near.setdefault(clip_id, self._neighbours.of(clip_id))

    def refuse_if_all_are_missing(self, located: Mapping[str, Located]) -> None:
        """Say at once what is there if of no clip a file is found by its id."""
        if located and not any(one.found for one in located.values()) and set(located) <= set(self.near):
            raise InputError(what_is_there(self.path, located, self.near, sum(map(len, self._by_stem.values()))))

    def named(self, name: str) -> Located:
        """The file that a column names."""
        try:
            path = local_path(self.path, name)
        except ClipError as error:
            raise InputError(f"{name!r} is not a path inside {self.path}: {error.detail}") from error
        return Located(path, f"no file {name!r} in {self.path}")

    def of_clip(self, clip_id: str, *wanted: frozenset[str], column: str) -> Located:
        """``<clip_id>.<suffix>``; suffixes of the first set of `wanted` that has a file win."""
        files = self._by_stem.get(clip_id, [])
        for suffixes in wanted:
            fitting = [file for file in files if file.suffix.lower() in suffixes]
            if len(fitting) > 1:
                names = " and ".join(file.name for file in fitting)
                raise InputError(f"{self.path} holds {names}: name the one that is meant in a column {column!r}")
            if fitting:
                return Located(fitting[0], "")
        kinds = " ".join(sorted(suffix for suffixes in wanted for suffix in suffixes))
        near = self.near_to(clip_id)
        hint = f"; there is {near.file}: {near.difference}" if near is not None else ""
        return Located(None, f"no file {clip_id}.* in {self.path} (of {kinds}){hint}")


def _rows(table: Path, encoding: str | None, separator: str | None) -> list[dict[str, str]]:
    rows = []
    for line, row in read_rows(table, required=REQUIRED, known=KNOWN, encoding=encoding, separator=separator):
        problem = row.get("") or next((f"{name} is empty" for name in REQUIRED if not row.get(name)), "")
        if problem:
            raise InputError(f"{table}, line {line}: {problem}; a list of prompts has at least {', '.join(REQUIRED)}")
        try:
            check_clip_id(row["clip_id"])
            row["caption_id"] = row.get("caption_id") or hashlib.sha256(row["caption"].encode()).hexdigest()[:12]
            check_clip_id(row["caption_id"])
        except InputError as error:
            raise InputError(
                f"{table}, line {line}: {error}. Give the clip an id of its own, and its files in columns "
                f"{REFERENCE!r}, {VIDEO!r} and {SAMPLE!r}"
            ) from error
        rows.append(row | {"line": str(line)})
    if not rows:
        raise InputError(f"{table} holds no prompt")
    _check_rows(table, rows)
    for row in rows:
        row["label"] = row.get("label") or row["caption"]
        row["own_caption"] = row.get("own_caption") or row["caption"]
        own = row["label"] if row["own_caption"] == row["caption"] else row["own_caption"]
        row["own_label"] = row.get("own_label") or own
    return sorted(rows, key=lambda row: (row["clip_id"], row["caption_id"]))


def _check_rows(table: Path, rows: Sequence[Mapping[str, str]]) -> None:
    of_clip: dict[str, Mapping[str, str]] = {}
    seen: dict[RowKey, str] = {}
    for row in rows:
        key = (row["clip_id"], row["caption_id"])
        if key in seen:
            raise InputError(
                f"{table}, line {row['line']}: clip {key[0]} and caption {row['caption']!r} are listed twice, first "
                f"in line {seen[key]}: remove one, or give each a caption_id and a sample"
            )
        seen[key] = row["line"]
        first = of_clip.setdefault(row["clip_id"], row)
        for name in ("own_caption", "own_label", REFERENCE, VIDEO):
            if row.get(name, "") != first.get(name, ""):
                raise InputError(
                    f"{table}, line {row['line']}: clip {row['clip_id']} has two values of {name}: {first.get(name)!r} "
                    f"and {row.get(name)!r}"
                )


def read_pairs(
    table: Path,
    reference: Path,
    samples: Mapping[str, Path],
    *,
    encoding: str | None = None,
    separator: str | None = None,
) -> Pairs:
    """Read a list of prompts and find its files.

    Parameters
    ----------
    table : path
        csv, tsv or parquet: ``clip_id``, ``caption`` (what the sound was made for), and as needed ``own_caption`` (of
        the clip itself, for Acc), ``label``, ``own_label``, ``caption_id``, and ``reference``, ``video``, ``sample``
        (files, relative to their folders).
    reference : path
        Folder of the clips: one file of sound and picture each, or a sound file beside a silent picture.
    samples : mapping of str to path
        system -> folder of its sounds.
    encoding, separator : str, optional
        Of the list, where they have to be named (:mod:`cafa.data.reading_lists`).

    Returns
    -------
    Pairs
        Files that are missing are in it: they are counted, not dropped.

    Raises
    ------
    InputError
        If the list is not usable, a path leaves its folder, a name could mean several files, or a folder has a file
        of no clip at all.
    """
    rows = _rows(table, encoding, separator)
    clips, folders = _Folder(reference), {system: _Folder(path) for system, path in samples.items()}
    captions = pd.Series([row["clip_id"] for row in rows]).value_counts()
    sounds: dict[str, Located] = {}
    pictures: dict[str, Located] = {}
    found: dict[str, dict[RowKey, Located]] = {system: {} for system in samples}
    for row in rows:
        clip_id, own = row["clip_id"], row.get(REFERENCE)
        if clip_id not in sounds:
            sounds[clip_id] = clips.named(own) if own else clips.of_clip(clip_id, SOUNDS, PICTURES, column=REFERENCE)
            video = row.get(VIDEO) or (own if own and Path(own).suffix.lower() in PICTURES else "")
            pictures[clip_id] = clips.named(video) if video else clips.of_clip(clip_id, PICTURES, column=VIDEO)
        for system, folder in folders.items():
            if not row.get(SAMPLE) and captions[clip_id] > 1:
                raise InputError(
                    f"{table}, line {row['line']}: clip {clip_id} has {captions[clip_id]} captions, and {clip_id}.* "
                    f"can be the sound of one only: name every row's file in a column {SAMPLE!r}"
                )
            file = row.get(SAMPLE)
            located = folder.named(file) if file else folder.of_clip(clip_id, SOUNDS | PICTURES, column=SAMPLE)
            found[system][clip_id, row["caption_id"]] = located
    clips.refuse_if_all_are_missing(sounds)
    for system, folder in folders.items():
        folder.refuse_if_all_are_missing({clip_id: file for (clip_id, _), file in found[system].items()})
    columns = ["clip_id", "caption_id", "caption", "label", "own_label", "own_caption"]
    prompts = pd.DataFrame([[row[name] for name in columns] for row in rows], columns=columns)
    return Pairs(prompts.assign(protocol=PROTOCOL), sounds, pictures, found)
