"""From answers to Table 3: who is left out and why, win rates, the card and the tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, read_json, write_json
from cafa.common.provenance import versions
from metrics.study.answers import HandIn, Row
from metrics.study.build import MEDIA, study_digest
from metrics.study.design import CHECKS, QUESTIONS, Design, Pair, StudySettings, media_name
from metrics.study.win_rates import ANSWER_COLUMNS, win_rates

EXCLUSION_COLUMNS = ("rater", "source", "reason", "detail", "rows")
#: criterion -> heading of the paper's table
HEADINGS = {"alignment": "Align.", "quality": "Quali.", "prompt_adherence": "PA"}
#: protocol -> heading of the paper's table: original and unaligned caption
PROTOCOLS = {"matched": "OC", "cross": "UC"}


class ResultsSettings(BaseModel):
    """Which raters count, and how intervals are computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed_checks: Annotated[int, Field(ge=0, description="attention checks that a rater may fail")] = 0
    least_share: Annotated[float, Field(ge=0, le=1, description="share of the set that a rater must have answered")] = (
        0.5
    )
    least_seconds: Annotated[float, Field(ge=0, description="median time on a pair that a rater must take")] = 4.0
    one_side: Annotated[
        int, Field(ge=2, description="a rater whose answers, in so many pairs or more, are all of one side is left out")
    ] = 10
    resamples: Annotated[int, Field(ge=100, description="draws of the bootstrap over pairs and raters")] = 2000
    seed: Annotated[int, Field(ge=0, description="of the bootstrap")] = 0


