"""The report of a comparison with golden arrays: a line for each array, and an error if one does not agree."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from cafa.common.errors import CafaError
from cafa.parity.check import check_generator
from cafa.parity.golden import ParityRow
from cafa.parity.golden_folder import golden_folder


class ParityError(CafaError):
    """Arrays do not agree with those of the published code."""


def report_rows(rows: Iterable[ParityRow], say: Callable[[object], Any]) -> str:
    """Say rows as they come; how many there were.

    Raises
    ------
    ParityError
        If one failed, or there was none.
    """
    say(f"{'array':<42}{'size':>9}{'max abs diff':>13}{'tolerance':>11}  ok")
    failed = count = 0
    for row in rows:
        say(row)
        count += 1
        failed += not row.ok
    found = f"{count} arrays, {failed} failed"
    if failed or not count:
        raise ParityError(found)
    return found


def report_generator(folder: Path | None, only: Sequence[str], say: Callable[[object], Any] = print) -> str:
    """Compare the generator (:func:`cafa.parity.check.check_generator`); `folder` None: where the arrays are."""
    return report_rows(check_generator(golden_folder("generator", folder), only), say)
