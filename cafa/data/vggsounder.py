"""VGGSounder (Zverev et al. 2025): which labels of VGGSound's test clips are heard and seen, and a choice of the clips.

The list is ``vggsounder/data/vggsounder+background-music.csv`` of github.com/Bizilizi/VGGSounder, or ``vggsounder.csv``
beside it, which has no clip with background music. It has a row for every label of a clip: the clip, the label, its
modality (``A``: heard, ``V``: seen, ``AV``: both), and three flags of the clip.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.common.ledger import OK, copy_for_message, ledger_row, why, write_ledger
from cafa.common.tables import row_tuples, schema_of, write_table
from cafa.data.manifest import read_manifest
from cafa.data.published_lists import PublishedList, obtain, read_list

STAGE = "vggsounder"
LICENCE = "Apache-2.0"
HEARD, SEEN, BOTH = "A", "V", "AV"
#: flags of a clip, as the list's columns are called
FLAGS = ("background_music", "static_image", "voice_over")
TRUTH = {"True": True, "False": False}

#: what clips can be left out for: their own label is not heard or not seen, or they have a flag
DROP = ("inaudible", "invisible", *(flag.replace("_", "-") for flag in FLAGS))
#: what they are left out for by default
DROPPED = ("inaudible", "invisible")

SCHEMA = schema_of(
    [
        ("clip_id", pa.string()),
        ("own_label", pa.string()),
        ("own_modality", pa.string()),
        ("heard_and_seen", pa.list_(pa.string())),
        ("heard", pa.list_(pa.string())),
        ("seen", pa.list_(pa.string())),
        *((flag, pa.bool_()) for flag in FLAGS),
        ("taken", pa.bool_()),
    ]
)


@dataclass
class Annotation:
    """What the list says of a clip.

    Attributes
    ----------
    labels : dict of str to str
        Label -> ``A``, ``V`` or ``AV``, in the list's order.
    flags : dict of str to bool
        Of :data:`FLAGS`.
    """

    labels: dict[str, str] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)

    def of_modality(self, modality: str) -> list[str]:
        """Labels of one modality."""
        return [label for label, found in self.labels.items() if found == modality]


def read_annotations(path: Path, sha256: str | None = None) -> dict[str, Annotation]:
    """Labels and flags of every clip of VGGSounder's list.

    Parameters
    ----------
    path : Path
        The list.
    sha256 : str, optional
        Of the list; by default it is not checked.

    Returns
    -------
    dict of str to Annotation
        By clip id, in the list's order.

    Raises
    ------
    InputError
        If the list is not there, is another, or has a row that is not as published: the whole list is refused, since
        what is left of a damaged one would choose other clips.
    """
    published = PublishedList(path=path, sha256=sha256, licence=LICENCE, format="vggsounder")
    found: dict[str, Annotation] = {}
    for entry in read_list(published, obtain(published, path.parent)):
        problem = entry.problem.detail if entry.problem else _problem(entry.row)
        annotation = found.setdefault(entry.clip_id, Annotation())
        flags = {flag: TRUTH.get(entry.row.get(flag, ""), False) for flag in FLAGS}
        if not problem and entry.label in annotation.labels:
            problem = f"{entry.clip_id} has the label {entry.label!r} already"
        if not problem and annotation.flags and annotation.flags != flags:
            problem = f"the flags of {entry.clip_id} are {_set(flags)}, and in a row before {_set(annotation.flags)}"
        if problem:
            raise InputError(f"{path}, line {entry.line}: {problem}; take the list as it is published")
        annotation.labels[entry.label] = entry.row["modality"]
        annotation.flags = flags
    return found


def _problem(row: dict[str, str]) -> str:
    """What is wrong with the fields of a row; empty if nothing is."""
    if not row["label"]:
        return "label is empty"
    if row["modality"] not in (HEARD, SEEN, BOTH):
        return f"modality must be A, V or AV, got {row['modality']!r}"
    return next((f"{flag} must be True or False, got {row[flag]!r}" for flag in FLAGS if row[flag] not in TRUTH), "")


def _set(flags: dict[str, bool]) -> str:
    return ", ".join(flag for flag, value in flags.items() if value) or "none"


def findings(own_label: str, annotation: Annotation | None, drop: Sequence[str]) -> dict[str, str]:
    """Why a clip is left out: reason of the ledger -> what was found. The first is the one that counts.

    Parameters
    ----------
    own_label : str
        Label that VGGSound gives the clip.
    annotation : Annotation or None
        What the list says of it; None if it does not name the clip.
    drop : sequence of str
        Of :data:`DROP`.
    """
    if annotation is None:
        return {"not_annotated": "VGGSounder does not name the clip"}
    found = {}
    modality = annotation.labels.get(own_label)
    if modality is None and {"inaudible", "invisible"} & set(drop):
        others = ", ".join(f"{label} ({where})" for label, where in annotation.labels.items())
        found["label_not_annotated"] = f"{own_label!r} is none of its labels, which are {others}"
    if modality == SEEN and "inaudible" in drop:
        found["inaudible"] = f"{own_label!r} is seen only"
    if modality == HEARD and "invisible" in drop:
        found["invisible"] = f"{own_label!r} is heard only"
    asked = [flag for flag in FLAGS if flag.replace("_", "-") in drop]
    return found | {flag: f"{flag} is True" for flag in asked if annotation.flags[flag]}


def choose_by_vggsounder(
    manifest: str | Path,
    annotations: Path,
    *,
    sha256: str | None = None,
    drop: Sequence[str] = DROPPED,
    keep_unlisted: bool = False,
    labels: str | Path,
    clips: str | Path,
    ledger: str | Path,
) -> str:
    """Write VGGSounder's labels of a manifest's test clips, the clips that are taken, and why others are not.

    Parameters
    ----------
    manifest : str or Path
        Of VGGSound's test split; `label` of a clip is its own label.
    annotations : Path
        VGGSounder's list.
    sha256 : str, optional
        Of the list; by default it is not checked.
    drop : sequence of str
        Of :data:`DROP`.
    keep_unlisted : bool
        Take clips that the list does not name.
    labels : str or Path
        Parquet with the columns of :data:`SCHEMA`: a row for every test clip. Lists and flags are null where the list
        does not name the clip, `own_modality` is null too where the clip's own label is none of the list's.
    clips : str or Path
        Csv with a column clip_id: the clips that are taken, as `clips.file` of a table reads it.
    ledger : str or Path
        A row for every test clip: ok, or the first of the reasons, its detail naming all.

    Returns
    -------
    str
        How many clips were taken, and why others were not.

    Raises
    ------
    InputError
        If the list is refused (:func:`read_annotations`), the manifest has no test clip, or no clip is taken.
    """
    known = read_annotations(annotations, sha256)
    table = read_manifest(manifest)
    asked = table[table["split"] == "test"]
    if asked.empty:
        raise InputError(f"{manifest} has no test clip, and VGGSounder annotates VGGSound's test split alone")
    outcomes = [_outcome(row, known.get(row.clip_id), drop, keep_unlisted) for row in row_tuples(asked)]
    write_ledger(ledger, outcomes)
    taken = [row["clip_id"] for row in outcomes if row["status"] == OK]
    if not taken:
        raise InputError(
            f"no clip of {len(outcomes)} is taken: {why(ledger)} (cafa ledger {copy_for_message(ledger)}). The list "
            "must be of this data set's clips, and the manifest's labels VGGSound's"
        )
    write_table(labels, _label_rows(asked, known, set(taken)), SCHEMA)
    with atomic_write(clips) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["clip_id"], *([clip_id] for clip_id in taken)])
    counts = Counter(row["status"] for row in outcomes if row["status"] != OK)
    left_out = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f"{len(taken)} of {len(outcomes)} clips taken" + (f"; left out: {left_out}" if left_out else "")


def _outcome(row: Any, annotation: Annotation | None, drop: Sequence[str], keep_unlisted: bool) -> dict[str, Any]:
    """Ledger row of a clip."""
    found = findings(row.label, annotation, drop)
    status = OK if annotation is None and keep_unlisted else next(iter(found), OK)
    return ledger_row(row.clip_id, STAGE, status, "; ".join(found.values()), row.line)


def _label_rows(asked: pd.DataFrame, known: dict[str, Annotation], taken: set[str]) -> Iterator[dict[str, Any]]:
    """Rows of :data:`SCHEMA`."""
    for row in row_tuples(asked):
        annotation = known.get(row.clip_id)
        found: dict[str, Any] = dict.fromkeys(SCHEMA.names)
        if annotation is not None:
            found |= {
                "own_modality": annotation.labels.get(row.label),
                "heard_and_seen": annotation.of_modality(BOTH),
                "heard": annotation.of_modality(HEARD),
                "seen": annotation.of_modality(SEEN),
                **annotation.flags,
            }
        yield found | {"clip_id": row.clip_id, "own_label": row.label, "taken": row.clip_id in taken}
