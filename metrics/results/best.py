"""Which value of a column is printed in bold."""

from collections.abc import Mapping

from metrics.results.folder import Results
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import LARGEST_SILENT_SHARE
from metrics.tables.verdict import best_among, printed


def number(value: float, metric: str) -> str:
    """A metric's value as it is printed."""
    return printed(value, METRICS[metric].decimals)


def best_of(values: Mapping[str, float], metric: str) -> set[str]:
    """Keys of the best printed value; see :func:`metrics.tables.verdict.best_among`."""
    return best_among(values, metric)


def contestants(results: Results) -> list[str]:
    """Systems that may have a best value: no controls, and none of which too many sounds are silent or constant."""
    findings, n = results.card.get("notes", {}).get("findings", {}), max(1, int(results.card["n"]))

    def silent(system: str) -> float:
        found = findings.get(system, {})
        return (found.get("silent", 0) + found.get("constant", 0)) / n

    return [s for s in results.systems if s not in results.controls and silent(s) <= LARGEST_SILENT_SHARE]
