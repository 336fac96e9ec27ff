"""Scores of single samples for the page of examples."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from cafa.common.errors import InputError
from cafa.common.tables import records, row_tuples
from cafa.data.sample_index import keyed
from metrics.tables.catalogue import METRICS
from metrics.tables.metric import Metric

Direction = Literal["highest", "lowest"]


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

    def metrics(self, asked: Collection[str]) -> list[Metric]:
        """Metrics of single sounds that are shown: those `asked` for, or all of which some system has values.

        Raises
        ------
        InputError
            If one that is asked for is not known, or is of sets.
        """
        if of_sets := [name for name in asked if METRICS[name].of_sets]:
            raise InputError(f"{', '.join(of_sets)}: metrics of sets, of which a single sound has no value")
        if asked:
            return [METRICS[name] for name in asked] if self._of else []
        known = {name for table in self._of.values() for name in table.columns}
        return [metric for name, metric in METRICS.items() if name in known and not metric.of_sets]

    def of(self, system: str, key: str, metrics: Collection[Metric]) -> list[float | None]:
        """Scores of a sample; None where it has no value."""
        table = self._of.get(system)
        if table is None or key not in table.index:
            return [None] * len(metrics)
        row = records(table.loc[[key]])[0]
        return [float(row[m.name]) if pd.notna(row.get(m.name)) else None for m in metrics]

    def worst(
        self, by: Mapping[str, Direction], count: int, among: Mapping[str, pd.Index]
    ) -> list[tuple[str, str, str, float]]:
        """The `count` worst samples of each system by each metric, worst first; equal ones in the order of their names.

        Parameters
        ----------
        by : mapping of str to {"highest", "lowest"}
            Metric -> which of its values are the worst.
        count : int
        among : mapping of str to pandas.Index
            System whose samples are looked at -> keys of those that can be shown.

        Returns
        -------
        list of (str, str, str, float)
            System, key of the sample (``clip_id/caption_id/protocol``), metric, value.
        """
        found = []
        for system, keys in among.items():
            table = self._of.get(system, pd.DataFrame())
            for metric, direction in by.items():
                values = table[metric].dropna() if metric in table else pd.Series(dtype=float)
                shown = values[values.index.isin(keys)].rename("value").rename_axis("key").reset_index()
                order = shown.sort_values(["value", "key"], ascending=[direction == "lowest", True]).head(count)
                found += [(system, str(row.key), metric, float(row.value)) for row in row_tuples(order)]
        return found
