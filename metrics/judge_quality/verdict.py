"""What was measured about judges against what is wanted of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from metrics.judges.kinds import Measures, miniature_judges


def check_judges(judges: Mapping[str, Any]) -> None:
    """Refuse judges that did not pass their check.

    Parameters
    ----------
    judges : mapping
        ``{"judges": {name: {"weights_sha256", "measures": {measure: {"value", "threshold", "direction", "good"}},
        "good"}}, "good"}``.

    Raises
    ------
    InputError
        If a judge is not good; the message says by what measure.
    """
    if not judges.get("judges"):
        raise InputError("the check of the judges names no judge: run `cafa judges check`")
    failures = []
    for name, judge in judges["judges"].items():
        bad = [
            f"{measure} is {found['value']:.6g}, wanted {found['direction']} {found['threshold']:.6g}"
            for measure, found in judge["measures"].items()
            if not found["good"]
        ]
        if bad or not judge["good"]:
            failures.append(f"{name} ({'; '.join(bad) or 'marked as not good'})")
    if failures or not judges["good"]:
        raise InputError(
            f"judges that are not good enough to judge: {', '.join(failures) or 'marked as not good'}. "
            "No table is printed with them: train them longer, on more clips, or on cleaner ones"
        )


def trained_measures() -> dict[str, Measures]:
    """What is demanded of the miniature's judges: judge -> measure -> direction in which it is good, threshold."""
    return {name: form.measures for name, form in miniature_judges().items()}


def thresholds(given: Mapping[str, Any], measures: Mapping[str, Measures]) -> dict[str, dict[str, float]]:
    """Thresholds of every measure: the defaults of `measures`, overridden by ``{judge: {measure: threshold}}``.

    Raises
    ------
    InputError
        If a judge or measure does not exist, or a threshold is not a number.
    """
    merged = {name: {m: limit for m, (_, limit) in rows.items()} for name, rows in measures.items()}
    for name, rows in given.items():
        if name not in merged or not isinstance(rows, dict):
            raise InputError(f"thresholds: no judge {name!r}; judges are {', '.join(measures)}")
        for measure, limit in rows.items():
            if measure not in merged[name]:
                raise InputError(
                    f"thresholds: judge {name} has no measure {measure!r}; it has {', '.join(merged[name])}"
                )
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise InputError(f"thresholds: {name}.{measure} must be a number, got {limit!r}")
            merged[name][measure] = float(limit)
    return merged


def own_over_other(similarity: np.ndarray, targets: np.ndarray) -> float:
    """Share of pairs (row, column of another label) whose similarity is below the row's own.

    Parameters
    ----------
    similarity : ndarray, (n, n)
        Entry (i, i) is that of the pair that belongs together.
    targets : ndarray, (n,)
        Labels.
    """
    other = targets[:, None] != targets[None, :]
    return float((np.diag(similarity)[:, None] > similarity)[other].mean())


def report(
    values: dict[str, dict[str, float]],
    limits: dict[str, dict[str, float]],
    weights: Mapping[str, str],
    measures: Mapping[str, Measures],
) -> dict[str, Any]:
    """Verdict on every judge.

    Parameters
    ----------
    values, limits : dict of str to dict of str to float
        judge -> measure -> what was found, what is wanted.
    weights : mapping of str to str
        judge -> SHA-256 of its weights.
    measures : mapping
        judge -> measure -> direction in which it is good, default threshold.

    Returns
    -------
    dict
        ``{"judges": {name: {"weights_sha256", "measures": {measure: {"value", "threshold", "direction",
        "good"}}, "good"}}, "good"}``.
    """
    verdicts: dict[str, Any] = {}
    for name, found in values.items():
        rows = {}
        for measure_name, value in found.items():
            direction, limit = measures[name][measure_name][0], limits[name][measure_name]
            good = value >= limit if direction == ">=" else value <= limit
            rows[measure_name] = {"value": value, "threshold": limit, "direction": direction, "good": good}
        verdicts[name] = {
            "weights_sha256": weights[name],
            "measures": rows,
            "good": all(row["good"] for row in rows.values()),
        }
    return {"judges": verdicts, "good": all(verdict["good"] for verdict in verdicts.values())}


def verdict_lines(result: dict[str, Any]) -> list[str]:
    """What :func:`report` found, for a person; the last line says whether the judges can be trusted."""
    lines = []
    for name, verdict in result["judges"].items():
        for measure_name, row in verdict["measures"].items():
            mark = "good" if row["good"] else "NOT GOOD"
            wanted = f"wanted {row['direction']} {row['threshold']:.3g}"
            lines.append(f"{name:12} {measure_name:36} {row['value']:.3f} ({wanted}) {mark}")
    bad = [name for name, verdict in result["judges"].items() if not verdict["good"]]
    if bad:
        lines.append(f"WARNING: {', '.join(bad)} cannot be trusted: no table may be made of their numbers")
    else:
        lines.append("all judges are good enough")
    return lines
