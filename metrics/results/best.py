"""Which value of a column is printed in bold."""

from collections.abc import Mapping

from metrics.results.folder import Results
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import LARGEST_SILENT_SHARE


def number(value: float, metric: str) -> str:
    """A metric's value as it is printed."""
    text = f"{value:.{METRICS[metric].decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def best_of(values: Mapping[str, float], metric: str) -> set[str]:
    """Keys of the best printed value; none if all have it, or there is only one."""
    printed = {key: float(number(value, metric)) for key, value in values.items()}
    if len(set(printed.values())) < 2:
        return set()
    best = (max if METRICS[metric].better == "higher" else min)(printed.values())
    return {key for key, value in printed.items() if value == best}


def contestants(results: Results) -> list[str]:
    """Systems that may have a best value: no controls, and none of which too many sounds are silent or constant."""
    findings, n = results.card.get("notes", {}).get("findings", {}), max(1, int(results.card["n"]))

    def silent(system: str) -> float:
        found = findings.get(system, {})
        return (found.get("silent", 0) + found.get("constant", 0)) / n

    return [s for s in results.systems if s not in results.controls and silent(s) <= LARGEST_SILENT_SHARE]
