"""Reading what an evaluation, or a table of the workflow, has written."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cafa.common.errors import InputError
from cafa.common.files import read_json
from metrics.tables.catalogue import METRICS

#: Ends of the names of a table's other files, in place of its own ``.csv``.
CARD, DIFFERENCES = ".card.json", ".differences.csv"


@dataclass(frozen=True)
class Cell:
    """A value of a table, with its interval and the number of sounds behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Results:
    """A table with its protocol card.

    Attributes
    ----------
    table
        Its csv.
    card
        Its protocol card.
    frame
        Its rows.
    """

    table: Path
    card: Mapping[str, Any]
    frame: pd.DataFrame

    @property
    def systems(self) -> list[str]:
        """Rows of the table."""
        return self.frame["system"].tolist()

    @property
    def controls(self) -> list[str]:
        """Rows that do not compete."""
        return list(self.card["settings"]["controls"])

    @property
    def metrics(self) -> list[str]:
        """Columns of the table."""
        return list(self.card["settings"]["metrics"])

    @property
    def level(self) -> float:
        """Of the intervals."""
        return float(self.card["intervals"]["level"])

    @cached_property
    def _rows(self) -> dict[str, dict[Any, Any]]:
        return {str(row["system"]): row for row in self.frame.to_dict("records")}

    def cell(self, system: str, metric: str) -> Cell:
        """A value."""
        row = self._rows[system]
        value, low, high = (float(row[f"{metric}{end}"]) for end in ("", "_low", "_high"))
        return Cell(value, low, high, int(row[f"{metric}_n"]))

    @cached_property
    def clips(self) -> pd.DataFrame | None:
        """Every sound's scores, where the folder holds them (an evaluation's does)."""
        path = self.table.with_name("clips.parquet")
        return pd.read_parquet(path) if path.is_file() else None

    def beside(self, name: str) -> pd.DataFrame | None:
        """A csv beside the table; None if there is none."""
        path = self.table.with_name(name)
        return pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.is_file() else None

    @property
    def differences(self) -> pd.DataFrame | None:
        """Paired differences of systems."""
        return self.beside(f"{self.table.stem}{DIFFERENCES}")

    @property
    def files(self) -> list[Path]:
        """The files of these results that are small enough to hand on."""
        names = [f"{self.table.stem}{end}" for end in (".csv", ".md", CARD, DIFFERENCES)]
        names += ["clips.parquet", "categories.csv", "missing.csv"] if self.clips is not None else []
        return [path for name in names if (path := self.table.with_name(name)).is_file()]


def read_results(place: Path) -> Results:
    """Read an evaluation's output folder, or a table (``.csv``) of the workflow with its card beside it.

    Raises
    ------
    InputError
        If there is no table or card, or a metric of it is not known.
    """
    table = place / "table.csv" if place.is_dir() else place
    card = table.with_name(f"{table.stem}{CARD}")
    if lacking := [path for path in (table, card) if not path.is_file()]:
        raise InputError(
            f"no results at {place}: {' and '.join(map(str, lacking))} missing; give the --output folder of "
            "`cafa evaluate`, or a table's .csv"
        )
    results = Results(table, read_json(card), pd.read_csv(table, dtype={"system": str}, keep_default_na=False))
    try:
        metrics = results.metrics
        columns = [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high", "_n")]
        results.card["judges"], results.level, results.controls
    except (KeyError, TypeError) as error:
        raise InputError(f"{card} is no protocol card of a table: it has no {error}") from error
    if strange := [metric for metric in metrics if metric not in METRICS]:
        raise InputError(
            f"{table} has metrics that are not known here: {', '.join(strange)}; known: {', '.join(METRICS)}"
        )
    if absent := [name for name in ("system", "n", "n_clips", *columns) if name not in results.frame]:
        raise InputError(f"{table} lacks the columns {', '.join(absent)} that its card speaks of")
    numbers = results.frame[columns].apply(pd.to_numeric, errors="coerce")
    if not np.isfinite(numbers.to_numpy(dtype=float)).all():
        raise InputError(f"{table} holds values that are no finite numbers")
    return results
