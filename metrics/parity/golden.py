"""Proof of equality with the published evaluators: our judges against stored arrays.

A golden folder holds ``.npz`` files that the published code wrote, with weights that are a function of names
and shapes (`metrics.parity.weights`) and inputs that are formulas (`metrics.parity.inputs`). Numbers of clips, seconds
and segments are read from the stored shapes and names, so another folder of the same layout can be checked.
Every stored array becomes one row; an array or a file that no rule knows is a failure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cafa.common.errors import InputError
from cafa.common.files import read_json
from cafa.parity.golden import ParityRow


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
