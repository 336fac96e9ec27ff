"""Win rates, their intervals, agreement and planning."""

import numpy as np
import pandas as pd
import pytest

from cafa.common.errors import InputError
from metrics.study.win_rates import half_width, pairs_needed, win_rate, win_rates


def ratings(table: np.ndarray) -> pd.DataFrame:
    """From an array (raters, pairs) with NaN where there is no rating."""
    rater, pair = np.nonzero(~np.isnan(table))
    won = table[rater, pair]
    return pd.DataFrame({"rater": [f"r{n}" for n in rater], "pair": [f"p{n}" for n in pair], "won": won})


def test_pairs_count_alike_however_often_they_were_rated() -> None:
    table = np.array([[1, 1, 0], [1, np.nan, 0], [0, np.nan, 1]], dtype=float)
    found = win_rate(ratings(table))
    assert found.rate == pytest.approx(((2 / 3) + 1 + (1 / 3)) / 3)
    assert (found.pairs, found.raters, found.ratings) == (3, 3, 7)
    assert found.low <= found.rate <= found.high


def test_agreement_is_one_where_all_agree_and_undefined_without_two_raters() -> None:
    agreed = np.repeat([[1.0, 0.0, 1.0, 0.0]], 3, axis=0)
    assert win_rate(ratings(agreed)).alpha == pytest.approx(1.0)
    assert np.isnan(win_rate(ratings(agreed[:1])).alpha)
    assert np.isnan(win_rate(ratings(np.ones((3, 4)))).alpha)


def test_the_interval_holds_the_true_rate_as_often_as_it_says() -> None:
    # 60 studies with pairs and raters that differ: nominal 95 %, the bootstrap over both errs on the wide side.
    rng, held, widths = np.random.default_rng(11), 0, []
    for study in range(60):
        chance = np.clip(0.7 + rng.normal(0, 0.12, 40)[None] + rng.normal(0, 0.08, 8)[:, None], 0, 1)
        table = (rng.random(chance.shape) < chance).astype(float)
        table[rng.random(table.shape) > 0.6] = np.nan
        found = win_rate(ratings(table), resamples=400, seed=study)
        held += found.low <= 0.7 <= found.high
        widths.append(found.high - found.low)
    assert held >= 54
    assert np.mean(widths) < 0.3


def test_a_second_rating_of_one_pair_is_refused() -> None:
    twice = pd.concat([ratings(np.ones((2, 2)))] * 2)
    with pytest.raises(InputError, match="rated pair p0 twice"):
        win_rate(twice)
    with pytest.raises(InputError, match="no rating"):
        win_rate(twice.iloc[:0])
    with pytest.raises(InputError, match="no column criterion, opponent, protocol"):
        win_rates(twice)


def test_planning_is_the_binomial_formula_with_a_design_effect() -> None:
    assert half_width(0.5, 100, 1) == pytest.approx(1.96 * 0.05)
    assert half_width(0.5, 100, 4, agreement=1.0) == pytest.approx(half_width(0.5, 100, 1))
    assert half_width(0.5, 100, 4, agreement=0.0) == pytest.approx(half_width(0.5, 400, 1))
    needed = pairs_needed(0.7, 0.05, 5, 0.3)
    assert half_width(0.7, needed, 5, 0.3) <= 0.05 < half_width(0.7, needed - 1, 5, 0.3)
    with pytest.raises(InputError, match="between 0 and 1"):
        half_width(1.2, 10, 1)
