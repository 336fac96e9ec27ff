"""Inception score of generated clips (IS): is each clip one thing, and are all things there?

``exp(mean_i KL(p_i || p))`` with p_i the classifier's softmax for clip i and p its mean over the clips. Higher is
better; from 1 to the number of classes.

Conventions
-----------
Generated clips only: the score uses no reference.

Metrics
-------
:func:`inception_score`, :func:`inception_replicates`

Source
------
Salimans et al. 2016 (arXiv:1606.03498). As in av-benchmark and audioldm_eval the clips are shuffled with NumPy's
``RandomState(2020)`` and cut in 10 contiguous splits; the mean over the splits is reported. A split of few clips is
biased low (a split of one clip scores exactly 1): with hundreds of clips prefer one split. The order of the rows
matters slightly if there is more than one split: sort them by name.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, xlogy

from cafa.common.errors import InputError
from metrics.functional.validation import as_rows, blocks_of

#: Fewest clips of a split: one of n clips cannot score above n, and a split of one clip scores 1 whatever it holds.
LEAST_IN_SPLIT = 10


def usable_splits(clips: int, wanted: int) -> int:
    """The wanted number of splits, or as many as have :data:`LEAST_IN_SPLIT` clips each; at least one.

    Examples
    --------
    >>> usable_splits(1000, 10), usable_splits(25, 10), usable_splits(5, 10)
    (10, 2, 1)
    """
    return max(1, min(wanted, clips // LEAST_IN_SPLIT))


@dataclass(frozen=True)
class InceptionScore:
    """Mean and population standard deviation over the splits, number of clips and of splits."""

    value: float
    std: float
    n: int
    splits: int


def _split_scores(
    probabilities: np.ndarray, negative_entropies: np.ndarray, rows: np.ndarray, splits: int, seed: int
) -> np.ndarray:
    """Scores of the splits of `rows`, which are places in the arrays of all clips."""
    n = len(rows)
    # Splitting as peers do needs the legacy generator: its stream for a seed is frozen.
    order = np.random.RandomState(seed).permutation(n) if splits > 1 else np.arange(n)
    scores = np.empty(splits)
    for split in range(splits):
        part = rows[order[split * n // splits : (split + 1) * n // splits]]
        marginal = probabilities[part].mean(axis=0)
        # mean KL(p_i || marginal) = mean_i sum p_i log p_i - sum marginal log marginal
        scores[split] = np.exp(negative_entropies[part].mean() - xlogy(marginal, marginal).sum())
    return scores


def _softmax(logits: ArrayLike, splits: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, shape (n, classes), and the sum of p log p of each row."""
    generated = as_rows(logits, "generated logits", dtype=None)
    if splits < 1 or len(generated) < splits:
        raise InputError(
            f"inception score needs at least one clip per split: got {len(generated)} clips and {splits} splits; "
            "give more clips or fewer splits"
        )
    p, negative_entropies = np.empty(generated.shape), np.empty(len(generated))
    for rows in blocks_of(len(generated)):
        log_p = log_softmax(generated[rows].astype(np.float64), axis=1)
        p[rows] = np.exp(log_p)
        negative_entropies[rows] = (p[rows] * log_p).sum(axis=1)
    return p, negative_entropies


def inception_score(logits: ArrayLike, *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """Inception score of a set of clips.

    Parameters
    ----------
    logits : array_like, shape (n, classes)
        The classifier's logits of the generated clips.
    splits : int
        Number of parts that are scored separately and averaged.
    seed : int
        Of the shuffle before splitting; without effect if `splits` is 1.

    Returns
    -------
    InceptionScore

    Raises
    ------
    InputError
        If there are fewer clips than splits.

    Examples
    --------
    Four clips, each clearly of another of four classes: the largest score of four clips.

    >>> import numpy as np
    >>> round(inception_score(50 * np.eye(4), splits=1).value, 6)
    4.0
    """
    probabilities, negative_entropies = _softmax(logits, splits)
    clips = len(probabilities)
    scores = _split_scores(probabilities, negative_entropies, np.arange(clips), splits, seed)
    return InceptionScore(float(scores.mean()), float(scores.std()), clips, splits)


def inception_replicates(logits: ArrayLike, counts: np.ndarray, *, splits: int = 10, seed: int = 2020) -> np.ndarray:
    """Inception scores of resampled sets.

    Parameters
    ----------
    logits : array_like, shape (n, classes)
    counts : numpy.ndarray of int, shape (resamples, n)
        How often each row is in each resample.
    splits, seed : int
        As in :func:`inception_score`.

    Returns
    -------
    numpy.ndarray, shape (resamples,)

    Examples
    --------
    All clips once, and two of them twice.

    >>> import numpy as np
    >>> inception_replicates(50 * np.eye(4), np.array([[1, 1, 1, 1], [2, 2, 0, 0]]), splits=1).round(6).tolist()
    [4.0, 2.0]
    """
    probabilities, negative_entropies = _softmax(logits, splits)
    scores = np.empty(len(counts))
    for number, row_counts in enumerate(counts):
        rows = np.repeat(np.arange(len(probabilities)), row_counts)
        scores[number] = _split_scores(probabilities, negative_entropies, rows, splits, seed).mean()
    return scores
