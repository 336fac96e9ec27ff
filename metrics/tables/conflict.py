"""Curve over levels of conflict: how far a sound follows picture and caption, the more these two disagree.

As ControlFoley (arXiv 2604.15086) draws for its captions VGGSound-TVC: IB asks whether a sound fits the picture, CLAP
whether it fits the caption. Where text is in control CLAP stays and IB falls; a system that ignores the text keeps IB.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from metrics.functional.bootstrap import ClipBootstrap
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import BootstrapSettings, six_digits
from metrics.tables.coverage import ROW
from metrics.tables.figure import BARS, COLOURS, MARKERS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ["model", "level", "metric", "value", "low", "high", "n", "n_clips", "source"]
#: What a csv of other people's values must hold; other columns are for people.
PUBLISHED = ["model", "level", "metric", "value", "source"]
HERE = "measured here"


class ConflictCurveSettings(BaseModel):
    """What the curve shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    systems: Annotated[
        dict[str, str], Field(min_length=1, max_length=len(COLOURS), description="system -> label of its curve")
    ]
    levels: Annotated[
        dict[str, str], Field(min_length=2, description="level, in order -> protocol of the prompt set")
    ] = {"L0": "tvc_L0", "L1 subject": "tvc_L1_subject", "L1 action": "tvc_L1_action", "L2": "tvc_L2", "L3": "tvc_L3"}
    metrics: Annotated[tuple[str, ...], Field(min_length=1, description="metrics of samples, one panel each")] = (
        "IB",
        "CLAP",
    )
    same_axes: Annotated[
        bool, Field(description="whether values of others have our axis: only where judges and captions are the same")
    ] = False
    bootstrap: BootstrapSettings = BootstrapSettings()

    @field_validator("metrics")
    @classmethod
    def _of_samples(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if METRICS[name].of_sets or METRICS[name].other_captions_only:
                raise ValueError(f"{name} has no value of a single sound under its own caption: no curve over levels")
        return names


def conflict_frame(scores: pd.DataFrame, settings: ConflictCurveSettings) -> pd.DataFrame:
    """Means with intervals over clips, columns :data:`COLUMNS`.

    Every value is of the same clips: those that have a score of every system, level and metric.

    Parameters
    ----------
    scores : pandas.DataFrame
        system, protocol, clip_id, caption_id, metric, value, of all systems.
    settings : ConflictCurveSettings

    Raises
    ------
    InputError
        If a system has no score at a level, or fewer than two clips have them all.
    """
    kept = scores[scores["metric"].isin(settings.metrics) & scores["system"].isin(settings.systems)]
    kept = kept[kept["protocol"].isin(settings.levels.values()) & kept["value"].notna()]
    groups = {
        (system, protocol, metric): kept[
            (kept["system"] == system) & (kept["protocol"] == protocol) & (kept["metric"] == metric)
        ].set_index(list(ROW))["value"]
        for system in settings.systems
        for protocol in settings.levels.values()
        for metric in settings.metrics
    }
    if empty := [" ".join(key) for key, values in groups.items() if values.empty]:
        raise InputError(f"no scores of {'; '.join(empty)}: make its samples with these prompts, and score them")
    rows_of = {
        protocol: set.intersection(*(set(values.index) for key, values in groups.items() if key[1] == protocol))
        for protocol in settings.levels.values()
    }
    clips = set.intersection(*({clip for clip, _ in rows} for rows in rows_of.values()))
    if len(clips) < 2:
        raise InputError(f"{len(clips)} clips have scores of every system, level and metric: a curve needs two")
    found = []
    for level, protocol in settings.levels.items():
        rows = sorted(row for row in rows_of[protocol] if row[0] in clips)
        bootstrap = ClipBootstrap([clip for clip, _ in rows], settings.bootstrap.resamples, settings.bootstrap.seed)
        for system, label in settings.systems.items():
            for metric in settings.metrics:
                estimate = bootstrap.mean(groups[system, protocol, metric].loc[rows].to_numpy())
                ends = estimate.interval(settings.bootstrap.level)
                values = [six_digits(value) for value in (estimate.value, *ends)]
                found.append([label, level, metric, *values, estimate.n, bootstrap.clips, HERE])
    return pd.DataFrame(found, columns=COLUMNS)


def read_published(path: str | Path) -> pd.DataFrame:
    """Other people's values: model, level, metric, value, and the source of each.

    Raises
    ------
    InputError
        If a column is missing, or a value has no source.
    """
    frame = pd.read_csv(path)
    if missing := [name for name in PUBLISHED if name not in frame]:
        raise InputError(f"{path} has no column {', '.join(missing)}, only {', '.join(frame.columns)}")
    if frame[PUBLISHED].isna().any(axis=None):
        raise InputError(f"{path}: every row needs {', '.join(PUBLISHED)}")
    return frame


def draw_conflict(
    scores: Sequence[Path], settings: ConflictCurveSettings, csv: Path, output: Path, published: Path | None = None
) -> None:
    """Write the curve as a table and as a figure.

    Parameters
    ----------
    scores : sequence of path
        Of the systems.
    settings : ConflictCurveSettings
    csv : path
        Table to write: ours with intervals, then the published values, each with its source.
    output : path
        SVG; equal scores give equal bytes.
    published : path, optional
        See :func:`read_published`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    ours = conflict_frame(pd.concat([pd.read_parquet(path) for path in scores], ignore_index=True), settings)
    others = pd.DataFrame(columns=COLUMNS) if published is None else read_published(published)
    others = others[others["metric"].isin(settings.metrics)]
    parts = [part for part in (ours, others.reindex(columns=COLUMNS)) if len(part)]
    with atomic_write(csv) as temporary:
        pd.concat(parts, ignore_index=True).to_csv(temporary, index=False)
    groups = [("measured here", ours), *([("published", others)] if len(others) else [])]
    count = len(settings.metrics)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * count + 2.4, 3.2 * len(groups)), layout="constrained")
        panels = figure.subplots(len(groups), count, squeeze=False, sharey="col" if settings.same_axes else False)
        for row, (title, values) in zip(panels, groups, strict=True):
            for panel, metric in zip(row, settings.metrics, strict=True):
                _draw_levels(panel, values[values["metric"] == metric])
                panel.set_title(f"{metric}, {title}", fontsize=10, loc="left")
            row[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)
        with atomic_write(output) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if output.suffix == ".svg" else None)


def _draw_levels(panel: "Axes", values: pd.DataFrame) -> None:
    """One curve for each model; bars where there are intervals."""
    levels = list(dict.fromkeys(values["level"]))
    places = {level: place for place, level in enumerate(levels)}
    for number, (label, points) in enumerate(values.groupby("model", sort=False)):
        style: dict[str, Any] = {"marker": MARKERS[number % len(MARKERS)], "color": COLOURS[number % len(COLOURS)]}
        across = points["level"].map(places)
        bars: list[pd.Series] | None = None
        if "low" in points and points["low"].notna().all():
            bars = [points["value"] - points["low"], points["high"] - points["value"]]
        panel.errorbar(across, points["value"], bars, label=label, **style, **BARS)
    panel.set_xticks(range(len(levels)), levels)
    panel.margins(x=0.12)
    panel.set_xlabel("conflict of picture and caption")
