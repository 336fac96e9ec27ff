"""How sure a difference is where several are looked at, and the smallest one that so many clips could show.

Source
------
Standard error from the bootstrap and its normal test: Efron and Tibshirani 1993, chapters 6 and 16. Several tests: Holm
1979. Detectable difference: the usual power formula, ``(z_{1 - alpha / 2} + z_{power}) * standard error``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from cafa.common.errors import InputError


def standard_error(replicates: ArrayLike) -> float:
    """Standard error of a value: the standard deviation of its bootstrap replicates, shape (resamples,).

    Examples
    --------
    >>> round(standard_error([1.0, 2.0, 3.0, 4.0, 5.0]), 4)
    1.5811
    """
    values = np.asarray(replicates, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"a standard error needs at least 2 replicates in one row, got shape {values.shape}")
    return float(values.std(ddof=1))


def p_value(difference: float, error: float) -> float:
    """Two-sided p of a difference with a standard error, by the normal distribution.

    Unlike counting replicates it has no least value, so it can be corrected for many comparisons. Where all clips
    differ by the same amount (`error` 0) it is 0, or 1 if that amount is 0.

    Examples
    --------
    >>> round(p_value(1.96, 1.0), 3)
    0.05
    """
    if error < 0 or not np.isfinite([difference, error]).all():
        raise InputError(f"need finite values and error >= 0, got difference {difference}, error {error}")
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2.0 * ndtr(-abs(difference) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for being looked at together, in their order (Holm's step-down rule).

    Comparing each with 0.05 keeps the probability of even one false claim among them below 0.05, whatever their
    dependence.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005, 0.2])]
    [0.04, 0.09, 0.09, 0.025, 0.2]
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"p values lie between 0 and 1, got {p_values}")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def detectable_difference(error: float, level: float = 0.95, power: float = 0.8) -> float:
    """Smallest true difference that would be found with probability `power`, at a standard error of the difference.

    Parameters
    ----------
    error : float
        Standard error of the paired difference, in the metric's unit.
    level : float
        Of the interval.
    power : float

    Examples
    --------
    >>> round(detectable_difference(1.0), 3)
    2.802
    """
    if error < 0 or not 0 < level < 1 or not 0 < power < 1:
        raise InputError(f"need error >= 0 and level, power between 0 and 1, got {error}, {level}, {power}")
    return float((ndtri(0.5 + level / 2) + ndtri(power)) * error)
