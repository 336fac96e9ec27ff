"""Proof of equality with the published evaluators: our judges against stored arrays.

A golden folder holds ``.npz`` files that the published code wrote, with weights that are a function of names
and shapes (`metrics.parity_weights`) and inputs that are formulas (`metrics.parity_inputs`). Numbers of clips, seconds
and segments are read from the stored shapes and names, so another folder of the same layout can be checked.
Every stored array becomes one row; an array or a file that no rule knows is a failure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cafa.errors import InputError
from cafa.files import read_json


@dataclass(frozen=True)
class ParityRow:
    """What became of one stored array.

    Attributes
    ----------
    name
        ``<file>/<array>``.
    size
        Number of values.
    max_abs_difference
        None where nothing was compared.
    tolerance
        Largest difference allowed; None where nothing was compared.
    ok
        False if the difference is larger, the shapes differ, or no rule knows the array.
    note
        Why nothing was compared, or what failed.
    """

    name: str
    size: int
    max_abs_difference: float | None
    tolerance: float | None
    ok: bool
    note: str = ""

    def __str__(self) -> str:
        numbers = "".join(
            f"{'-' if value is None else format(value, '.3g'):>12}"
            for value in (self.max_abs_difference, self.tolerance)
        )
        return f"{self.name:<42}{self.size:>9}{numbers}  {'ok' if self.ok else 'FAIL'}{self.note and f' ({self.note})'}"


@dataclass
class Golden:
    """One file of stored arrays, and which of them have been answered.

    Attributes
    ----------
    path
        The file; its folder holds the lists of names.
    arrays
        Its content.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    answered: set[str] = field(default_factory=set)

    @property
    def gain(self) -> float:
        """Factor on the weights, stored as ``mult``."""
        return float(self.stored("mult"))

    def stored(self, name: str) -> np.ndarray:
        """An array that a rule cannot do without."""
        if name not in self.arrays:
            raise InputError(f"{self.path.name} has no array {name!r}, which says how its other arrays were made")
        return self.arrays[name]

    def has(self, *names: str) -> bool:
        """Whether any of these arrays is stored: a network is only built if it is asked for."""
        return any(name in self.arrays for name in names)

    def given(self, name: str, note: str = "input") -> ParityRow:
        """Row of an array that is not compared."""
        self.answered.add(name)
        return ParityRow(f"{self.path.stem}/{name}", self.arrays[name].size, None, None, True, note)

    def compare(self, name: str, found: object, tolerance: float) -> Iterator[ParityRow]:
        """One row if ``name`` is stored, none else."""
        if name not in self.arrays:
            return
        self.answered.add(name)
        label = f"{self.path.stem}/{name}"
        stored, ours = self.arrays[name].astype(np.float64), np.asarray(found, np.float64)
        if stored.shape != ours.shape:
            yield ParityRow(label, stored.size, None, tolerance, False, f"shape {ours.shape}, stored {stored.shape}")
            return
        difference = float(np.abs(stored - ours).max())
        # also False for a difference that is not a number
        yield ParityRow(label, stored.size, difference, tolerance, difference <= tolerance)

    def unanswered(self) -> Iterator[ParityRow]:
        """Rows of the arrays that no rule has answered."""
        for name in sorted(self.arrays.keys() - self.answered):
            if name == "mult":
                yield self.given(name)
            else:
                size = self.arrays[name].size
                yield ParityRow(f"{self.path.stem}/{name}", size, None, None, False, "no rule for this array")


def read_golden(path: Path) -> Golden:
    """Read ``.npz`` arrays, or the numbers of a ``.json`` file as arrays without dimensions."""
    if path.suffix == ".json":
        return Golden(path, {name: np.asarray(value) for name, value in read_json(path).items()})
    with np.load(path, allow_pickle=False) as content:
        return Golden(path, dict(content))


def check_evaluators(folder: Path, only: Sequence[str] = ()) -> Iterator[ParityRow]:
    """Rows as they are ready, smallest network first.

    Parameters
    ----------
    folder
        Golden arrays of the published evaluators.
    only
        Names of files without suffix; empty = all.

    Raises
    ------
    InputError
        If there is nothing to check, or none of a name in ``only``.
    """
    from metrics.parity_cases import RULES

    # Lists of names and shapes are inputs of the rules.
    paths = [*Path(folder).glob("*.npz"), *(path for path in Path(folder).glob("metrics.json"))]
    if not paths:
        raise InputError(f"{folder} holds no golden arrays (*.npz)")
    if unknown := set(only) - {path.stem for path in paths}:
        raise InputError(f"{folder} has no golden arrays called {', '.join(sorted(unknown))}")
    order = list(RULES)
    chosen = [path for path in paths if not only or path.stem in only]
    for path in sorted(chosen, key=lambda path: (order.index(path.stem) if path.stem in RULES else -1, path.stem)):
        golden = read_golden(path)
        if path.stem in RULES:
            yield from RULES[path.stem](golden)
        yield from golden.unanswered()


def evaluator_parity(golden_dir: Path, only: Sequence[str] = ()) -> list[ParityRow]:
    """All rows of `check_evaluators`.

    The largest network, ImageBind's vision tower, takes about 3.5 GB of memory; everything about 2 CPU-minutes.
    """
    return list(check_evaluators(golden_dir, only))


def print_evaluator_parity(golden_dir: Path, only: Sequence[str] = ()) -> int:
    """Print one line per array as it is ready; return 1 if one failed or there was none, else 0."""
    print(f"{'array':<42}{'size':>9}{'max abs diff':>12}{'tolerance':>12}  ok")
    count = failed = 0
    for row in check_evaluators(golden_dir, only):
        print(row, flush=True)
        count += 1
        failed += not row.ok
    print(f"{count} arrays, {failed} failed")
    return int(failed > 0 or count == 0)
