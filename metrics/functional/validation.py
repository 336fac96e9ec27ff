"""Checks that every metric makes before it computes: bad arrays are refused, never scored.

Conventions
-----------
A set of clips is a 2-D array, one row per clip. Metrics compute in float64, of large sets a block of rows at a time.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cafa.common.errors import InputError

#: Rows that are held in float64 at a time.
ROWS_AT_ONCE = 1024


def blocks_of(rows: int) -> Iterator[slice]:
    """Places of `rows` rows, :data:`ROWS_AT_ONCE` at a time.

    Examples
    --------
    >>> list(blocks_of(1500))
    [slice(0, 1024, None), slice(1024, 1500, None)]
    """
    return (slice(start, min(start + ROWS_AT_ONCE, rows)) for start in range(0, rows, ROWS_AT_ONCE))


def as_rows(array: ArrayLike, name: str, *, minimum: int = 1, dtype: DTypeLike | None = np.float64) -> np.ndarray:
    """Return `array` as rows of numbers, or say why it is none.

    Parameters
    ----------
    array : array_like, shape (n, d)
        One row per clip.
    name : str
        What the array is, for the message.
    minimum : int
        Fewest rows that the metric is defined for.
    dtype : dtype, optional
        Of the result; None: as it comes, without a copy.

    Returns
    -------
    numpy.ndarray, shape (n, d)

    Raises
    ------
    InputError
        If it is not two-dimensional, has too few rows or no columns, or holds a value that is not finite.

    Examples
    --------
    >>> as_rows([[1, 2], [3, 4]], "embeddings").shape
    (2, 2)
    """
    rows = np.asarray(array, dtype=dtype)
    if rows.ndim != 2:
        raise InputError(f"{name} must have two dimensions (clips, values), got shape {rows.shape}")
    if len(rows) < minimum or rows.shape[1] == 0:
        raise InputError(f"{name} must have at least {minimum} row(s) and one column, got shape {rows.shape}")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(
            f"{name} holds values that are not finite in {len(bad)} of {len(rows)} rows, first row {bad[0]}: "
            "find the clip and make its embedding again"
        )
    return rows


def same_shape(first: np.ndarray, second: np.ndarray, names: str) -> None:
    """Raise `InputError` unless two arrays that are compared row by row have one shape.

    Examples
    --------
    >>> import numpy as np
    >>> same_shape(np.zeros((2, 3)), np.zeros((3, 3)), "first and second")
    Traceback (most recent call last):
    ...
    cafa.common.errors.InputError: first and second must have the same shape, got (2, 3) and (3, 3)
    """
    if first.shape != second.shape:
        raise InputError(f"{names} must have the same shape, got {first.shape} and {second.shape}")


def same_width(first: np.ndarray, second: np.ndarray, names: str) -> None:
    """Raise `InputError` unless two sets have embeddings of one length.

    Examples
    --------
    >>> import numpy as np
    >>> same_width(np.zeros((2, 3)), np.zeros((5, 3)), "first and second")  # nothing to say
    """
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"{names} must have embeddings of the same length, got {first.shape[1]} and {second.shape[1]}: "
            "they come from different judges"
        )
