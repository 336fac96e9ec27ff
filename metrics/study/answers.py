"""Answers of raters, from the page, from a receiver, or from a platform, in one form.

A hand-in is one rater's answers: study, digest of the design, rater, and one row per pair with the side that was
preferred for each criterion.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from metrics.study.design import QUESTIONS

SIDES = ("left", "right", "tie")


@dataclass(frozen=True)
class Row:
    """A rater's answers to one pair.

    Attributes
    ----------
    pair : str
    left, right : str
        Names of the two files, as the page showed them.
    answers : dict of str to str
        Criterion -> ``left``, ``right`` or ``tie``.
    seconds : float or None
        Time on the pair.
    """

    pair: str
    left: str
    right: str
    answers: dict[str, str]
    seconds: float | None = None


@dataclass(frozen=True)
class HandIn:
    """What one rater handed in at once.

    Attributes
    ----------
    source : str
        File, and line, that it comes from.
    rater : str
    study, digest : str or None
        Of which study; platforms do not say.
    asked : int or None
        Pairs of the rater's set; None where a platform hands out single pairs.
    rows : tuple of Row
    """

    source: str
    rater: str
    study: str | None
    digest: str | None
    asked: int | None
    rows: tuple[Row, ...] = field(default=())


def read_answers(path: str | Path) -> list[HandIn]:
    """Read answers from a file, or from every file of a folder.

    Known are: a file that the page saved (``.json``), a receiver's file (``.jsonl``), worker responses of SageMaker
    Ground Truth (``.json`` with ``answers``, as they lie below ``annotations/worker-response``), and a table of
    results of Mechanical Turk (``.csv`` with ``WorkerId``).

    Raises
    ------
    InputError
        If a file is none of these, or a row of it has no usable answer: which, and what it holds.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (".json", ".jsonl", ".csv"))
        if not files:
            raise InputError(f"no .json, .jsonl or .csv in {path}")
        return [hand_in for file in files for hand_in in read_answers(file)]
    if not path.is_file():
        raise InputError(f"no answers at {path}")
    if path.suffix == ".csv":
        return list(_mechanical_turk(path))
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        return [hand_in(_object(line, f"{path}:{number}"), f"{path}:{number}") for number, line in lines]
    value = _object(text, str(path))
    if "answers" in value and "rows" not in value:
        return list(_ground_truth(value, path))
    return [hand_in(value, str(path))]


def _object(text: str, source: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{source} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{source} holds no object of answers")
    return value


def hand_in(value: Mapping[str, Any], source: str) -> HandIn:
    """A hand-in of the page, checked.

    Raises
    ------
    InputError
        If something is missing, or of another kind than it must be.
    """
    for name in ("study", "digest", "rater"):
        if not isinstance(value.get(name), str) or not value[name] or len(value[name]) > 200:
            raise InputError(f"{source}: {name!r} must be a text, got {value.get(name)!r}")
    rows = value.get("rows")
    if not isinstance(rows, list) or len(rows) > 10_000:
        raise InputError(f"{source}: 'rows' must be a list of answers")
    asked = value["asked"] if isinstance(value.get("asked"), int) else None
    parsed = tuple(_row(row, f"{source}, row {number}") for number, row in enumerate(rows, start=1))
    return HandIn(
        source, value["rater"], value["study"], value["digest"], asked if isinstance(asked, int) else None, parsed
    )


def _row(row: object, source: str) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{source} is no object")
    for name in ("pair", "left", "right"):
        if not isinstance(row.get(name), str) or len(row[name]) > 200:
            raise InputError(f"{source}: {name!r} must be a text, got {row.get(name)!r}")
    answers = row.get("answers")
    if not isinstance(answers, dict) or set(answers) != set(QUESTIONS) or not set(answers.values()) <= set(SIDES):
        raise InputError(f"{source}: answers to {', '.join(QUESTIONS)} must be left, right or tie, got {answers!r}")
    seconds = row.get("seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        raise InputError(f"{source}: 'seconds' must be a number, got {seconds!r}")
    return Row(row["pair"], row["left"], row["right"], dict(answers), None if seconds is None else float(seconds))


def _ground_truth(value: Mapping[str, Any], path: Path) -> Iterator[HandIn]:
    for number, answer in enumerate(value["answers"], start=1):
        source = f"{path}, answer {number}"
        if not isinstance(answer, dict) or not isinstance(answer.get("answerContent"), dict):
            raise InputError(f"{source} has no answerContent, as a worker response of Ground Truth has")
        row = _form(answer["answerContent"], source, answer.get("timeSpentInSeconds"))
        yield HandIn(source, str(answer.get("workerId", "")) or "unknown", None, None, None, (row,))


def _form(content: Mapping[str, Any], source: str, seconds: float | None) -> Row:
    """A filled form: a radio button is an object of its values, of which one is true."""
    answers = {}
    for criterion in QUESTIONS:
        chosen = content.get(criterion)
        if isinstance(chosen, dict):
            marked = [side for side, value in chosen.items() if value is True]
            chosen = marked[0] if len(marked) == 1 else None
        answers[criterion] = chosen
    names = {name: content.get(name) for name in ("pair", "left", "right")}
    return _row({**names, "answers": answers, "seconds": seconds}, source)


def _mechanical_turk(path: Path) -> Iterator[HandIn]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames is None or "WorkerId" not in reader.fieldnames:
            raise InputError(f"{path} has no column WorkerId: it is no table of results of Mechanical Turk")
        for number, line in enumerate(reader, start=2):
            source = f"{path}:{number}"
            if line.get("AssignmentStatus") == "Rejected":
                continue
            seconds = float(line["WorkTimeInSeconds"]) if line.get("WorkTimeInSeconds") else None
            if line.get("Answer.taskAnswers"):
                content = json.loads(line["Answer.taskAnswers"])[0]
            else:
                content = {key.removeprefix("Answer."): value for key, value in line.items() if key}
            given = {key.removeprefix("Input."): value for key, value in line.items() if key.startswith("Input.")}
            yield HandIn(source, line["WorkerId"], None, None, None, (_form({**given, **content}, source, seconds),))
