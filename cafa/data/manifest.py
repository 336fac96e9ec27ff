"""Manifests: the validated table of a data set's clips."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from cafa.common.errors import ClipError, InputError
from cafa.common.ledger import ledger_row, write_ledger
from cafa.common.seconds import parse_seconds
from cafa.common.tables import read_table, schema_of, write_table
from cafa.common.words import wrong_length
from cafa.data.reading_lists import read_rows
from cafa.data.uris import is_remote

STAGE = "manifest"
SPLITS = ("train", "validation", "test")

SCHEMA = schema_of(
    [
        ("clip_id", pa.string()),
        ("uri", pa.string()),
        ("start", pa.float64()),
        ("duration", pa.float64()),  # null: the whole file
        ("label", pa.string()),
        ("caption", pa.string()),
        ("split", pa.string()),
        ("licence", pa.string()),
        ("line", pa.int64()),
    ]
)

COLUMNS = tuple(SCHEMA.names)
#: What an absent or empty field is taken for; the others have no default.
DEFAULTS = {"start": "0", "duration": "", "caption": "{label}", "split": "test", "licence": "unknown"}
REQUIRED = ("clip_id", "uri", "label")
CLIP_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def check_clip_id(text: str) -> str:
    """Return `text` if it can be used as a clip's id and in a file's name.

    Raises
    ------
    InputError
        If it is not ``[A-Za-z0-9._-]{1,80}``, or starts with a dot.
    """
    if not isinstance(text, str) or not CLIP_ID.fullmatch(text):
        raise InputError(f"id must be 1 to 80 of A-Z a-z 0-9 . _ - and not start with a dot, got {text!r}")
    return text


def local_path(root: str | Path, uri: str, *, follow_links: bool = False) -> Path:
    """Absolute path of a local URI.

    Parameters
    ----------
    root : str or Path
        Folder that all files of the data set are in.
    uri : str
        Path relative to `root`.
    follow_links : bool
        Trust symbolic links that lead out of `root`.

    Raises
    ------
    ClipError
        ``bad_path`` if it is absolute, has a scheme, contains ``..``, or leaves `root` through a
        symbolic link that is not trusted.
    """
    if SCHEME.match(uri) or "\0" in uri or Path(uri).is_absolute() or ".." in re.split(r"[/\\]", uri):
        raise ClipError("bad_path", f"{uri!r} is not a path relative to the root, without '..'")
    root = Path(root).resolve()
    path = (root / uri).resolve()
    if path == root or not (follow_links or path.is_relative_to(root)):
        raise ClipError(
            "bad_path",
            f"{uri!r} leads out of {root}, to {path}; a data set may trust its links (`follow_links: true`, "
            "--follow-links)",
        )
    return path


def build_manifest(
    source: str | Path,
    root: str | Path,
    output: str | Path,
    refused: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    rules: "RowRules | None" = None,
) -> tuple[int, int]:
    """Validate a table of clips; write the manifest, and a ledger of the rows that were refused.

    Parameters
    ----------
    source : str or Path
        ``.csv``, ``.tsv``, ``.txt`` or ``.parquet`` with columns of :data:`SCHEMA` (``line`` excepted); others
        are ignored.
    root : str or Path
        Folder that local URIs are relative to; files need not be there yet.
    output, refused : str or Path
        Manifest and ledger to write.
    columns : mapping, optional
        Name in the source -> name in the manifest.
    defaults : mapping, optional
        Value of an absent or empty field; ``{name}`` stands for another field of the row. They come
        before :data:`DEFAULTS`.
    encoding, separator : str, optional
        Of the source, where they have to be named (:mod:`cafa.data.reading_lists`).
    rules : RowRules, optional
        What a row may be.

    Returns
    -------
    (int, int)
        Rows accepted and rows refused. The ledger's reasons are ``bad_id``, ``duplicate_id``,
        ``bad_path`` and ``bad_row``, each with the line of the source (1 is the header).

    Raises
    ------
    InputError
        If the source cannot be read, or lacks a column.
    """
    columns, given = dict(columns or {}), dict(defaults or {})
    for name in [*columns.values(), *given]:
        if name not in SCHEMA.names or name == "line":
            raise InputError(f"a manifest has no column {name!r}; it has {', '.join(SCHEMA.names[:-1])}")
    fills = DEFAULTS | given

    required = [*columns, *(name for name in REQUIRED if name not in columns.values() and name not in fills)]
    rows = read_rows(
        source,
        required=required,
        known=[name for name in COLUMNS[:-1] if name not in columns.values()],
        encoding=encoding,
        separator=separator,
        hint="rename with --column THEIRS=OURS or fill with --default OURS=VALUE",
    )

    def candidates() -> Iterator[Candidate]:
        for line, raw in rows:
            kept = [name for name in raw if name in columns or name not in columns.values()]
            text = {columns.get(name, name): raw[name] for name in kept}
            yield Candidate(line, with_defaults(text, fills), f"line {line}")

    return write_manifest(candidates(), root, output, refused, rules)


class RowRules(NamedTuple):
    """What rows a data set takes.

    Attributes
    ----------
    follow_links : bool
        Trust symbolic links that lead out of the root.
    caption_words : int or None
        Most words of a caption that the text encoder takes; None: any number.
    """

    follow_links: bool = False
    caption_words: int | None = None


class Candidate(NamedTuple):
    """A row that may become a clip.

    Attributes
    ----------
    line : int
        In its table.
    fields : mapping of str to str
        Of :data:`SCHEMA`; the key ``""`` says what is wrong with the row.
    place : str
        Where the row stands, for a person.
    problem : ClipError or None
        Why the row is refused, where that is already known.
    """

    line: int
    fields: Mapping[str, str]
    place: str
    problem: ClipError | None = None


def write_manifest(
    candidates: Iterable[Candidate],
    root: str | Path,
    output: str | Path,
    refused: str | Path,
    rules: RowRules | None = None,
) -> tuple[int, int]:
    """Validate rows; write the manifest of the good ones, and a ledger of the others.

    Parameters
    ----------
    candidates : iterable of Candidate
        In the order of the manifest; of two rows with one id the first is kept.
    root : str or Path
        Folder that local URIs are relative to.
    output, refused : str or Path
        Manifest and ledger to write.
    rules : RowRules, optional
        What a row may be.

    Returns
    -------
    (int, int)
        Rows accepted and rows refused.
    """
    root, rules = Path(root), rules or RowRules()
    accepted: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for line, fields, place, problem in candidates:
        try:
            if problem is not None:
                raise problem
            accepted.append(_checked_row(fields, root, rules, seen, line, place))
        except ClipError as error:
            bad.append(ledger_row(fields.get("clip_id", ""), STAGE, error.reason, error.detail, line))
    write_ledger(refused, bad)
    write_table(output, accepted, SCHEMA)
    return len(accepted), len(bad)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read a manifest, in the order of its source; `duration` is NaN where the whole file is meant.

    Raises
    ------
    InputError
        If the file is not a manifest, or is one of another version.
    """
    return read_table(path, SCHEMA, "a manifest").to_pandas()


