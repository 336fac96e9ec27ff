"""Values that steps report, left on the device until several steps are read at once.

Reading a value waits until a GPU has done all that it was given to do, and then it has nothing to do until it is given
more: a loop that reads the loss of every step keeps it waiting in every step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cafa.common.errors import CafaError
from cafa.training.distributed import Processes

#: steps that are read at once on a GPU. More of them would save little, and a run that is asked to end, or has gone
#: astray, would notice it later
STEPS_AT_ONCE = 4
#: among the values of processes: whether one of them was asked to end
ASKED = "asked to end"


def steps_at_once(device: torch.device) -> int:
    """How many steps are read at once; on a CPU values are there, and each step is read for itself."""
    return 1 if device.type == "cpu" else STEPS_AT_ONCE


@dataclass(frozen=True)
class _Step:
    step: int
    parts: Sequence[dict[str, Tensor]]
    norm: Tensor | None


class StepValues:
    """Scalars of optimiser steps that have not been read yet.

    Parameters
    ----------
    processes : Processes
        All of them add the same steps, and read at the same.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._steps: list[_Step] = []

    def add(self, step: int, parts: Sequence[dict[str, Tensor]], norm: Tensor | None) -> None:
        """Take the values of a step.

        Parameters
        ----------
        step : int
        parts : sequence of dict of str to Tensor
            Scalars of every part of its batch; the loss is among them.
        norm : Tensor, optional
            Of the gradient, which is the same in all processes.
        """
        self._steps.append(_Step(step, parts, norm))

    def read(self, asked: bool) -> tuple[list[dict[str, float]], bool]:
        """A row for every step that was added since the last reading, and whether a process was asked to end.

        Parameters
        ----------
        asked : bool
            Whether this one was. Signals reach processes at different moments: what one knows now all know.

        Raises
        ------
        CafaError
            If a loss is not finite.
        """
        taken, self._steps = self._steps, []
        own = [_means(step.parts) for step in taken]
        mine = {(place, name): mean for place, row in enumerate(own) for name, mean in row.items()}
        of_all = self._processes.mean({ASKED: float(asked), **mine})
        norms = _numbers([step.norm for step in taken if step.norm is not None])
        rows = []
        for place, (step, row) in enumerate(zip(taken, own, strict=True)):
            values = {name: of_all[place, name] for name in row}
            if not math.isfinite(values["loss"]):
                raise CafaError(f"the loss became {values['loss']} at step {step.step}: lower the learning rate")
            rows.append({"step": step.step, **values, **({"gradient_norm": norms[place]} if norms else {})})
        return rows, of_all[ASKED] > 0


def _means(parts: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """Mean of each value over the parts of a batch."""
    means: dict[str, float] = {}
    for values in parts:
        for name, number in zip(values, _numbers(list(values.values())), strict=True):
            means[name] = means.get(name, 0.0) + number / len(parts)
    return means


def _numbers(scalars: Sequence[Tensor]) -> list[float]:
    """Scalars of a device, read at once."""
    numbers: list[float] = torch.stack(list(scalars)).tolist() if scalars else []
    return numbers