@dataclass(frozen=True)
class StudyKey:
    """The key of a study, as ``key.json`` has it."""

    settings: StudySettings
    design: Design

    @classmethod
    def read(cls, path: str | Path) -> "StudyKey":
        """Read ``key.json``.

        Raises
        ------
        InputError
            If it is none.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"no key of a study at {path}: it lies beside the page that `cafa study build` wrote")
        value = read_json(path)
        if not {"settings", "pairs", "sets"} <= set(value):
            raise InputError(f"{path} is not the key of a study")
        return cls(StudySettings.model_validate(value["settings"]), Design.from_json(value))

    def sides(self, row: Row) -> dict[str, str] | None:
        """Side -> who made the sound on it; None if the row is of no pair of the study."""
        pair = self.design.pairs.get(row.pair)
        if pair is None:
            return None
        makers = {
            f"{MEDIA}/{media_name(pair, 'first', self.settings.seed)}": pair.first,
            f"{MEDIA}/{media_name(pair, 'second', self.settings.seed)}": pair.second,
        }
        places = {side: _place(file) for side, file in (("left", row.left), ("right", row.right))}
        found = {side: makers[place] for side, place in places.items() if place in makers}
        return found if len(set(found.values())) == 2 else None


def _place(file: str) -> str:
    """Name of a file below the page: platforms put the address of a host before it."""
    return f"{MEDIA}/{file.rpartition('/')[2]}"


@dataclass(frozen=True)
class Sorted:
    """Answers that count, and what was left out."""

    answers: pd.DataFrame
    exclusions: pd.DataFrame


def sort_answers(hand_ins: Iterable[HandIn], key: StudyKey, settings: ResultsSettings) -> Sorted:
    """Leave out raters and rows that cannot count, each with its reason.

    Reasons: ``another_study`` (the digest is another), ``unknown_pair``, ``repeated`` (the rater answered the pair
    before: the first answer counts), ``failed_check``, ``incomplete``, ``too_fast``, ``one_side``.

    Returns
    -------
    Sorted
        ``answers`` has one row per rater, pair and criterion (:data:`ANSWER_COLUMNS`); ``exclusions`` one per rater or
        row that was left out.
    """
    excluded: list[dict[str, Any]] = []
    by_rater: dict[str, list[Row]] = {}
    asked: dict[str, int] = {}
    own = study_digest(key.design)  # once: it reads the whole design
    for one in hand_ins:
        if one.digest not in (None, own):
            excluded.append(_excluded(one.rater, one.source, "another_study", f"of study {one.study}", len(one.rows)))
            continue
        rows = by_rater.setdefault(one.rater, [])
        for row in one.rows:
            if key.sides(row) is None:
                excluded.append(_excluded(one.rater, one.source, "unknown_pair", row.pair, 1))
            elif any(known.pair == row.pair for known in rows):
                excluded.append(_excluded(one.rater, one.source, "repeated", row.pair, 1))
            else:
                rows.append(row)
        if one.digest is not None:
            asked[one.rater] = asked.get(one.rater, 0) + (one.asked or len(key.design.sets[0]))
    kept = []
    for rater, rows in by_rater.items():
        why = _why_not(rows, asked.get(rater), key, settings)
        if why is None:
            kept += [entry for row in rows for entry in _entries(rater, row, key)]
        else:
            excluded.append(_excluded(rater, "", *why, len(rows)))
    return Sorted(
        pd.DataFrame(kept, columns=list(ANSWER_COLUMNS)), pd.DataFrame(excluded, columns=list(EXCLUSION_COLUMNS))
    )


def _excluded(rater: str, source: str, reason: str, detail: str, rows: int) -> dict[str, Any]:
    return {"rater": rater, "source": source, "reason": reason, "detail": detail, "rows": rows}


def _why_not(
    rows: Sequence[Row], asked: int | None, key: StudyKey, settings: ResultsSettings
) -> tuple[str, str] | None:
    failed = [row.pair for row in rows if not _right(row, key)]
    if len(failed) > settings.failed_checks:
        return "failed_check", f"{len(failed)} checks answered wrong: {', '.join(failed)}"
    if asked is not None and len(rows) < settings.least_share * asked:
        return "incomplete", f"{len(rows)} of {asked} pairs answered"
    seconds = [row.seconds for row in rows if row.seconds is not None]
    if seconds and pd.Series(seconds).median() < settings.least_seconds:
        return "too_fast", f"{pd.Series(seconds).median():.1f} s on a pair, {settings.least_seconds:g} s is the least"
    sides = {side for row in rows for side in row.answers.values()}
    if len(rows) >= settings.one_side and len(sides) == 1:
        return "one_side", f"all answers of {len(rows)} pairs are {sides.pop()}"
    return None


def _right(row: Row, key: StudyKey) -> bool:
    """Whether a check is answered right; pairs of systems have no wrong answer."""
    pair, sides = key.design.pairs[row.pair], key.sides(row)
    if pair.kind == "pair" or sides is None:
        return True
    return all(sides.get(row.answers[criterion]) == pair.first for criterion in CHECKS[pair.kind])


def _entries(rater: str, row: Row, key: StudyKey) -> list[dict[str, Any]]:
    pair: Pair = key.design.pairs[row.pair]
    sides = key.sides(row) or {}
    if pair.kind != "pair":
        return []
    return [
        {
            "rater": rater,
            "pair": row.pair,
            "criterion": criterion,
            "opponent": pair.second,
            "protocol": pair.protocol,
            "won": 0.5 if side == "tie" else float(sides[side] == pair.first),
        }
        for criterion, side in row.answers.items()
    ]


def write_results(
    hand_ins: Sequence[HandIn],
    key: StudyKey,
    settings: ResultsSettings,
    output: str | Path,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Write ``table3.csv``, ``table3.md``, ``table3.card.json``, ``answers.csv`` and ``exclusions.csv`` into a folder.

    Parameters
    ----------
    hand_ins : sequence of HandIn
    key : StudyKey
    settings : ResultsSettings
    output : path
    published : pandas.DataFrame, optional
        ``opponent``, ``criterion``, ``protocol``, ``win_rate`` of the paper, printed beside ours.

    Returns
    -------
    pandas.DataFrame
        The win rates.

    Raises
    ------
    InputError
        If no rating is left: says how many were left out, by reason.
    """
    output = Path(output)
    result = sort_answers(hand_ins, key, settings)
    _write_csv(result.exclusions, output / "exclusions.csv")
    if result.answers.empty:
        reasons = result.exclusions["reason"].value_counts().to_dict()
        raise InputError(
            f"no answer of {len(hand_ins)} hand-ins is left; left out: {reasons} ({output}/exclusions.csv)"
        )
    table = win_rates(result.answers, resamples=settings.resamples, seed=settings.seed)
    names = ["opponent", "criterion", "protocol"]
    if published is not None:
        known = published.rename(columns={"win_rate": "published"})[[*names, "published"]]
        table = table.merge(known, on=names, how="left")
    _write_csv(result.answers, output / "answers.csv")
    _write_csv(table, output / "table3.csv")
    with atomic_write(output / "table3.md") as temporary:
        temporary.write_text(_markdown(table, key.settings, result), encoding="utf-8")
    write_json(output / "table3.card.json", _card(key, settings, result, len(hand_ins)))
    return table


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    with atomic_write(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")


def _card(key: StudyKey, settings: ResultsSettings, result: Sorted, hand_ins: int) -> dict[str, Any]:
    excluded: Mapping[Any, int] = result.exclusions["reason"].value_counts().to_dict()
    return {
        "study": key.settings.model_dump(mode="json"),
        "digest": study_digest(key.design),
        "results": settings.model_dump(mode="json"),
        "questions": QUESTIONS,
        "hand_ins": hand_ins,
        "raters": int(result.answers["rater"].nunique()),
        "ratings": len(result.answers),
        "excluded": {str(reason): int(count) for reason, count in excluded.items()},
        "averaging": "mean over pairs of the share of raters who preferred the system",
        "interval": "95 %, bootstrap over pairs and raters at once (Owen 2007)",
        "versions": versions(),
    }


def _markdown(table: pd.DataFrame, settings: StudySettings, result: Sorted) -> str:
    """The paper's form: opponents down; criteria and protocols across."""
    heads = [(criterion, protocol) for criterion in HEADINGS for protocol in settings.protocols]
    titles = [f"{HEADINGS[criterion]} {PROTOCOLS.get(protocol, protocol)}" for criterion, protocol in heads]
    lines = [
        f"Win rate of {settings.system} against",
        "",
        f"| | {' | '.join(titles)} |",
        f"|---{'|---:' * len(heads)}|",
    ]
    for opponent, rows in table.groupby("opponent", sort=False):
        cells = {(row["criterion"], row["protocol"]): _cell(row) for _, row in rows.iterrows()}
        lines.append(f"| {opponent} | {' | '.join(cells.get(head, '') for head in heads)} |")
    counts = result.exclusions["reason"].value_counts()
    left_out = ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "nobody"
    lines += [
        "",
        f"{int(table['pairs'].min())} to {int(table['pairs'].max())} pairs a cell, {result.answers['rater'].nunique()} "
        f"raters, {len(result.answers)} ratings. Brackets: 95 % interval over pairs and raters; alpha: Krippendorff's. "
        f"Left out: {left_out}.",
    ]
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series) -> str:
    text = f"{row['rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    alpha = "" if pd.isna(row["alpha"]) else f" alpha {row['alpha']:.2f}"
    known = row.get("published")
    return text + alpha + ("" if known is None or pd.isna(known) else f" (paper {known:.2f})")
