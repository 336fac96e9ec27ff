"""Ledgers: what became of every clip that a stage was asked for."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.common.ledger_classes import GONE, NOT_FOR_US, RETRY, UNKNOWN, UNUSABLE
from cafa.common.tables import read_table, schema_of, write_table

if TYPE_CHECKING:
    import pandas as pd

OK = "ok"
#: what :func:`summary` says of a stage and a status
COUNTED = ("stage", "status", "class", "clips", "retriable", "meaning")


class Reason(NamedTuple):
    """Why a clip is not `ok`: can trying again help, what it means, and its class."""

    retriable: bool
    meaning: str
    kind: str


def _reasons(kind: str, **meanings: str) -> dict[str, Reason]:
    return {name: Reason(kind in (RETRY, UNKNOWN), meaning, kind) for name, meaning in meanings.items()}


#: reason -> :class:`Reason`
REASONS: dict[str, Reason] = {
    **_reasons(
        UNUSABLE,
        bad_id="clip_id is not [A-Za-z0-9._-]{1,80}, or starts with a dot; or no id of a video",
        duplicate_id="clip_id was already used by an earlier row",
        bad_path="path leaves the folder that was given",
        bad_row="a required field is missing or cannot be parsed",
        no_label="no list gives the clip's label",
        not_selected="the data set's settings leave the clip out",
        low_correspondence="the sound fits the picture less than is asked for",
        not_annotated="the list of annotations does not name the clip",
        label_not_annotated="the clip's own label is none of those that the list of annotations gives it",
        inaudible="annotators see the clip's own label and do not hear it",
        invisible="annotators hear the clip's own label and do not see it",
        background_music="annotators hear background music",
        static_image="annotators see a picture that stands still",
        voice_over="annotators hear a voice-over",
        empty_file="the file has zero bytes",
        not_media="the file is not a video or sound container",
        corrupt="the container opens but decoding fails, or more is damaged than is allowed",
        truncated="the container promises more than it holds",
        not_finite="a sound, or what an encoder makes of a clip, holds values that are not finite",
        out_of_scale="a sound of floating-point values lies far beyond full scale",
        no_video="no video stream",
        no_audio="no sound stream",
        short="less video or sound than was asked for",
        too_large="more bytes than the settings allow",
        ambiguous="several files could be the clip's",
        unmatched_name="the pattern of names does not read the file's",
        no_source="none of the sources serves such a clip",
    ),
    **_reasons(
        RETRY,
        missing_file="the file is not there",
        unreadable="the file is there but cannot be read (permissions, disk)",
        not_in_manifest="a list asks for a clip that the manifest does not have",
        damaged_archive="no archive holds the clip, but one is cut short or damaged: fetch that one again",
        missing_feature="an earlier stage has no array for the clip",
        missing_sample="no generated file for the clip and caption",
        peer_failed="another system's code raised an error",
        peer_crashed="another system's process ended on the clip",
        peer_hung="another system's process gave no answer for the clip in time",
        network="no connection, a time-out, a download cut short, or an error of the server",
        checksum="the bytes that came are not those that were promised",
        rate_limited="the server says that it was asked too often",
        bot_check="the server wants proof that no program is asking: slow down, or give cookies",
        no_formats="the page was read, but no media could be had from it (often cured by a newer yt-dlp)",
    ),
    **_reasons(
        GONE,
        unavailable="the site says that the video is unavailable",
        private="made private by its uploader",
        removed="removed by its uploader, or for violating the site's rules",
        account_terminated="its uploader's account is closed",
        copyright="blocked or removed by a claim of copyright",
        not_found="the mirror has no such file",
        gone_unverified="asked on several days, always with an answer that no rule knows",
    ),
    **_reasons(
        NOT_FOR_US,
        geo_blocked="not offered in this country",
        members_only="for paying members of the channel",
        age_restricted="only for accounts of adults: give cookies of one",
        forbidden="the server refuses this address or account",
    ),
    **_reasons(UNKNOWN, unknown="an answer that no rule knows; its text is kept"),
}

SCHEMA = schema_of(
    [
        ("clip_id", pa.string()),
        ("stage", pa.string()),
        ("status", pa.string()),
        ("retriable", pa.bool_()),
        ("detail", pa.string()),
        ("line", pa.int64()),
        ("time", pa.timestamp("s", tz="UTC")),
    ]
)


def ledger_row(clip_id: str, stage: str, status: str = OK, detail: str = "", line: int | None = None) -> dict[str, Any]:
    """One row of a ledger.

    Parameters
    ----------
    clip_id : str
        As it was asked for, even if it is not a valid id.
    stage : str
        Name of the stage, e.g. ``"ingest"``.
    status : str
        ``"ok"`` or a key of :data:`REASONS`.
    detail : str
        What was found, for a person.
    line : int, optional
        Line of the file the clip came from (1 = header).
    """
    if status != OK and status not in REASONS:
        raise InputError(f"ledger status must be 'ok' or one of {sorted(REASONS)}, got {status!r}")
    retriable = REASONS[status].retriable if status != OK else False
    return {
        "clip_id": clip_id,
        "stage": stage,
        "status": status,
        "retriable": retriable,
        "detail": detail,
        "line": line,
        "time": datetime.now(UTC).replace(microsecond=0),
    }


def write_ledger(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write ledger rows as parquet."""
    write_table(path, rows, SCHEMA)


