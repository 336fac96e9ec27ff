"""Frechet distance between two sets of embeddings (FAD, FD).

``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))`` with means m and unbiased covariances S. Lower is better; 0 for
equal statistics. Units: squared units of the embedding.

Conventions
-----------
* Rows are clips. Every row of both sets counts; the sets need not be paired.
* The value falls with the number of clips (its bias is of the order d / n): compare sets of equal n only.

Metrics
-------
:func:`frechet_distance`, :func:`frechet_replicates`

Aliases
-------
On the embedding of PANNs Cnn14 (2048 values, after the last ReLU): "FAD" in the CAFA tables, "FD-PANN" in
av-benchmark. On VGGish it is the FAD of Kilgour et al. 2019 (arXiv:1812.08466). On any other judge it is comparable
with nothing but itself.

Notes
-----
Published code takes ``scipy.linalg.sqrtm`` of the product, which may return complex values, and reports -1 or
drops the imaginary part. Here the trace is taken from quantities that cannot be negative: the eigenvalues of the
symmetric matrix ``L' S1 L`` with ``S2 = L L'``, or, with fewer clips than dimensions, the singular values of the data.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dsygst

from metrics.functional.validation import as_rows, blocks_of, same_width


@dataclass(frozen=True)
class FrechetDistance:
    """A Frechet distance with what is needed to judge it.

    Attributes
    ----------
    value
        The distance, >= 0.
    n, n_reference
        Rows of the two sets.
    rank_deficiency
        Dimensions minus the largest rank that the covariance of the smaller set can have; 0 if it can be full.
        Above 0 the distance is computed, but most of it is noise of the sample.
    """

    value: float
    n: int
    n_reference: int
    rank_deficiency: int


def _gram(parts: Iterable[np.ndarray], width: int) -> np.ndarray:
    """Lower half of ``X'X``, shape (width, width), of rows X in parts: they need not be in memory all at once."""
    gram = np.zeros((width, width), order="F")
    for part in parts:
        gram = dsyrk(1.0, part.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def _centred(rows: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    """``rows - mean`` in float64, a block at a time."""
    return (rows[block] - mean for block in blocks_of(len(rows)))


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T


def _trace_of_root(first: np.ndarray, second: np.ndarray) -> float:
    """Tr (S1 S2)^(1/2) of the lower halves of (d, d), from the eigenvalues of ``L' S1 L`` with ``S2 = L L'``."""
    try:
        factor = np.linalg.cholesky(second)  # a tenth of the time of the root, which singular covariances need
        # LAPACK's own step for L' S1 L: a third of the time of two products, as it makes the lower half only.
        product, _ = dsygst(first, factor, itype=2, lower=1)
    except np.linalg.LinAlgError:
        factor = _square_root(second)
        product = factor.T @ (np.tril(first) + np.tril(first, -1).T) @ factor
    eigenvalues = np.linalg.eigvalsh(product, UPLO="L")
    return float(np.sqrt(eigenvalues.clip(min=0.0)).sum())


def _square(rows: np.ndarray) -> np.ndarray:
    """R of a QR decomposition of data, where that has fewer rows than the data."""
    if len(rows) <= rows.shape[1]:
        return rows
    triangle = np.linalg.qr(rows, mode="r")
    assert isinstance(triangle, np.ndarray)  # of this mode, one array
    return triangle


def _trace_of_root_from_data(first: np.ndarray, second: np.ndarray) -> float:
    """Tr (S1 S2)^(1/2) as the nuclear norm of centred data, shapes (n, d) and (m, d)."""
    scale = np.sqrt((len(first) - 1.0) * (len(second) - 1.0))
    # R of a QR decomposition has the same Gram matrix as the data, in d rows instead of n.
    first, second = _square(first), _square(second)
    return float(np.linalg.svd(first @ second.T, compute_uv=False).sum() / scale)


def frechet_distance(generated: ArrayLike, reference: ArrayLike) -> FrechetDistance:
    """Frechet distance between two sets of embeddings.

    Parameters
    ----------
    generated : array_like, shape (n, d), n >= 2
    reference : array_like, shape (m, d), m >= 2

    Returns
    -------
    FrechetDistance

    Raises
    ------
    InputError
        If a set has fewer than two rows, a value that is not finite, or the lengths differ.

    Examples
    --------
    Two sets of one shape, three apart in the first dimension: the distance is the square.

    >>> import numpy as np
    >>> reference = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(frechet_distance(reference + [3, 0, 0, 0], reference).value, 6)
    9.0
    """
    x = as_rows(generated, "generated embeddings", minimum=2, dtype=None)
    y = as_rows(reference, "reference embeddings", minimum=2, dtype=None)
    same_width(x, y, "generated and reference embeddings")
    x_mean, y_mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    offset = x_mean - y_mean
    if min(len(x), len(y)) < x.shape[1]:
        x, y = x - x_mean, y - y_mean
        total = np.vdot(x, x) / (len(x) - 1) + np.vdot(y, y) / (len(y) - 1)
        cross = _trace_of_root_from_data(x, y)
    else:
        width = x.shape[1]
        first, second = _gram(_centred(x, x_mean), width), _gram(_centred(y, y_mean), width)
        total = np.trace(first) / (len(x) - 1) + np.trace(second) / (len(y) - 1)
        cross = _trace_of_root(first, second) / np.sqrt((len(x) - 1.0) * (len(y) - 1.0))
    # Equal sets give a rounding error of either sign; a distance has none.
    value = max(0.0, float(offset @ offset + total - 2.0 * cross))
    return FrechetDistance(value, len(x), len(y), rank_deficiency(x, y))


def rank_deficiency(generated: np.ndarray, reference: np.ndarray) -> int:
    """Dimensions minus the largest rank that the covariance of the smaller of two sets (n, d) can have; at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> rank_deficiency(np.zeros((5, 12)), np.zeros((100, 12)))
    8
    """
    return max(0, generated.shape[1] - min(len(generated), len(reference)) + 1)


def frechet_replicates(generated: ArrayLike, reference: ArrayLike, counts: np.ndarray) -> np.ndarray:
    """Frechet distances of resampled generated sets to a fixed reference set.

    Parameters
    ----------
    generated : array_like, shape (n, d)
    reference : array_like, shape (m, d)
        Not resampled: it is part of the definition of the metric.
    counts : numpy.ndarray of int, shape (resamples, n)
        How often each row is in each resample.

    Returns
    -------
    numpy.ndarray, shape (resamples,)

    Examples
    --------
    >>> import numpy as np
    >>> reference = np.random.default_rng(0).standard_normal((50, 4))
    >>> once = np.ones((1, 50), dtype=int)
    >>> frechet_replicates(reference + [3, 0, 0, 0], reference, once).round(6).tolist()
    [9.0]
    """
    x = as_rows(generated, "generated embeddings", minimum=2, dtype=None)
    y = as_rows(reference, "reference embeddings", minimum=2, dtype=None)
    same_width(x, y, "generated and reference embeddings")
    y_mean = y.mean(axis=0, dtype=np.float64)
    covariance = _gram(_centred(y, y_mean), y.shape[1]) / (len(y) - 1)
    root = _square_root(covariance)
    sizes = counts.sum(axis=1, dtype=np.float64)
    means, squares = np.zeros((len(counts), x.shape[1])), np.zeros(len(counts))
    projected = np.empty(x.shape)
    for block in blocks_of(len(x)):
        rows, weights = x[block] - y_mean, counts[:, block].astype(np.float64)
        means += weights @ rows
        squares += weights @ (rows**2).sum(axis=1)
        projected[block] = rows @ root
    means /= sizes[:, None]
    lengths = (means**2).sum(axis=1)
    spreads = (squares - sizes * lengths) / (sizes - 1)
    crosses = np.array(
        [
            _trace_of_weighted_root(projected, row_counts, mean @ root) / np.sqrt(size - 1)
            for row_counts, mean, size in zip(counts, means, sizes, strict=True)
        ]
    )
    return (lengths + spreads + np.trace(covariance) - 2.0 * crosses).clip(min=0.0)


def _trace_of_weighted_root(rows: np.ndarray, row_counts: np.ndarray, mean: np.ndarray) -> float:
    """Tr (X'X)^(1/2) of rows (n, d), each as often as its count says, without their `mean`."""
    used = np.flatnonzero(row_counts)
    root_weights = np.sqrt(row_counts[used].astype(np.float64))[:, None]
    blocks = (root_weights[block] * (rows[used[block]] - mean) for block in blocks_of(len(used)))
    if len(used) < rows.shape[1]:
        # The smaller of the two Gram matrices: they share their eigenvalues that are not zero.
        centred = np.concatenate(list(blocks))
        gram = centred @ centred.T
    else:
        gram = _gram(blocks, rows.shape[1])
    return float(np.sqrt(np.linalg.eigvalsh(gram, UPLO="L").clip(min=0.0)).sum())