def with_defaults(text: Mapping[str, str], fills: Mapping[str, str]) -> dict[str, str]:
    """Fill absent and empty fields; a default may name fields that the source or another default gave."""
    row = {name: value for name, value in text.items() if value}
    waiting = {name: fill for name, fill in fills.items() if name not in row}
    for _ in range(len(waiting)):
        for name, fill in list(waiting.items()):
            wanted = re.findall(r"\{(\w+)\}", fill)
            if all(other in row for other in wanted):
                row[name] = re.sub(r"\{(\w+)\}", lambda match: row[match[1]], fill)
                del waiting[name]
    return row


def _checked_row(
    row: Mapping[str, str], root: Path, rules: RowRules, seen: dict[str, str], line: int, place: str
) -> dict[str, Any]:
    if "" in row:
        raise ClipError("bad_row", row[""])
    clip_id = row.get("clip_id", "")
    if not CLIP_ID.fullmatch(clip_id):
        raise ClipError("bad_id", f"{clip_id!r} is not 1 to 80 of A-Z a-z 0-9 . _ -, or starts with a dot")
    if clip_id in seen:
        raise ClipError("duplicate_id", f"{clip_id} is already in {seen[clip_id]}")
    seen[clip_id] = place
    for name in (*REQUIRED, "caption"):
        if not row.get(name):
            raise ClipError("bad_row", f"{name} is empty")
    if not is_remote(row["uri"]):
        local_path(root, row["uri"], follow_links=rules.follow_links)
    if problem := wrong_length(row["caption"], rules.caption_words):
        raise ClipError("bad_row", problem)
    if row["split"] not in SPLITS:
        raise ClipError("bad_row", f"split must be one of {', '.join(SPLITS)}, got {row['split']!r}")
    start = _seconds(row, "start")
    duration = _seconds(row, "duration") if row.get("duration") else None
    if start < 0 or (duration is not None and duration <= 0):
        raise ClipError("bad_row", f"start {start} and duration {duration}: seconds must not be negative or zero")
    numbers = {"start": start, "duration": duration, "line": line}
    return {name: numbers[name] if name in numbers else row[name] for name in COLUMNS}


def _seconds(row: Mapping[str, str], name: str) -> float:
    try:
        return parse_seconds(row[name])
    except InputError as error:
        raise ClipError("bad_row", f"{name} {error}") from error
