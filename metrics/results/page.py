"""An evaluation as a web page: tables, intervals as bars, distributions, sortable sounds with players, failures.

One file that asks for nothing from outside; sounds and pictures are played from where they lie, by relative links.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from metrics.results.best import best_of, contestants, number
from metrics.results.folder import Results
from metrics.results.templates import render
from metrics.tables.catalogue import METRICS

#: Sounds on a page; of more, the worst of every system and metric are shown.
MOST = 600
BINS = 24
SoundKey = tuple[str, str, str]


@dataclass(frozen=True)
class Media:
    """Where what can be played lies.

    Attributes
    ----------
    sounds
        (system, clip_id, caption_id) -> file.
    pictures
        clip_id -> file.
    """

    sounds: Mapping[SoundKey, Path]
    pictures: Mapping[str, Path]


def write_page(results: Results, media: Media, path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    results : Results
        Of an evaluation: with the scores of every sound.
    media : Media
    path : path
        HTML to write. Links to sounds and pictures are relative to its folder.

    Raises
    ------
    InputError
        If there are no scores of single sounds.
    """
    if results.clips is None:
        raise InputError(f"no clips.parquet beside {results.table}: a page needs the output folder of `cafa evaluate`")
    names = [m for m in results.metrics if not METRICS[m].of_sets]
    rows = _worst(results, names)
    categories, missing = results.beside("categories.csv"), results.beside("missing.csv")
    values = {
        "card": results.card,
        "level": f"{results.level:.0%}",
        "metrics": [METRICS[m] for m in results.metrics],
        "of_sounds": [METRICS[m] for m in names],
        "table": _bars(results),
        "distributions": _distributions(results, names),
        "differences": _differences(results),
        "categories": _by_category(categories, names),
        "missing": [] if missing is None else missing.fillna("").to_dict("records"),
        "sounds": [_sound(row, names, media, path.parent) for row in rows.to_dict("records")],
        "shown": len(rows),
        "sounds_in_all": int((results.clips["status"] == "ok").sum()),
    }
    text = render("metrics.results", "page.html.jinja", values)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _bars(results: Results) -> list[dict[str, Any]]:
    """Rows of the table; of every value the place of its interval between the column's least and largest end."""
    competing = contestants(results)
    rows: list[dict[str, Any]] = [{"name": s, "control": s in results.controls, "cells": []} for s in results.systems]
    for metric in results.metrics:
        cells = [results.cell(system, metric) for system in results.systems]
        best = best_of({s: results.cell(s, metric).value for s in competing}, metric)
        least, most = min(cell.low for cell in cells), max(cell.high for cell in cells)
        width = (most - least) or 1.0
        for row, cell in zip(rows, cells, strict=True):
            place = [round(100 * (value - least) / width, 2) for value in (cell.low, cell.value, cell.high)]
            said = [number(value, metric) for value in (cell.value, cell.low, cell.high)]
            row["cells"].append({"said": said, "place": place, "n": cell.n, "best": row["name"] in best})
    return rows


def _differences(results: Results) -> list[dict[str, Any]]:
    """Paired differences in the digits of their metric."""
    if results.differences is None:
        return []
    rows = [{str(key): value for key, value in row.items()} for row in results.differences.to_dict("records")]
    for row in rows:
        row |= {name: number(float(row[name]), row["metric"]) for name in ("difference", "low", "high")}
        shown = [name for name in ("p_holm", "detectable") if row.get(name, np.nan) == row.get(name)]
        row |= {name: f"{float(f'{row[name]:.3g}'):g}" for name in shown}
    return rows


def _distributions(results: Results, metrics: list[str]) -> list[dict[str, Any]]:
    assert results.clips is not None
    found = []
    for metric in metrics:
        values = results.clips[["system", metric]].dropna()
        edges = np.histogram_bin_edges(values[metric], BINS)
        systems = []
        for system in results.systems:
            counts, _ = np.histogram(values.loc[values["system"] == system, metric], edges)
            top = max(1, int(counts.max()))
            systems.append({"name": system, "heights": [round(40 * int(n) / top, 1) for n in counts], "top": top})
        # Of equal values the bins are drawn half a unit to both sides: what is said are the values themselves.
        ends = [number(float(end), metric) for end in (values[metric].min(), values[metric].max())]
        found.append({"metric": metric, "ends": ends, "systems": systems})
    return found


def _worst(results: Results, metrics: list[str]) -> pd.DataFrame:
    """All sounds that were scored; of more than :data:`MOST`, the worst of every system and metric."""
    assert results.clips is not None
    scored = results.clips[results.clips["status"] == "ok"].reset_index(drop=True)
    if len(scored) <= MOST or not metrics:
        return scored.head(MOST)
    each = max(1, MOST // (len(metrics) * len(results.systems)))
    chosen: set[Any] = set()
    for _, group in scored.groupby("system", sort=False):
        for metric in metrics:
            ordered = group[metric].dropna().sort_values(ascending=METRICS[metric].better != "lower", kind="stable")
            # Where neither direction is better, both ends are of interest.
            ends = [ordered.index[: each // 2], ordered.index[-(each - each // 2) :]]
            chosen |= set(ordered.index[:each]) if METRICS[metric].better else {place for end in ends for place in end}
    return scored.loc[sorted(chosen)]


def _by_category(frame: pd.DataFrame | None, metrics: list[str]) -> list[dict[str, Any]]:
    """Means by category of the prompt: one row per category and system."""
    if frame is None:
        return []
    rows = frame[(frame["own_label"] == "*") & frame["metric"].isin(metrics)]
    found = []
    for (label, system), group in rows.groupby(["label", "system"], sort=True):
        values = {
            str(row["metric"]): number(float(row["value"]), str(row["metric"])) for row in group.to_dict("records")
        }
        found.append({"label": label, "system": system, "n": int(group["n"].max()), "values": values})
    return found


def _sound(row: Mapping[Any, Any], metrics: list[str], media: Media, folder: Path) -> dict[str, Any]:
    values = {m: float(row[m]) for m in metrics if row[m] == row[m]}
    sound = media.sounds.get((row["system"], row["clip_id"], row["caption_id"]))
    picture = media.pictures.get(row["clip_id"])
    return {
        **{name: row[name] for name in ("system", "clip_id", "caption", "label", "finding")},
        "values": values,
        "said": {metric: number(value, metric) for metric, value in values.items()},
        "sound": _link(sound, folder),
        "picture": _link(picture, folder),
    }


def _link(path: Path | None, folder: Path) -> str:
    """Relative address of a file; never one with a scheme, whatever its name."""
    if path is None:
        return ""
    return "./" + quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
