"""Win rates of a study with intervals, the raters' agreement, and how many pairs a study needs."""

from dataclasses import dataclass

import krippendorff
import numpy as np
import pandas as pd

from cafa.common.errors import InputError

#: Columns of the answers: one row per rater, pair and criterion. `won` is 1 for the studied system, 0, or 0.5 (a tie).
ANSWER_COLUMNS = ("rater", "pair", "criterion", "opponent", "protocol", "won")


@dataclass(frozen=True)
class WinRate:
    """How often a system is preferred.

    Attributes
    ----------
    rate : float
        Mean over pairs of the share of raters who preferred the system, as the paper averages.
    low, high : float
        95 % interval.
    pairs, raters, ratings : int
    alpha : float
        Krippendorff's alpha of the ratings (nominal); NaN where no pair has two ratings, or all are equal.
    """

    rate: float
    low: float
    high: float
    pairs: int
    raters: int
    ratings: int
    alpha: float


def win_rate(answers: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> WinRate:
    """Win rate of one comparison and criterion.

    The interval is of a bootstrap over pairs and over raters at once: both are drawn with replacement, and a rating
    counts as often as its pair was drawn times as often as its rater was [1]_. It is wider than one over pairs alone
    where raters differ, because other raters would have answered otherwise.

    Parameters
    ----------
    answers : pandas.DataFrame
        Columns ``rater``, ``pair``, ``won`` (1, 0 or 0.5); one row per rating.
    resamples : int
    seed : int

    Raises
    ------
    InputError
        If there is no rating, or a rater rated a pair twice.

    References
    ----------
    .. [1] Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1(2).
    """
    if answers.empty:
        raise InputError("no rating is left to compute a win rate from")
    if answers.duplicated(["rater", "pair"]).any():
        twice = answers[answers.duplicated(["rater", "pair"])].iloc[0]
        raise InputError(f"rater {twice['rater']} rated pair {twice['pair']} twice")
    pairs, pair_of = np.unique(answers["pair"].to_numpy(dtype=str), return_inverse=True)
    raters, rater_of = np.unique(answers["rater"].to_numpy(dtype=str), return_inverse=True)
    won = answers["won"].to_numpy(dtype=np.float64)
    rate = float(_mean_over_pairs(won, pair_of, np.ones((1, len(won))), np.ones((1, len(pairs))))[0])
    rng = np.random.default_rng(seed)
    pair_draws = rng.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=resamples).astype(np.float64)
    rater_draws = rng.multinomial(len(raters), np.full(len(raters), 1 / len(raters)), size=resamples)
    replicates = _mean_over_pairs(won, pair_of, rater_draws[:, rater_of].astype(np.float64), pair_draws)
    low, high = np.nanquantile(replicates, [0.025, 0.975])
    return WinRate(rate, float(low), float(high), len(pairs), len(raters), len(won), _alpha(won, pair_of, rater_of))


def _mean_over_pairs(
    won: np.ndarray, pair_of: np.ndarray, rating_weights: np.ndarray, pair_weights: np.ndarray
) -> np.ndarray:
    """Weighted mean over pairs of their weighted mean rating, for each row of weights; pairs without ratings drop."""
    onehot = np.zeros((len(won), pair_weights.shape[1]))
    onehot[np.arange(len(won)), pair_of] = 1.0
    counts = rating_weights @ onehot
    sums = (rating_weights * won) @ onehot
    shares = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    weights = pair_weights * (counts > 0)
    total = weights.sum(axis=1)
    return np.divide((weights * shares).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)


def _alpha(won: np.ndarray, pair_of: np.ndarray, rater_of: np.ndarray) -> float:
    table = np.full((rater_of.max() + 1, pair_of.max() + 1), np.nan)
    table[rater_of, pair_of] = won
    rated = (~np.isnan(table)).sum(axis=0)
    values = np.unique(won)
    if not (rated > 1).any() or len(values) < 2:
        return float("nan")
    return float(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal", value_domain=values))


def win_rates(answers: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Win rates of every opponent, criterion and protocol.

    Parameters
    ----------
    answers : pandas.DataFrame
        Columns :data:`ANSWER_COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        ``opponent``, ``criterion``, ``protocol`` and the fields of :class:`WinRate`, in the order of appearance.
    """
    missing = [name for name in ANSWER_COLUMNS if name not in answers]
    if missing:
        raise InputError(f"answers have no column {', '.join(missing)}")
    rows = []
    for keys, group in answers.groupby(["opponent", "criterion", "protocol"], sort=False):
        rows.append(
            dict(zip(("opponent", "criterion", "protocol"), keys, strict=True))
            | vars(win_rate(group, resamples=resamples, seed=seed))
        )
    return pd.DataFrame(rows)


def half_width(rate: float, pairs: int, ratings: int, agreement: float = 0.3) -> float:
    """Half of the 95 % interval that a study will have, about.

    Ratings of one pair are alike: with an intraclass correlation of `agreement`, `ratings` of them tell as much as
    ``ratings / (1 + (ratings - 1) * agreement)`` independent ones (the design effect of cluster samples, Kish 1965).

    Parameters
    ----------
    rate : float
        Win rate expected.
    pairs, ratings : int
        Pairs of the comparison, and ratings of each.
    agreement : float
        Intraclass correlation, 0 to 1; Krippendorff's alpha of a pilot study is a good guess.
    """
    if not 0 <= rate <= 1 or not 0 <= agreement <= 1 or pairs < 1 or ratings < 1:
        raise InputError("a rate and an agreement are between 0 and 1; pairs and ratings are at least 1")
    effective = pairs * ratings / (1 + (ratings - 1) * agreement)
    return 1.96 * float(np.sqrt(rate * (1 - rate) / effective))


def pairs_needed(rate: float, width: float, ratings: int, agreement: float = 0.3) -> int:
    """Pairs of a comparison for an interval of ``rate`` plus and minus `width`; see :func:`half_width`."""
    if width <= 0:
        raise InputError(f"the half width must be above 0, got {width}")
    effective = 1.96**2 * rate * (1 - rate) / width**2
    return max(1, int(np.ceil(effective * (1 + (ratings - 1) * agreement) / ratings)))
