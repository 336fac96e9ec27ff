"""Kernel distance between two sets of embeddings (KAD).

``100 MMD^2``, the unbiased estimate of the squared maximum mean discrepancy with a Gaussian kernel
``k(a, b) = exp(-|a - b|^2 / (2 s^2))``, s the median distance between two clips of the reference set. Lower is
better. Unbiased: its expectation does not depend on the number of clips, and it is around 0 (of either sign) for sets
of the same distribution. It is printed beside the Frechet distance, which has a strong bias on small sets.

Conventions
-----------
Rows are clips; the sets need not be paired. They should be independent draws: sounds that are in both sets (a
reference that holds the very clips that were scored) push the value below 0, the more the smaller the sets. Compare
systems with each other, not with 0. The bandwidth s comes from the reference set alone, so it is the same for
all systems.

Metrics
-------
:func:`kernel_distance`, :func:`kernel_replicates`, :func:`median_distance`

Source
------
Chung et al. 2025 (KAD, arXiv:2502.15602); kernel, bandwidth and factor 100 as in its toolkit. The polynomial kernel
``(a.b / d + 1)^3`` is that of KID (Binkowski et al. 2018, arXiv:1801.01401).
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cafa.common.errors import InputError
from metrics.functional.validation import as_rows, same_width

Kernel = Literal["gaussian", "polynomial"]

SCALE = 100.0
#: Rows whose kernel values are held at a time.
BLOCK = 512
#: Above this many rows the median distance is that of a subset, evenly spaced.
MEDIAN_ROWS = 4000


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of all pairs, by one matrix product: for long embeddings the fastest way."""
    centre = y.mean(axis=0)  # small norms, so that little is lost where they cancel
    x, y = x - centre, y - centre
    return ((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2.0 * x @ y.T).clip(min=0.0)


def median_distance(reference: ArrayLike) -> float:
    """Median Euclidean distance between two rows, the bandwidth of the Gaussian kernel.

    Raises
    ------
    InputError
        If it is 0, because more than half of all pairs are equal.

    Examples
    --------
    >>> median_distance([[0.0], [1.0], [3.0]])
    2.0
    """
    rows = as_rows(reference, "reference embeddings", minimum=2)
    if len(rows) > MEDIAN_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MEDIAN_ROWS).astype(int)]
    pairs = np.triu_indices(len(rows), k=1)
    bandwidth = float(np.sqrt(np.median(_squared_distances(rows, rows)[pairs])))
    if bandwidth == 0.0:
        raise InputError("median distance of the reference embeddings is 0: most of them are equal")
    return bandwidth


def _kernel_blocks(
    x: np.ndarray, y: np.ndarray, kernel: Kernel, bandwidth: float
) -> Iterator[tuple[slice, np.ndarray]]:
    """Kernel values of all pairs, a block of rows of `x` at a time."""
    for start in range(0, len(x), BLOCK):
        rows = slice(start, min(start + BLOCK, len(x)))
        if kernel == "gaussian":
            yield rows, np.exp(_squared_distances(x[rows], y) / (-2.0 * bandwidth**2))
        elif kernel == "polynomial":
            yield rows, (x[rows] @ y.T / x.shape[1] + 1.0) ** 3
        else:
            raise InputError(f"kernel must be 'gaussian' or 'polynomial', got {kernel!r}")


def kernel_replicates(
    generated: ArrayLike,
    reference: ArrayLike,
    counts: np.ndarray,
    *,
    kernel: Kernel = "gaussian",
    bandwidth: float | None = None,
) -> np.ndarray:
    """Kernel distances of resampled generated sets to a fixed reference set.

    Copies of one row in a resample are not compared with each other: such pairs would not exist in a new draw of
    clips and would bias the estimate.

    Parameters
    ----------
    generated : array_like, shape (n, d), n >= 2
    reference : array_like, shape (m, d), m >= 2
    counts : numpy.ndarray of int, shape (resamples, n)
        How often each row is in each resample.
    kernel : {"gaussian", "polynomial"}
    bandwidth : float, optional
        Of the Gaussian kernel; by default :func:`median_distance` of the reference set.

    Returns
    -------
    numpy.ndarray, shape (resamples,)
        100 times the squared maximum mean discrepancy.

    Examples
    --------
    >>> import numpy as np
    >>> reference = np.random.default_rng(0).standard_normal((50, 4))
    >>> twice = np.full((1, 50), 2)  # every clip twice is as good as every clip once
    >>> bool(kernel_replicates(reference, reference, twice)[0] < 0.1)
    True
    """
    x = as_rows(generated, "generated embeddings", minimum=2)
    y = as_rows(reference, "reference embeddings", minimum=2)
    same_width(x, y, "generated and reference embeddings")
    if bandwidth is None:
        bandwidth = median_distance(y) if kernel == "gaussian" else 1.0
    weights = np.asarray(counts, dtype=np.float64).T  # (n, resamples)
    within_y = 0.0
    for rows, values in _kernel_blocks(y, y, kernel, bandwidth):
        within_y += values.sum() - values[np.arange(len(values)), np.arange(rows.start, rows.stop)].sum()
    within_x = np.zeros(weights.shape[1])
    across = np.zeros(weights.shape[1])
    for rows, values in _kernel_blocks(x, x, kernel, bandwidth):
        values[np.arange(len(values)), np.arange(rows.start, rows.stop)] = 0.0
        within_x += (weights[rows] * (values @ weights)).sum(axis=0)
    for rows, values in _kernel_blocks(x, y, kernel, bandwidth):
        across += values.mean(axis=1) @ weights[rows]
    size = weights.sum(axis=0)
    pairs = size**2 - (weights**2).sum(axis=0)
    if not pairs.all():
        raise InputError("a resample holds only one distinct row: give more clips")
    return SCALE * (within_x / pairs + within_y / (len(y) * (len(y) - 1)) - 2.0 * across / size)


def kernel_distance(
    generated: ArrayLike,
    reference: ArrayLike,
    *,
    kernel: Kernel = "gaussian",
    bandwidth: float | None = None,
) -> float:
    """Kernel distance between two sets of embeddings; parameters as in :func:`kernel_replicates`.

    Returns
    -------
    float
        100 times the unbiased squared maximum mean discrepancy; may be slightly negative.

    Examples
    --------
    >>> import numpy as np
    >>> generator = np.random.default_rng(0)
    >>> reference, alike, other = (generator.standard_normal((100, 4)) + shift for shift in (0, 0, 2))
    >>> bool(kernel_distance(alike, reference) < 1 < kernel_distance(other, reference))
    True
    """
    once = np.ones((1, len(as_rows(generated, "generated embeddings", minimum=2))), dtype=np.int16)
    return float(kernel_replicates(generated, reference, once, kernel=kernel, bandwidth=bandwidth)[0])