def copy_for_message(path: str | Path) -> Path:
    """Copy a ledger to ``NAME.failed.parquet`` beside it and return that: for the message of a command that fails.

    Snakemake removes the outputs of a job that failed; the copy is none of them, so it is still there to be read.
    """
    copy = Path(path).with_suffix(".failed.parquet")
    with atomic_write(copy) as temporary:
        shutil.copyfile(path, temporary)
    return copy


def why(ledger: str | Path) -> str:
    """The commonest reason in a ledger with one example, for a message; empty if all is well."""
    rows = [row for row in read_ledger_rows([ledger]) if row["status"] != OK]
    if not rows:
        return ""
    [(status, count)] = Counter(row["status"] for row in rows).most_common(1)
    first = next(row for row in rows if row["status"] == status)
    where = "" if first["line"] is None else f"line {first['line']}, "
    return f"{count} {status}, e.g. {where}{first['clip_id']!r}: {first['detail']}"


def read_ledgers(paths: Iterable[str | Path]) -> "pd.DataFrame":
    """Read ledgers into one table, in the order given.

    Raises
    ------
    InputError
        If a file is missing, is not a ledger, or is one of another version.
    """
    return _read(paths).to_pandas()


def read_ledger_rows(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """As :func:`read_ledgers`, by row and without times, for which pandas would be imported."""
    return _read(paths).drop_columns("time").to_pylist()


def _read(paths: Iterable[str | Path]) -> pa.Table:
    tables = [read_table(path, SCHEMA, "a ledger") for path in paths]
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def class_of(status: str) -> str:
    """Class of a status: ``"ok"`` or one of :data:`CLASSES`."""
    return OK if status == OK else REASONS[status].kind


def summary(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Count the rows of ledgers.

    Parameters
    ----------
    rows : iterable of mappings
        From :func:`read_ledger_rows`.

    Returns
    -------
    list of dict
        One for every stage and status, with the keys :data:`COUNTED`; in the order of the stages' names, and within a
        stage ok first, then by falling count.
    """
    counts = Counter((row["stage"], row["status"]) for row in rows)
    found = [(stage, status, clips) for (stage, status), clips in counts.items()]
    ordered = sorted(found, key=lambda row: (row[0], row[1] != OK, -row[2], row[1]))
    return [
        dict(zip(COUNTED, (stage, status, class_of(status), clips, *_about(status)), strict=True))
        for stage, status, clips in ordered
    ]


def _about(status: str) -> tuple[bool, str]:
    """Whether it may pass later, and what it means."""
    return (False, "") if status == OK else (REASONS[status].retriable, REASONS[status].meaning)
