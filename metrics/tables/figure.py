"""Figure of the trade-off that the asymmetric guidance scale makes (Figure 4 of the paper, from a table's csv)."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from metrics.tables.catalogue import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One for each curve, in order; they differ for people who do not tell red from green, and in grey.
COLOURS = ("#1f5a8a", "#d1691c", "#4c8f5b", "#8a4a86", "#6b6b6b")
MARKERS = "osD^v"
#: where labels of points stand, one place for each curve: (to the right, above); off the diagonal first, along which a
#: trade-off runs
LABEL_SIDES = ((False, True), (True, False), (True, True), (False, False))
#: Panels side by side.
COLUMNS = 3
#: White ground under a word, so that no line crosses it.
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
BARS: dict[str, Any] = {"capsize": 3, "elinewidth": 1.2, "linewidth": 1.5, "markersize": 6}
STYLE: dict[Any, Any] = {  # matplotlib names every key in its types
    "svg.hashsalt": "cafa",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}

Curve = Annotated[dict[float, str], Field(min_length=2)]


class FigureSettings(BaseModel):
    """What the figure shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    curves: Annotated[
        dict[str, Curve],
        Field(
            min_length=1,
            max_length=len(COLOURS),
            description="label of a curve -> asymmetric scale, gamma -> system that was sampled with it",
        ),
    ]
    metrics: Annotated[
        tuple[str, ...] | None,
        Field(min_length=1, description="one panel each against gamma; null = every metric of the table"),
    ] = None
    trade_off: Annotated[
        tuple[str, str], Field(description="metrics of the last panel: horizontal axis, vertical axis")
    ] = ("DeSync", "FAD")
    lines: Annotated[
        dict[str, str], Field(description="system -> label of a dashed line for comparison in the panels over gamma")
    ] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_former_keys(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "systems" in fields:
            raise ValueError(
                "`systems` (system -> scale) is now `curves`, of which there can be several: "
                "write `curves: {CAFA: {0: cafa_gamma0, 0.5: cafa}}`"
            )
        return fields

    @field_validator("curves", mode="before")
    @classmethod
    def _each_scale_once(cls, curves: Any) -> Any:
        """Keys of JSON are texts, so that `0.5` and `0.50` would be two, of which one is lost."""
        for label, points in curves.items() if isinstance(curves, dict) else ():
            if isinstance(points, dict) and len({float(scale) for scale in points}) < len(points):
                raise ValueError(f"curve {label}: two systems have the same scale: {points}")
        return curves


def read_curves(table: str | Path, settings: FigureSettings) -> dict[str, pd.DataFrame]:
    """Rows of a table's csv by curve, each in the order of its column ``gamma``.

    Raises
    ------
    InputError
        If a system or a metric is not in the table.
    """
    frame = pd.read_csv(table).set_index("system")
    systems = [name for points in settings.curves.values() for name in points.values()]
    if absent := [name for name in (*systems, *settings.lines) if name not in frame.index]:
        raise InputError(f"{table} has no row {', '.join(dict.fromkeys(absent))}, only {', '.join(frame.index)}")
    asked = (*(settings.metrics or ()), *settings.trade_off)
    METRICS.check(*asked)
    for metric in asked:
        if f"{metric}_low" not in frame:
            raise InputError(f"{table} has no column {metric} with an interval")
    return {
        label: frame.loc[list(points.values())].assign(gamma=list(points)).sort_values("gamma")
        for label, points in settings.curves.items()
    }


def metrics_of(table: str | Path) -> tuple[str, ...]:
    """Metrics of a table's csv that have intervals, in its order."""
    columns = [str(name) for name in pd.read_csv(table, nrows=0)]
    return tuple(name for name in columns if f"{name}_low" in columns)


def _label(metric: str) -> str:
    unit = f" ({METRICS[metric].unit})" if METRICS[metric].unit else ""
    better = METRICS[metric].better
    return f"{metric}{unit}, {better} is better" if better else f"{metric}{unit}"


def _errors(points: pd.DataFrame, metric: str) -> np.ndarray:
    """Distances to the interval's ends, shape (2, points)."""
    value = points[metric]
    return np.stack([value - points[f"{metric}_low"], points[f"{metric}_high"] - value]).clip(min=0.0)


def draw_trade_off(table: str | Path, settings: FigureSettings, output: str | Path) -> None:
    """Draw metrics against the asymmetric scale, and two of them against each other; a curve for every model.

    Parameters
    ----------
    table : path
        csv of a table: system, M, M_low, M_high of every metric M.
    settings : FigureSettings
    output : path
        SVG; equal tables give equal bytes. Any other format that matplotlib knows works as well.
    """
    import matplotlib
    from matplotlib.figure import Figure

    curves = read_curves(table, settings)
    frame = pd.read_csv(table).set_index("system")
    metrics = settings.metrics or metrics_of(table)
    METRICS.check(*metrics)
    lines = {label: frame.loc[[system]].iloc[0] for system, label in settings.lines.items()}
    rows = math.ceil((len(metrics) + 1) / COLUMNS)
    columns = min(COLUMNS, len(metrics) + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * columns, 3.1 * rows + 0.3), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, metric in zip(panels, metrics, strict=False):
            _draw_metric(panel, curves, metric, lines)
        _draw_plane(panels[len(metrics)], curves, settings.trade_off)
        for panel in panels[len(metrics) + 1 :]:
            panel.set_axis_off()
        _draw_legend(figure, panels[0])
        with atomic_write(output) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if Path(output).suffix == ".svg" else None)


