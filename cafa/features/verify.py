"""Checking feature files as a whole: what is in them, and that no clip is lost."""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.common.ledger import OK, read_ledgers
from cafa.common.shards import shard_of
from cafa.features.store import FeatureFormat, open_features, row_data

#: What normalised clips are made into
SUFFIXES = (".mp4", ".flac")


@dataclass
class Report:
    """What was found: a line per file, and everything that is wrong."""

    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def verify_features(
    files: Sequence[str | Path],
    *,
    ledgers: Sequence[str | Path] = (),
    asked: Iterable[str] | None = None,
    shard: tuple[int, int] = (0, 1),
    clips: Path | None = None,
) -> Report:
    """Check feature files.

    Of every file: that it is whole and of this version, that all are of one encoder, that every array has its size,
    its checksum and finite values, and that no clip is there twice.

    Parameters
    ----------
    files : sequence of path
        Of one kind.
    ledgers : sequence of path
        Of the stage that made them: each clip is there once, and it is in a file exactly if it is ``ok``.
    asked : iterable of str, optional
        Clips of the whole manifest: those of `shard` are in the ledgers, or without ledgers in the files.
    shard : (int, int)
        Number and count.
    clips : Path, optional
        Folder whose normalised clips (at any depth) the arrays were made from: their SHA-256 are compared.
    """
    report = Report()
    found: Counter[str] = Counter()
    first: FeatureFormat | None = None
    media = None if clips is None else _media(clips)
    for path in files:
        try:
            form, batches = open_features(path)
        except InputError as error:
            report.faults.append(str(error))
            continue
        first = first or form
        if (form.kind, form.shape, form.dtype, form.encoder) != (first.kind, first.shape, first.dtype, first.encoder):
            report.faults.append(f"{path} was made by another encoder than {files[0]}")
        rows = 0
        for batch in batches:
            for row in range(batch.num_rows):
                clip_id = batch.column(0)[row].as_py()
                found[clip_id] += 1
                rows += 1
                wrong = _row_faults(form, row_data(batch, row), batch.column(2)[row].as_py())
                if media is not None:
                    wrong += _source_faults(media.get(clip_id, []), batch.column(1)[row].as_py())
                report.faults += [f"{path}: clip {clip_id}: {fault}" for fault in wrong]
        report.lines.append(
            f"{path}: {form.kind} {'x'.join(map(str, form.shape))} {form.dtype}, {rows} clips, "
            f"encoder {form.about['encoder_digest'][:12]}"
        )
    report.faults += [f"clip {clip_id} is in the files {count} times" for clip_id, count in found.items() if count > 1]
    mine = None if asked is None else [clip for clip in asked if shard_of(clip, shard[1]) == shard[0]]
    report.faults += _accounts(set(found), ledgers, mine)
    return report


def _row_faults(form: FeatureFormat, data: Any, checksum: int) -> list[str]:
    raw = bytes(data)
    if zlib.crc32(raw) != checksum:
        return ["its array is not the one that was written"]
    step = form.row_bytes // form.shape[0]
    if len(raw) > form.row_bytes or len(raw) % step or (not form.trimmed and len(raw) != form.row_bytes):
        return [f"its array has {len(raw)} bytes, at most {form.row_bytes} in steps of {step} expected"]
    array = np.frombuffer(raw, form.dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return ["its array holds values that are not finite"]
    return []


def _media(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise InputError(f"no folder of clips at {folder}")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    return found


def _source_faults(paths: Sequence[Path], digest: str | None) -> list[str]:
    if digest is None:
        return ["the file does not say what it was made from"]
    if digest in map(sha256_file, paths):
        return []
    return ["it was made from another file than the clip's" if paths else "the normalised clip is not there"]


def _accounts(found: set[str], ledgers: Sequence[str | Path], mine: Sequence[str] | None) -> list[str]:
    """Clips that are lost, or accounted for twice."""
    if not ledgers:
        lost = sorted(set(mine or ()) - found)
        return [f"clip {clip_id} of the manifest is in no file" for clip_id in lost]
    rows = read_ledgers(ledgers)
    faults = [f"clip {c} has {n} rows in the ledgers" for c, n in Counter(rows["clip_id"]).items() if n > 1]
    fine = set(rows.loc[rows["status"] == OK, "clip_id"])
    faults += [f"clip {clip_id} is ok in the ledger and in no file" for clip_id in sorted(fine - found)]
    faults += [f"clip {clip_id} is in a file and not ok in the ledger" for clip_id in sorted(found - fine)]
    if mine is not None:
        asked, told = set(mine), set(rows["clip_id"])
        faults += [f"clip {clip_id} of the manifest has no row in the ledgers" for clip_id in sorted(asked - told)]
        faults += [f"clip {clip_id} of the ledgers is not in the manifest's shard" for clip_id in sorted(told - asked)]
    return faults
