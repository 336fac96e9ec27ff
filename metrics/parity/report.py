"""Reports of the judges' comparisons: with golden arrays, and with the published packages."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cafa.parity.golden_folder import golden_folder
from cafa.parity.report import report_rows
from metrics.parity.check import check_evaluators
from metrics.parity.reference_packages import write_parity


def report_evaluators(folder: Path | None, only: Sequence[str], say: Callable[[object], Any] = print) -> str:
    """Compare the judges with golden arrays; `folder` None: where the arrays are."""
    return report_rows(check_evaluators(golden_folder("evaluators", folder), only), say)


def report_packages(folder: Path, output: Path) -> str:
    """Compare the judges with what the published packages left; the csv is written, and its rows are the report."""
    rows = write_parity(folder, output)
    lines = [
        f"{row.package:<24}{row.version:<14}{row.quantity:<22}{row.ours:>14.6g}{row.theirs:>14.6g}"
        f"{row.max_difference:>11.2e}  {row.ok}"
        for row in rows
    ]
    failed = [row.quantity for row in rows if row.ok == "no"]
    return "\n".join([*lines, f"DO NOT AGREE: {', '.join(failed)}" if failed else "all that was compared agrees"])
