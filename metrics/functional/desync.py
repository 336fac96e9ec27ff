"""How far sound and picture are apart in time (DeSync).

A synchronisation judge (Synchformer) classifies the offset between the picture and the sound of a window into a
grid of offsets in seconds. A window's value is ``|grid[argmax logits]|``. Two windows are judged in every clip, its
first and its last seconds; DeSync is the mean of all of them. Lower is better; from 0 to the largest offset of the
grid. An offset beyond the grid cannot be told from one within it.

Conventions
-----------
Where a clip is no longer than the window, the first and the last window are the same: such a clip has one
window, not two. The mean over clips of a clip's mean is the plain mean over all windows of clips with two.

Metrics
-------
:func:`desync`

Source
------
Iashin et al. 2024 (Synchformer, arXiv:2401.16423); two windows as in av-benchmark, there 4.8 s each and 21
offsets of 0.2 s in [-2, 2] s.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cafa.common.errors import InputError
from metrics.functional.validation import as_rows, same_shape


@dataclass(frozen=True)
class DeSync:
    """DeSync of every clip.

    Attributes
    ----------
    seconds
        Mean absolute offset of each clip's windows, shape (n,).
    windows
        Distinct windows of each clip, 1 or 2, shape (n,).
    """

    seconds: np.ndarray
    windows: np.ndarray


def desync(first_logits: ArrayLike, last_logits: ArrayLike, grid: ArrayLike) -> DeSync:
    """DeSync from the judge's logits over its grid of offsets.

    Parameters
    ----------
    first_logits, last_logits : array_like, shape (n, offsets)
        For the first and the last window of each clip.
    grid : array_like, shape (offsets,)
        Offset of each class in seconds, increasing.

    Returns
    -------
    DeSync

    Raises
    ------
    InputError
        If the grid does not fit the logits or is not an increasing list of finite numbers.

    Examples
    --------
    The judge finds the first window 0.2 s apart, and the last one in time.

    >>> desync([[0.1, 0.2, 5.0]], [[0.1, 3.0, 0.2]], grid=[-0.2, 0.0, 0.2]).seconds.tolist()
    [0.1]
    """
    first, last = as_rows(first_logits, "logits of first windows"), as_rows(last_logits, "logits of last windows")
    same_shape(first, last, "logits of first and last windows")
    offsets = np.asarray(grid, dtype=np.float64)
    if offsets.shape != (first.shape[1],):
        raise InputError(f"grid must have one offset per class, {first.shape[1]}, got shape {offsets.shape}")
    if not np.isfinite(offsets).all() or (np.diff(offsets) <= 0).any():
        raise InputError(f"grid must be increasing finite seconds, got {offsets.tolist()}")
    magnitude = np.abs(offsets)
    seconds = (magnitude[first.argmax(axis=1)] + magnitude[last.argmax(axis=1)]) / 2.0
    return DeSync(seconds, np.where((first == last).all(axis=1), 1, 2))
