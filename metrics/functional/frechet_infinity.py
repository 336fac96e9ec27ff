"""Frechet distance extrapolated to infinitely many clips (FD-inf).

The Frechet distance of n clips is too large by about c / n, with c different for each system, so that even equal n does
not make systems comparable. Here it is taken of subsets of several sizes, and a straight line over 1 / n is read where
1 / n is 0. The reference set is not cut: it is part of the definition.

Metrics
-------
:func:`frechet_infinity`, :func:`frechet_infinity_replicates`

Conventions
-----------
Rows are clips. Subsets are drawn without replacement, from a seed, as by Chong and Forsyth; fadtk draws with
replacement, which adds a bias of its own. Subsets below the number of dimensions leave the straight line (their
covariance has not its full rank); a straight line may fit them all the same, so a high `r_squared` is no proof. The
value may fall slightly below 0.

Source
------
Chong and Forsyth 2020 (arXiv:1911.07023); for sound Gui et al. 2024 (fadtk, arXiv:2311.01616).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cafa.common.errors import InputError
from metrics.functional.frechet import frechet_replicates
from metrics.functional.validation import as_rows, same_width

#: Sizes of subsets.
STEPS = 15
#: Sizes of subsets of a resample: a line through fewer points moves more, so intervals are rather too wide.
RESAMPLE_STEPS = 4
#: Fewest clips of a subset, where there are twice as many.
LEAST = 500
#: Fewest clips that a line can be put through with any sense.
MINIMUM = 20


@dataclass(frozen=True)
class FrechetInfinity:
    """An extrapolated Frechet distance with what is needed to judge it.

    Attributes
    ----------
    value
        Where the line meets 1 / n = 0.
    slope
        Of the line: what the distance of n clips is too large by, times n.
    r_squared
        Share of the variance of the distances that the line explains.
    sizes, distances
        Clips of each subset, and its distance, shapes (steps,).
    """

    value: float
    slope: float
    r_squared: float
    sizes: np.ndarray
    distances: np.ndarray


def subset_sizes(rows: int, steps: int = STEPS, least: int | None = None) -> np.ndarray:
    """Sizes of subsets of `rows` clips, equally far apart, the last one all of them.

    By default the smallest is a tenth of all, but not below 500, or half of them where there are fewer than 1000.

    Examples
    --------
    >>> subset_sizes(1000, steps=5).tolist()
    [500, 625, 750, 875, 1000]
    """
    if least is None:
        least = max(rows // 10, min(LEAST, rows // 2))
    if rows < MINIMUM or not 2 <= least < rows or steps < 2:
        raise InputError(
            f"a line over the number of clips needs {MINIMUM} clips or more and two sizes of subsets, "
            f"got {rows} clips, subsets from {least}, {steps} sizes"
        )
    return np.unique(np.linspace(least, rows, steps).astype(int))


def frechet_infinity(
    generated: ArrayLike,
    reference: ArrayLike,
    *,
    steps: int = STEPS,
    least: int | None = None,
    seed: int = 0,
    width: int | None = None,
) -> FrechetInfinity:
    """Frechet distance of infinitely many clips, from a straight line over 1 / n.

    Parameters
    ----------
    generated : array_like, shape (n, d), n >= 20
    reference : array_like, shape (m, d), m >= 2
    steps : int
        Sizes of subsets, from `least` to n.
    least : int, optional
        Clips of the smallest subset; by default as :func:`subset_sizes` says.
    seed : int
        Of the draws; the same one gives the same value.
    width : int, optional
        Where a row holds several embeddings of so many values one after the other: they are taken apart, and drawn
        together; sizes are of rows.

    Returns
    -------
    FrechetInfinity

    Raises
    ------
    InputError
        If there are too few clips, a value that is not finite, or the lengths differ.

    Examples
    --------
    Two samples of one distribution: the distance of 400 clips is far from 0, the extrapolated one is not.

    >>> import numpy as np
    >>> generator = np.random.default_rng(0)
    >>> reference, alike = generator.standard_normal((20000, 16)), generator.standard_normal((400, 16))
    >>> found = frechet_infinity(alike, reference)
    >>> bool(found.distances[-1] > 0.2 and abs(found.value) < 0.05)
    True
    """
    x = as_rows(generated, "generated embeddings", minimum=2, dtype=None)
    y = as_rows(reference, "reference embeddings", minimum=2, dtype=None)
    same_width(x, y, "generated and reference embeddings")
    sizes = subset_sizes(len(x), steps, least)
    generator = np.random.default_rng(seed)
    counts = np.zeros((len(sizes), len(x)), dtype=np.int8)
    for row, size in zip(counts, sizes, strict=True):
        row[generator.choice(len(x), size, replace=False)] = 1
    distances = _distances(x, y, counts, width)
    slope, value = np.polyfit(1.0 / sizes, distances, 1)
    left = distances - (value + slope / sizes)
    spread = float(((distances - distances.mean()) ** 2).sum())
    r_squared = 1.0 - float((left**2).sum()) / spread if spread > 0 else 1.0
    return FrechetInfinity(float(value), float(slope), r_squared, sizes, distances)


def frechet_infinity_replicates(
    generated: ArrayLike,
    reference: ArrayLike,
    counts: np.ndarray,
    *,
    steps: int = RESAMPLE_STEPS,
    seed: int = 0,
    width: int | None = None,
) -> np.ndarray:
    """Extrapolated Frechet distances of resampled generated sets to a fixed reference set.

    Subsets are drawn without replacement from the rows of each resample, copies included, at `steps` sizes; the draws
    are the same for all systems with these counts.

    Parameters
    ----------
    generated : array_like, shape (n, d), n >= 20
    reference : array_like, shape (m, d), m >= 2
    counts : numpy.ndarray of int, shape (resamples, n)
        How often each row is in each resample.
    steps : int
    seed : int
    width : int, optional
        As in :func:`frechet_infinity`.

    Returns
    -------
    numpy.ndarray, shape (resamples,)

    Raises
    ------
    InputError
        As :func:`frechet_infinity`.

    Examples
    --------
    >>> import numpy as np
    >>> generator = np.random.default_rng(0)
    >>> reference, alike = generator.standard_normal((20000, 16)), generator.standard_normal((400, 16))
    >>> once = np.ones((1, 400), dtype=int)
    >>> bool(abs(frechet_infinity_replicates(alike, reference, once)[0]) < 0.2)
    True
    """
    x = as_rows(generated, "generated embeddings", minimum=2, dtype=None)
    y = as_rows(reference, "reference embeddings", minimum=2, dtype=None)
    same_width(x, y, "generated and reference embeddings")
    generator = np.random.default_rng(seed)
    subsets, places = [], []
    for resample in np.asarray(counts, dtype=np.int64):
        sizes = subset_sizes(int(resample.sum()), steps)
        places.append(1.0 / sizes)
        drawn = np.repeat(np.arange(len(resample)), resample)
        for size in sizes:
            rows = generator.choice(drawn, size, replace=False)
            subsets.append(np.bincount(rows, minlength=len(resample)).astype(np.int16))
    distances = _distances(x, y, np.stack(subsets), width)
    ends = np.cumsum([len(place) for place in places])[:-1]
    return np.array(
        [np.polyfit(place, part, 1)[1] for place, part in zip(places, np.split(distances, ends), strict=True)]
    )


def _distances(x: np.ndarray, y: np.ndarray, counts: np.ndarray, width: int | None) -> np.ndarray:
    """Frechet distance of each subset of rows; of their pieces where a row holds several."""
    if width is None:
        return frechet_replicates(x, y, counts)
    pieces = x.shape[1] // width
    return frechet_replicates(x.reshape(-1, width), y.reshape(-1, width), counts.repeat(pieces, axis=1))