def _draw_metric(panel: "Axes", curves: dict[str, pd.DataFrame], metric: str, lines: dict[str, pd.Series]) -> None:
    for place, (label, points) in enumerate(curves.items()):
        style: dict[str, Any] = {"marker": MARKERS[place], "color": COLOURS[place], "label": label, **BARS}
        panel.errorbar(points["gamma"], points[metric], _errors(points, metric), **style)
    for label, row in lines.items():
        panel.axhline(row[metric], color="#777777", linestyle="--", linewidth=1)
        place_of: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center"}
        panel.annotate(label, (0.28, row[metric]), color="#444444", fontsize=8, bbox=PLATE, **place_of)
    scales = sorted({gamma for points in curves.values() for gamma in points["gamma"]})
    panel.set_xticks(scales, [f"{gamma:g}" for gamma in scales])
    panel.margins(x=0.1)
    panel.set_xlabel("asymmetric scale γ")
    panel.set_title(_label(metric), fontsize=10, loc="left")


def _draw_plane(panel: "Axes", curves: dict[str, pd.DataFrame], metrics: tuple[str, str]) -> None:
    across, up = metrics
    for place, (label, points) in enumerate(curves.items()):
        style: dict[str, Any] = {"marker": MARKERS[place], "color": COLOURS[place], "label": label, **BARS}
        panel.errorbar(points[across], points[up], _errors(points, up), _errors(points, across), **style)
        to_right, above = LABEL_SIDES[place % len(LABEL_SIDES)]
        beside: dict[str, Any] = {
            "xytext": (8 if to_right else -8, 8 if above else -8),
            "textcoords": "offset points",
            "ha": "left" if to_right else "right",
            "va": "bottom" if above else "top",
        }
        # The points between follow in the order of gamma; labels of all of them cover each other.
        for row in points.iloc[sorted({0, len(points) - 1})].to_dict("records"):
            at = (row[across], row[up])
            panel.annotate(f"γ={row['gamma']:g}", at, fontsize=8, color=COLOURS[place], bbox=PLATE, **beside)
    panel.margins(x=0.18, y=0.12)
    panel.set_xlabel(_label(across))
    panel.set_ylabel(_label(up))
    panel.set_title("trade-off", fontsize=10, loc="left")


def _draw_legend(figure: "Figure", panel: "Axes") -> None:
    handles, labels = panel.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
