"""Scores of single samples for the page of examples, and what failed: samples with the worst scores, and those lost."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from cafa.common.errors import InputError
from cafa.common.tables import row_tuples
from cafa.data.sample_index import keyed

Direction = Literal["highest", "lowest"]


@dataclass(frozen=True)
class Failure:
    """A sample that has the worst score of its system.

    Attributes
    ----------
    system, metric : str
    value : float
    key : str
        ``clip_id/caption_id/protocol``.
    """

    system: str
    metric: str
    value: float
    key: str


class ScoreTable:
    """Scores of systems, one value for each sample and metric.

    Parameters
    ----------
    folder : path, optional
        Holds ``<system>.parquet`` (`cafa score`); None: nothing is known.
    systems : collection of str

    Raises
    ------
    InputError
        If a system has no scores there.
    """

    def __init__(self, folder: Path | None, systems: Collection[str]) -> None:
        self._of: dict[str, pd.DataFrame] = {}
        for system in systems if folder is not None else ():
            assert folder is not None
            path = folder / f"{system}.parquet"
            if not path.is_file():
                raise InputError(f"there are no scores of {system}: {path} is missing; score it (`cafa score`)")
            rows = keyed(pd.read_parquet(path))
            self._of[system] = rows.assign(key=rows.index).pivot_table(index="key", columns="metric", values="value")

    def of(self, system: str, key: str, metrics: Collection[str]) -> list[tuple[str, float]]:
        """Scores of a sample, (metric, value), of those metrics that it has."""
        table = self._of.get(system)
        if table is None or key not in table.index:
            return []
        row = dict(zip(table.columns, table.loc[[key]].to_numpy()[0].tolist(), strict=True))
        return [(name, row[name]) for name in metrics if name in row and pd.notna(row[name])]

    def failures(self, worst: Mapping[str, Direction], count: int, among: Mapping[str, pd.Index]) -> list[Failure]:
        """The `count` worst samples of each system by each metric, worst first; equal ones in the order of their names.

        Parameters
        ----------
        worst : mapping of str to {"highest", "lowest"}
            Metric -> which of its values are the worst.
        count : int
        among : mapping of str to pandas.Index
            System -> keys of samples that can be shown.
        """
        found = []
        for system, table in self._of.items():
            for metric, direction in worst.items():
                values = table[metric].dropna() if metric in table else pd.Series(dtype=float)
                shown = values[values.index.isin(among[system])].rename("value").rename_axis("key").reset_index()
                order = shown.sort_values(["value", "key"], ascending=[direction == "lowest", True]).head(count)
                found += [Failure(system, metric, float(row.value), str(row.key)) for row in row_tuples(order)]
        return found
