"""`cafa compare`: results of different people in one table, as far as they are comparable, and why not where not."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.common.seeds import seed_for
from metrics.functional.bootstrap import ClipBootstrap
from metrics.functional.differences import detectable_difference, p_value, standard_error
from metrics.results.best import best_of, contestants, number
from metrics.results.folder import Results, read_results
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import corrected_for_many, six_digits
from metrics.tables.coverage import ROW
from metrics.tables.verdict import better_of

#: What of a prompt must be equal for its sounds to be comparable.
ASKED = [*ROW, "caption", "own_caption"]
#: Columns of differences between folders.
COLUMNS = ("metric", "a", "b", "difference", "low", "high", "better", "n", "n_clips", "p", "detectable")
#: Draws of clips for differences between folders.
RESAMPLES = 1000


@dataclass(frozen=True)
class Mismatch:
    """Why values of a folder are not comparable with those of the first.

    Attributes
    ----------
    folder
        Its name.
    metric
        Column; empty: all of them.
    why
        What differs, with both values.
    """

    folder: str
    metric: str
    why: str


def mismatches(folders: Mapping[str, Results]) -> list[Mismatch]:
    """What makes results not comparable with those of the first folder."""
    (first, one), *others = folders.items()
    found = []
    for name, other in others:
        found += [Mismatch(name, "", why) for why in _whole(one, other, first)]
        for metric in other.metrics:
            found += [Mismatch(name, metric, why) for why in _of_metric(one, other, metric, first)]
    return found


def _whole(one: Results, other: Results, first: str) -> list[str]:
    reasons = []
    for what, label in (("seconds_scored", "seconds scored"),):
        if one.card[what] != other.card[what]:
            reasons.append(f"{label}: {other.card[what]}, {one.card[what]} in {first}")
    if (a := one.card["extra"].get("judges")) != (b := other.card["extra"].get("judges")):
        reasons.append(f"kind of judges: {b}, {a} in {first}")
    if one.clips is not None and other.clips is not None:
        reasons += _prompts(one.clips, other.clips, first)
    elif (a := one.card["extra"].get("prompts_sha256")) != (b := other.card["extra"].get("prompts_sha256")):
        reasons.append(f"SHA-256 of the prompts: {b}, {a} in {first}: other clips or captions")
    if (a := one.card["settings"]["protocol"]) != (b := other.card["settings"]["protocol"]):
        reasons.append(f"protocol: {b}, {a} in {first}")
    return reasons


def _prompts(one: pd.DataFrame, other: pd.DataFrame, first: str) -> list[str]:
    """Clips and captions, by what was asked for: whether it could be scored does not matter here."""
    asked = [frame[ASKED].drop_duplicates() for frame in (one, other)]
    clips = [set(frame["clip_id"]) for frame in asked]
    if clips[0] != clips[1]:
        more, less = len(clips[1] - clips[0]), len(clips[0] - clips[1])
        return [f"clips: {more} that {first} has not, and {less} of {first} are lacking"]
    rows = [set(frame.itertuples(index=False, name=None)) for frame in asked]
    if rows[0] != rows[1]:
        differing = {row[0] for row in rows[0] ^ rows[1]}
        return [f"captions: {len(differing)} clips have others than in {first}, e.g. {min(differing)}"]
    return []


def _of_metric(one: Results, other: Results, metric: str, first: str) -> list[str]:
    if metric not in one.metrics:
        return []
    reasons = []
    judge = METRICS[metric].judge
    a, b = (found.card["judges"].get(judge, {}).get("weights_sha256", "none") for found in (one, other))
    if a != b:
        reasons.append(f"weights of {judge}: SHA-256 {b[:16]}, {a[:16]} in {first}")
    # `heard` is the name that cards of before have
    notes = [found.card["notes"] for found in (one, other)]
    used = [note.get("audio_protocol", note.get("heard", {})) for note in notes]
    if used[0] != used[1]:
        reasons.append(f"judged of each file: {used[1]}, {used[0]} in {first}")
    if METRICS[metric].of_sets:
        names = {key for found in (one, other) for key in found.card["notes"] if key.startswith(f"{metric}_")}
        names -= {f"{metric}_rank_deficiency", f"{metric}_splits_wanted"}
        longer = tuple(f"{name}_" for name in METRICS if name.startswith(f"{metric}_"))  # KAD_CLAP_... is none of KAD
        names = {key for key in names if not key.startswith(longer)}
        for key in sorted(names | {"reference_sounds"}):
            a, b = one.card["notes"].get(key), other.card["notes"].get(key)
            if a != b and not (key == "reference_sounds" and metric == "IS"):
                reasons.append(f"{key}: {b}, {a} in {first}")
    a, b = one.card["versions"].get("cafa"), other.card["versions"].get("cafa")
    if a != b:
        reasons.append(f"version of the metrics: cafa {b}, {a} in {first}")
    return reasons


@dataclass(frozen=True)
class Comparison:
    """Folders side by side.

    Attributes
    ----------
    folders
        By name.
    mismatches
        What is not comparable.
    table
        Long table: folder, system, metric, value, low, high, n, comparable, why.
    differences
        Paired, between systems of different folders; as those of a table.
    """

    folders: dict[str, Results]
    mismatches: list[Mismatch]
    table: pd.DataFrame
    differences: pd.DataFrame


def compare(folders: dict[str, Results]) -> Comparison:
    """Join results.

    Raises
    ------
    InputError
        If there are fewer than two folders, or no value of one is comparable with the first.
    """
    if len(folders) < 2:
        raise InputError("a comparison needs at least two folders")
    first, *others = folders
    found = mismatches(folders)
    for name in others:
        shared = [m for m in folders[name].metrics if m in folders[first].metrics]
        if not shared:
            raise InputError(f"{name} and {first} have no metric in common")
        if all(_why(found, name, metric) for metric in shared):
            reasons = sorted({(one.metric, one.why) for one in found if one.folder == name})
            said = "; ".join(f"{metric}: {why}" if metric else why for metric, why in reasons)
            raise InputError(f"nothing in {name} is comparable with {first}: {said}")
    rows = []
    for name, results in folders.items():
        for system in results.systems:
            for metric in results.metrics:
                cell = results.cell(system, metric)
                why = _why(found, name, metric)
                rows.append([name, system, metric, cell.value, cell.low, cell.high, cell.n, not why, why])
    table = pd.DataFrame(rows, columns=["folder", "system", "metric", "value", "low", "high", "n", "comparable", "why"])
    return Comparison(folders, found, table, _differences(folders, found))


def _why(found: list[Mismatch], folder: str, metric: str) -> str:
    return "; ".join(one.why for one in found if one.folder == folder and one.metric in ("", metric))


def _differences(folders: dict[str, Results], found: list[Mismatch]) -> pd.DataFrame:
    """Paired differences of contestants of different folders, over the sounds that both scored."""
    level = next(iter(folders.values())).level
    rows: list[list[Any]] = []
    for (name, one), (other_name, other) in combinations(folders.items(), 2):
        if one.clips is None or other.clips is None:
            continue
        metrics = [
            m
            for m in one.metrics
            if m in other.metrics
            and not METRICS[m].of_sets
            and not _why(found, name, m)
            and not _why(found, other_name, m)
        ]
        for a in contestants(one):
            for b in contestants(other):
                both = _both(one.clips, a, other.clips, b)
                if both["clip_id"].nunique() < 2:
                    continue
                draws = ClipBootstrap(both["clip_id"].to_list(), RESAMPLES, seed_for(0, "compare"))
                for metric in metrics:
                    values = (both[f"{metric}_a"] - both[f"{metric}_b"]).to_numpy(float)
                    estimate = draws.mean(values)
                    low, high = estimate.interval(level)
                    winner, loser = f"{name}/{a}", f"{other_name}/{b}"
                    better = better_of(metric, winner, loser, estimate.value, (low, high))
                    error = standard_error(estimate.replicates)
                    ends = [six_digits(v) for v in (estimate.value, low, high)]
                    last = [six_digits(p_value(estimate.value, error)), six_digits(detectable_difference(error, level))]
                    rows.append([metric, winner, loser, *ends, better, estimate.n, draws.clips, *last])
    return corrected_for_many(pd.DataFrame(rows, columns=list(COLUMNS)), level)


def _both(one: pd.DataFrame, a: str, other: pd.DataFrame, b: str) -> pd.DataFrame:
    """Rows that both systems have scores for."""
    parts = [frame[(frame["system"] == name) & (frame["status"] == "ok")] for frame, name in ((one, a), (other, b))]
    return parts[0].merge(parts[1], on=list(ROW), suffixes=("_a", "_b"), validate="1:1").sort_values(list(ROW))


def render(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    folders = comparison.folders
    metrics = list(dict.fromkeys(m for results in folders.values() for m in results.metrics))
    found = {(row["folder"], row["system"], row["metric"]): row for row in comparison.table.to_dict("records")}
    best = {m: _best(comparison, m) for m in metrics}
    lines = ["# Comparison", "", "| system | n | " + " | ".join(f"{m} {METRICS[m].arrow}" for m in metrics) + " |"]
    lines.append("| :-- | --: | " + " | ".join("--:" for _ in metrics) + " |")
    for name, results in folders.items():
        for system in results.systems:
            cells = []
            for metric in metrics:
                if metric not in results.metrics:
                    cells.append("–")
                    continue
                row = found[name, system, metric]
                value = number(row["value"], metric)
                value = f"**{value}**" if (name, system) in best[metric] else value
                mark = "" if row["comparable"] else " ‡"
                cells.append(f"{value} [{number(row['low'], metric)}, {number(row['high'], metric)}]{mark}")
            label = f"{name}/{system}".replace("|", "\\|")
            lines.append(f"| {label} | {results.card['n']} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"In brackets: {next(iter(folders.values())).level:.0%} intervals over clips. Bold: best comparable value.",
    ]
    counts = {name: results.card["n"] for name, results in folders.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {n}" for name, n in counts.items())
        lines.append(
            f"The folders scored different numbers of sounds ({said}): only the differences use the same ones."
        )
    lines += ["", "## What is not comparable (‡)", ""]
    lines += [f"* {m.folder}, {m.metric or 'every column'}: {m.why}" for m in comparison.mismatches] or ["* nothing"]
    lines += ["", "## Paired differences", ""]
    if comparison.differences.empty:
        lines.append(
            "None: they need the scores of every sound (`clips.parquet`) in both folders, and a shared metric."
        )
    else:
        lines += ["| a − b | metric | difference | interval | better | p (Holm) | better of all | detectable | n |"]
        lines += ["| :-- | :-- | --: | --: | :-- | --: | :-- | --: | --: |"]
        for row in comparison.differences.to_dict("records"):
            value, *ends = (number(row[what], row["metric"]) for what in ("difference", "low", "high"))
            cells = [f"{row['a']} − {row['b']}", row["metric"], value, f"[{', '.join(ends)}]", row["better"]]
            cells += [f"{row['p_holm']:.2g}", row["better_holm"], f"{row['detectable']:.3g}", str(row["n"])]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _best(comparison: Comparison, metric: str) -> set[Any]:
    values: dict[Any, float] = {}
    for name, results in comparison.folders.items():
        if metric in results.metrics and not _why(comparison.mismatches, name, metric):
            values |= {(name, system): results.cell(system, metric).value for system in contestants(results)}
    return best_of(values, metric)


def compare_folders(places: tuple[str, ...], output: Path | None = None) -> str:
    """Compare result folders or tables, named ``NAME=PLACE`` or ``PLACE``.

    Writes ``comparison.md``, ``comparison.csv`` and ``comparison.differences.csv`` below `output` where it is given.

    Returns
    -------
    str
        The comparison as Markdown.

    Raises
    ------
    InputError
        If a place holds no results, or nothing of it is comparable with the first.
    """
    folders: dict[str, Results] = {}
    for text in places:
        name, separator, path = text.partition("=")
        if not separator:
            path = text
            name = Path(text).resolve().name if Path(text).is_dir() else Path(text).stem
        if name in folders:
            raise InputError(f"two places are called {name!r}: name them, NAME=PLACE")
        folders[name] = read_results(Path(path))
    comparison = compare(folders)
    text = render(comparison)
    if output is not None:
        frames = {"comparison.csv": comparison.table, "comparison.differences.csv": comparison.differences}
        for name, frame in frames.items():
            with atomic_write(output / name) as temporary:
                frame.to_csv(temporary, index=False, lineterminator="\n")
        with atomic_write(output / "comparison.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
    return text
