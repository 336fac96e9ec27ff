"""Is our generator equal to the published code? Every golden array, one row each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from cafa.common.errors import InputError
from cafa.parity.golden import ParityRow, read_golden_arrays


def check_generator(folder: str | Path, only: Sequence[str] = ()) -> Iterator[ParityRow]:
    """Compare the generator's parts with the golden arrays in `folder`, row by row as they are ready.

    Parameters
    ----------
    folder : path
    only : sequence of str
        Names of pairs; empty = all, smallest model first.

    Raises
    ------
    InputError
        If the folder has no golden arrays, or none of a name in `only`.
    """
    from cafa.parity.cases import rule_for, weights_of

    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise InputError(f"{folder} holds no golden arrays (*.json with *.npz beside them)")
    if unknown := set(only) - {path.stem for path in paths}:
        raise InputError(f"{folder} has no golden arrays called {', '.join(sorted(unknown))}")
    pairs = [read_golden_arrays(path) for path in paths if not only or path.stem in only]
    with torch.inference_mode():
        for golden in sorted(pairs, key=lambda pair: (weights_of(pair), pair.stem)):
            rule = rule_for(golden)
            if rule is not None:
                yield from rule(golden)
            yield from golden.unanswered()
