"""Are our judges equal to the published packages? Every golden array, one row each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cafa.common.errors import InputError
from cafa.parity.golden import ParityRow
from metrics.parity.golden import read_golden


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
    from metrics.parity.cases import RULES

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
