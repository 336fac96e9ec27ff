"""How much a number would move with other clips: bootstrap over clips.

A table's rows are (clip, caption). The captions of one clip share its picture, so they are not independent: whole
clips are drawn with replacement and bring all their rows (a cluster bootstrap). All systems of a table are resampled
with the same draws, which makes differences between systems paired: what a hard clip does to both cancels.

The intervals say how far the result depends on the clips that were scored. They say nothing about training again with
another seed.

Source
------
Efron and Tibshirani 1993, percentile interval; cluster bootstrap: Field and Welsh 2007.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from cafa.common.errors import InputError
from metrics.functional.validation import blocks_of


@dataclass(frozen=True)
class Estimate:
    """A value with its bootstrap replicates.

    Attributes
    ----------
    value
        Of the clips as they are.
    replicates
        Of the resampled clips, shape (resamples,).
    n
        Rows behind the value.
    recentre
        Shift the replicates so that their median is `value` before taking the interval. For metrics of sets: a resample
        holds only about 63 % of the distinct clips, which alone moves FAD up and IS down in every system.
        Their spread is meaningful, their place is not.
    floor
        Least value that the metric can take; no interval goes below it.
    facts
        What else is to be known of the value, by name: how well a line fits...

    Examples
    --------
    >>> import numpy as np
    >>> estimate = Estimate(0.5, np.linspace(0, 1, 101), n=10)
    >>> tuple(round(end, 3) for end in estimate.interval(0.9))
    (0.05, 0.95)
    """

    value: float
    replicates: np.ndarray
    n: int
    recentre: bool = False
    floor: float = -np.inf
    facts: Mapping[str, float] = field(default_factory=dict)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval, (low, high)."""
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(self.replicates, [tail, 1.0 - tail])
        shift = self.value - np.median(self.replicates) if self.recentre else 0.0
        return max(self.floor, float(low + shift)), float(high + shift)

    def minus(self, other: "Estimate") -> "Estimate":
        """Paired difference of two estimates that were resampled by the same draws."""
        if self.replicates.shape != other.replicates.shape or self.n != other.n:
            raise InputError(
                f"a paired difference needs the same clips and draws, got n {self.n} and {other.n}, "
                f"{len(self.replicates)} and {len(other.replicates)} replicates"
            )
        replicates = self.replicates - other.replicates
        return Estimate(self.value - other.value, replicates, self.n, self.recentre or other.recentre)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of estimates that were resampled by the same draws: several sounds of each row, as one system.

    Examples
    --------
    >>> import numpy as np
    >>> first, second = Estimate(0.25, np.array([0.0, 0.5]), n=2), Estimate(0.75, np.array([1.0, 0.5]), n=2)
    >>> mean_of([first, second]).value
    0.5
    """
    if not estimates:
        raise InputError("a mean needs at least one estimate")
    first = estimates[0]
    if any(one.replicates.shape != first.replicates.shape or one.n != first.n for one in estimates):
        raise InputError("a mean of estimates needs the same clips and draws of all of them")
    if len(estimates) == 1:
        return first
    value = float(np.mean([one.value for one in estimates]))
    replicates = np.mean([one.replicates for one in estimates], axis=0)
    recentre, floor = any(one.recentre for one in estimates), max(one.floor for one in estimates)
    return Estimate(value, replicates, first.n, recentre, floor)


class ClipBootstrap:
    """Draws of clips with replacement.

    Parameters
    ----------
    clip_ids : sequence of str
        Clip of every row, in any order.
    resamples : int
        Number of draws.
    seed : int
        Of the draws. They depend on the number of clips, `resamples` and `seed` only.

    Attributes
    ----------
    clips : int
        Distinct clips.
    row_counts : numpy.ndarray of int16, shape (resamples, rows)
        How often each row is in each resample: equal for all rows of a clip.

    Examples
    --------
    Four values of three clips: both rows of ``dog`` are drawn together.

    >>> bootstrap = ClipBootstrap(["dog", "dog", "cat", "rain"], resamples=200, seed=0)
    >>> estimate = bootstrap.mean([0.0, 1.0, 2.0, 3.0])
    >>> estimate.value, estimate.n, bootstrap.clips
    (1.5, 4, 3)
    """

    def __init__(self, clip_ids: Sequence[str], resamples: int, seed: int) -> None:
        names, clip_of_row = np.unique(np.asarray(clip_ids, dtype=str), return_inverse=True)
        if len(names) < 2:
            raise InputError(f"an interval needs at least 2 clips, got {len(names)}")
        if resamples < 1:
            raise InputError(f"resamples must be at least 1, got {resamples}")
        self.clips = len(names)
        generator, chances = np.random.default_rng(seed), np.full(self.clips, 1.0 / self.clips)
        draws = generator.multinomial(self.clips, chances, size=resamples)
        # Copies of a single clip have no spread, so metrics of sets are not defined on them: drawn again.
        while len(single := np.flatnonzero((draws > 0).sum(axis=1) < 2)):
            draws[single] = generator.multinomial(self.clips, chances, size=len(single))
        self.row_counts = draws.astype(np.int16)[:, clip_of_row]

    def mean(self, values: ArrayLike) -> Estimate:
        """Mean over rows of a value per row, shape (rows,), with its replicates."""
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (self.row_counts.shape[1],):
            raise InputError(f"expected {self.row_counts.shape[1]} values, one per row, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError(f"{(~np.isfinite(values)).sum()} of {len(values)} values are not finite")
        sums = np.zeros(len(self.row_counts))
        for rows in blocks_of(len(values)):
            sums += self.row_counts[:, rows].astype(np.float64) @ values[rows]
        return Estimate(float(values.mean()), sums / self.row_counts.sum(axis=1), len(values))
