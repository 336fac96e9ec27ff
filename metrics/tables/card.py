"""Protocol card: everything that a reader must know before comparing a number with another."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from metrics.tables.catalogue import METRICS
from metrics.tables.compute import Table
from metrics.tables.presets import names_elsewhere

#: Missing rows that are named one by one; the ledgers and indices hold all.
NAMED = 100


def _column(name: str) -> dict[str, str | None]:
    """What a column is: definition, unit, direction (None: neither), and its names elsewhere."""
    metric = METRICS[name]
    return {
        "meaning": metric.meaning,
        "unit": metric.unit,
        "better": metric.better,
        "judge": metric.judge,
        "elsewhere": names_elsewhere(name),
    }


def protocol_card(
    name: str,
    table: Table,
    *,
    judges: Mapping[str, Any],
    sound: Mapping[str, Sequence[float]],
    ledgers: pd.DataFrame,
    versions: Mapping[str, str],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """Protocol card of a table. It holds no time, so equal results give equal bytes.

    Parameters
    ----------
    name : str
        Of the table.
    table : Table
    judges : mapping
        See :func:`check_judges`.
    sound : mapping
        ``seconds`` and ``sample_rate`` of the scored sounds: all values that occur.
    ledgers : pandas.DataFrame
        Of the stages before the samples (:func:`cafa.common.ledger.read_ledgers`); may be empty.
    versions : mapping
        Package -> version.
    extra : mapping
        Anything else to record: seeds, settings, digests.

    Returns
    -------
    dict, JSON-serialisable
    """
    settings, coverage = table.settings, table.coverage
    lost = ledgers[ledgers["status"] != "ok"].sort_values(["stage", "clip_id"])
    stages = ledgers.groupby(["stage", "status"]).size()
    return {
        "table": name,
        "meaning": settings.meaning,
        "settings": settings.recorded(),
        "n": coverage.n,
        "n_clips": coverage.clips,
        "asked": coverage.asked,
        "asked_clips": coverage.asked_clips,
        "missing": {
            system: {
                "count": len(rows),
                "reasons": coverage.reasons(system),
                "first": rows.head(NAMED).to_dict("records"),
            }
            for system, rows in coverage.missing.items()
        },
        "stages": {
            str(stage): {str(status): int(n) for status, n in counts.droplevel(0).items()}
            for stage, counts in stages.groupby(level=0)
        },
        "clips_lost_before": lost.head(NAMED)[["clip_id", "stage", "status", "detail"]].to_dict("records"),
        "seconds_scored": sorted({float(value) for value in sound["seconds"]}),
        "sample_rate": sorted({int(value) for value in sound["sample_rate"]}),
        "judges": judges["judges"],
        "notes": table.notes,
        "columns": {name: _column(name) for name in settings.metrics},
        "intervals": {
            "method": "percentile bootstrap over clips; all rows of a clip stay together; one set of draws for "
            "all systems; FAD, KAD and IS recentred on their value; reference set fixed",
            **settings.bootstrap.model_dump(),
        },
        "versions": dict(versions),
        "extra": dict(extra),
    }
