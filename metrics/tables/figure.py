"""Figure of the trade-off that the asymmetric guidance scale makes (Figure 4 of the paper, from a table's csv)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from metrics.tables.catalogue import METRICS, metric_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE = "#1f5a8a"
#: From the smallest scale to the largest.
ORANGES = ("#f0a45d", "#e0762f", "#b4500f", "#7a3408", "#4a1f04")
MARKERS = "osD^vPX"
#: White ground under a word, so that no line crosses it.
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85}


class FigureSettings(BaseModel):
    """What the figure shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    systems: Annotated[dict[str, float], Field(min_length=2, description="system -> its asymmetric scale, gamma")]
    metrics: Annotated[tuple[str, ...], Field(min_length=2, description="one panel each against gamma")] = (
        "DeSync",
        "FAD",
        "CLAP",
    )
    trade_off: Annotated[
        tuple[str, str], Field(description="metrics of the last panel: horizontal axis, vertical axis")
    ] = ("DeSync", "FAD")
    lines: Annotated[
        dict[str, str], Field(description="system -> label of a dashed line for comparison in the panels over gamma")
    ] = {}


def read_points(table: str | Path, settings: FigureSettings) -> pd.DataFrame:
    """Rows of a table's csv that the figure needs, with a column ``gamma``, in its order.

    Raises
    ------
    InputError
        If a system or a metric is not in the table, or two systems have one scale.
    """
    frame = pd.read_csv(table).set_index("system")
    if absent := [name for name in (*settings.systems, *settings.lines) if name not in frame.index]:
        raise InputError(f"{table} has no row {', '.join(absent)}, only {', '.join(frame.index)}")
    for metric in (*settings.metrics, *settings.trade_off):
        metric_named(metric)
        if f"{metric}_low" not in frame:
            raise InputError(f"{table} has no column {metric} with an interval")
    if len(set(settings.systems.values())) != len(settings.systems):
        raise InputError(f"two systems of the figure have the same scale: {settings.systems}")
    points = frame.loc[list(settings.systems)].assign(gamma=list(settings.systems.values()))
    return points.sort_values("gamma")


def _label(metric: str) -> str:
    unit = f" ({METRICS[metric].unit})" if METRICS[metric].unit else ""
    return f"{metric}{unit}, {METRICS[metric].better} is better"


def _errors(points: pd.DataFrame, metric: str) -> np.ndarray:
    """Distances to the interval's ends, shape (2, points)."""
    value = points[metric]
    return np.stack([value - points[f"{metric}_low"], points[f"{metric}_high"] - value]).clip(min=0.0)


def draw_trade_off(table: str | Path, settings: FigureSettings, output: str | Path) -> None:
    """Draw metrics against the asymmetric scale, and two of them against each other.

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

    points = read_points(table, settings)
    frame = pd.read_csv(table).set_index("system")
    bars: dict[str, Any] = {"capsize": 3, "elinewidth": 1.2, "linewidth": 1.5, "markersize": 6}
    style: dict[Any, Any] = {  # matplotlib names every key in its types
        "svg.hashsalt": "cafa",
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "axes.axisbelow": True,
    }
    with matplotlib.rc_context(style):
        count = len(settings.metrics) + 1
        figure = Figure(figsize=(3.3 * count, 3.4), layout="constrained")
        panels = figure.subplots(1, count)
        for panel, metric in zip(panels, settings.metrics, strict=False):
            panel.errorbar(points["gamma"], points[metric], _errors(points, metric), marker="o", color=BLUE, **bars)
            for system, label in settings.lines.items():
                height = frame.loc[system, metric]
                panel.axhline(height, color="#777777", linestyle="--", linewidth=1)
                panel.annotate(
                    label,
                    (0.28, height),
                    xycoords=("axes fraction", "data"),
                    ha="center",
                    va="center",
                    color="#444444",
                    fontsize=8,
                    bbox=PLATE,
                )
            panel.set_xticks(points["gamma"], [f"{gamma:g}" for gamma in points["gamma"]])
            panel.margins(x=0.1)
            panel.set_xlabel("asymmetric scale γ")
            panel.set_title(_label(metric), fontsize=10, loc="left")
        _draw_plane(panels[-1], points, settings.trade_off, bars)
        with atomic_write(output) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if Path(output).suffix == ".svg" else None)


def _draw_plane(panel: "Axes", points: pd.DataFrame, metrics: tuple[str, str], bars: dict[str, Any]) -> None:
    across, up = metrics
    panel.plot(points[across], points[up], color="#999999", linewidth=1)
    x_errors, y_errors = _errors(points, across), _errors(points, up)
    for place, row in enumerate(points.to_dict("records")):
        shade = ORANGES[place * (len(ORANGES) - 1) // max(1, len(points) - 1)]
        panel.errorbar(
            row[across],
            row[up],
            y_errors[:, [place]],
            x_errors[:, [place]],
            marker=MARKERS[place % len(MARKERS)],
            color=shade,
            linestyle="none",
            label=f"γ = {row['gamma']:g}",
            **bars,
        )
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)
    panel.margins(x=0.15)
    panel.set_xlabel(_label(across))
    panel.set_ylabel(_label(up))
    panel.set_title("trade-off", fontsize=10, loc="left")
