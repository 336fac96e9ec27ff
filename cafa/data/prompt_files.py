"""Prompt sets as files: read what others publish, publish ours."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, sha256_file
from cafa.data.manifest import check_clip_id
from cafa.data.reading_lists import read_rows

#: columns of a published prompt set; only the first two must be there
COLUMNS = ("clip_id", "caption", "caption_id", "label", "own_label", "own_caption", "protocol")
#: the table of VGGSound-TVC
CONFLICT_ID, CONFLICT_OWN = "video_id", "label_L0"


def verify_sha256(path: str | Path, sha256: str | None) -> None:
    """Check a file against its SHA-256, where one is given.

    Raises
    ------
    InputError
        If the file is not there or is another.
    """
    if not Path(path).is_file():
        raise InputError(f"no prompt set at {path}")
    if sha256 is not None and (found := sha256_file(path)) != sha256.lower():
        raise InputError(f"{path} has SHA-256 {found}, not {sha256}: it is another version, or damaged")


def read_list(path: str | Path, encoding: str | None = None, separator: str | None = None) -> list[dict[str, Any]]:
    """Rows of a published prompt set: fields of :data:`COLUMNS` (empty where not given) and `line`.

    Raises
    ------
    InputError
        If a row has no clip or caption, an id that cannot be in a file's name, or comes twice.
    """
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[str, ...], int] = {}
    table = read_rows(path, required=COLUMNS[:2], known=COLUMNS[2:], encoding=encoding, separator=separator)
    for line, raw in table:
        problem = raw.get("") or next((f"{name} is empty" for name in ("clip_id", "caption") if not raw.get(name)), "")
        if problem:
            raise InputError(f"{path}, line {line}: {problem}")
        row = {name: raw.get(name, "").strip() for name in COLUMNS}
        row["protocol"] = row["protocol"] or "file"
        for name in ("protocol", "caption_id"):
            if row[name]:
                check_clip_id(row[name])
        key = (row["clip_id"], row["caption_id"] or row["caption"], row["protocol"])
        if key in seen:
            raise InputError(f"{path}, line {line}: the same clip, caption and protocol as in line {seen[key]}")
        seen[key] = line
        rows.append(row | {"line": line})
    if not rows:
        raise InputError(f"{path} holds no prompt")
    return rows


def read_conflicts(path: str | Path, levels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of VGGSound-TVC's table, as :func:`read_list` gives them: protocol ``tvc_<level>``, caption id the level.

    A clip's own caption is its text of level L0, which all systems of that benchmark are given.

    Raises
    ------
    InputError
        If a column or a caption is missing, or a clip comes twice.
    """
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    wanted = [CONFLICT_ID, CONFLICT_OWN, *(f"label_{level}" for level in levels)]
    for line, raw in read_rows(path, delimiter="\t", required=wanted):
        problem = raw.get("") or next((f"{name} is empty" for name in wanted if not raw.get(name)), "")
        clip_id = raw.get(CONFLICT_ID, "").strip()
        if not problem and clip_id in seen:
            problem = f"{clip_id} is already in line {seen[clip_id]}"
        if problem:
            raise InputError(f"{path}, line {line}: {problem}")
        seen[clip_id] = line
        for level in levels:
            text = raw[f"label_{level}"].strip()
            row = {"clip_id": clip_id, "caption": text, "caption_id": level, "label": text, "own_label": ""}
            rows.append(row | {"own_caption": raw[CONFLICT_OWN].strip(), "protocol": f"tvc_{level}", "line": line})
    if not rows:
        raise InputError(f"{path} holds no prompt")
    return rows


def publish(prompts: pd.DataFrame, path: str | Path) -> str:
    """Write a prompt set as csv, the same bytes wherever it is written; return its SHA-256.

    `cafa prompts` reads it back (``file``, ``sha256``) as the same set.
    """
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(prompts[list(COLUMNS)].itertuples(index=False, name=None))
    return sha256_file(path)
