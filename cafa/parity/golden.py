"""Proof of equality with the published code: our models against stored arrays.

A golden folder holds pairs ``<name>.json`` and ``<name>.npz`` that the published code wrote, with weights that are a
function of names and shapes (:mod:`cafa.parity.weights`). Everything needed (sizes, inputs, settings) is read from the
folder. Each stored array becomes one row; an array or a file that no rule knows is a failure.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.common.files import read_json


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
class GoldenArrays:
    """One pair of files, and the rows made from it.

    Parameters
    ----------
    stem : str
        Name of the pair.
    about : dict
        Content of the JSON file.
    arrays : dict of str to ndarray
        Content of the npz file.
    """

    stem: str
    about: dict[str, Any]
    arrays: dict[str, np.ndarray]
    answered: set[str] = field(default_factory=set)

    def keys(self) -> dict[str, list[int]]:
        """Published names and shapes of the weights."""
        return {self.about["key_prefix"] + name: shape for name, shape in self.about["keys"].items()}

    def tensor(self, name: str) -> Tensor:
        """A stored array as float32."""
        if name not in self.arrays:
            raise InputError(f"{self.stem}: there is no array {name!r}")
        return torch.from_numpy(self.arrays[name].astype(np.float32))

    def inputs(self, *names: str) -> list[ParityRow]:
        """Rows of those stored arrays among `names`, which are given to the model."""
        stored = [name for name in names if name in self.arrays]
        return [self.given(name, "input") for name in stored]

    def compare(
        self, name: str, found: Tensor | np.ndarray, tolerance: float, relative: bool = False, steps: bool = False
    ) -> list[ParityRow]:
        """Row of one result; none if the folder does not hold it.

        Parameters
        ----------
        name : str
            Stored array.
        found : Tensor or ndarray
            Our result, same shape.
        tolerance : float
            Largest absolute difference allowed.
        relative : bool
            Multiply the tolerance by the largest stored value.
        steps : bool
            Compare every index of the first axis on its own scale; the row is that of the worst one.
        """
        if name not in self.arrays:
            return []
        self.answered.add(name)
        label, stored = f"{self.stem}/{name}", self.arrays[name].astype(np.float64)
        found = np.asarray(found, np.float64)
        if found.shape != stored.shape:
            note = f"shape {found.shape}, stored {stored.shape}"
            return [ParityRow(label, stored.size, None, tolerance, False, note)]
        rows = (len(stored) if steps else 1, -1)
        differences = np.abs(found - stored).reshape(rows).max(axis=1)
        allowed = tolerance * (np.abs(stored).reshape(rows).max(axis=1) if relative else np.ones(rows[0]))
        worst = int((differences - allowed).argmax())
        # also false for a difference that is not a number
        ok = bool((differences <= allowed).all())
        return [ParityRow(label, stored.size, float(differences[worst]), float(allowed[worst]), ok)]

    def given(self, name: str, note: str) -> ParityRow:
        """Row of an array that is not compared, and why."""
        self.answered.add(name)
        return ParityRow(f"{self.stem}/{name}", self.arrays[name].size, None, None, True, note)

    def unanswered(self) -> list[ParityRow]:
        """Rows of the arrays that no rule has answered."""
        return [
            ParityRow(f"{self.stem}/{name}", value.size, None, None, False, "no rule for an array of this name")
            for name, value in self.arrays.items()
            if name not in self.answered
        ]


def read_golden_arrays(json_path: Path) -> GoldenArrays:
    """Read a pair of files; the npz must be the one whose SHA-256 the JSON names.

    Raises
    ------
    InputError
        If the npz is missing or another one.
    """
    npz_path, about = json_path.with_suffix(".npz"), read_json(json_path)
    if not npz_path.is_file():
        raise InputError(f"{npz_path} is missing beside {json_path.name}")
    found = hashlib.sha256(npz_path.read_bytes()).hexdigest()
    if about.get("npz_sha256", found) != found:
        raise InputError(f"{npz_path} is not the file that {json_path.name} describes (sha256 {found[:12]})")
    with np.load(npz_path, allow_pickle=False) as content:
        return GoldenArrays(json_path.stem, about, dict(content))
