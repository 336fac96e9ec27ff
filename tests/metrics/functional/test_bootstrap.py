"""Intervals: clips stay together, draws are shared, and an interval covers what it says it covers."""

import numpy as np
import pytest

from metrics.functional.bootstrap import ClipBootstrap, Estimate
from metrics.functional.frechet import frechet_distance, frechet_replicates


def test_all_rows_of_a_clip_are_drawn_together_and_draws_repeat():
    clips = [f"clip{number % 7}" for number in range(28)]
    bootstrap = ClipBootstrap(clips, 50, seed=1)
    assert bootstrap.clips == 7
    assert bootstrap.row_counts.shape == (50, 28)
    assert (bootstrap.row_counts.sum(axis=1) == 28).all()
    for clip in range(7):
        rows = bootstrap.row_counts[:, clip::7]
        assert (rows == rows[:, :1]).all()
    assert (ClipBootstrap(clips, 50, seed=1).row_counts == bootstrap.row_counts).all()
    assert (ClipBootstrap(clips, 50, seed=2).row_counts != bootstrap.row_counts).any()


def test_draws_belong_to_clips_whatever_the_order_of_rows():
    clips = np.array([f"clip{number % 5}" for number in range(20)])
    order = np.random.default_rng(0).permutation(20)
    straight = ClipBootstrap(clips, 30, seed=0).row_counts[:, order]
    assert (ClipBootstrap(clips[order], 30, seed=0).row_counts == straight).all()


def test_a_resample_of_one_clip_alone_is_never_given():
    counts = ClipBootstrap(["a", "b"], 400, seed=0).row_counts
    assert (counts == 1).all()


def test_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(8)
    clips = np.repeat(np.arange(40), 5).astype(str)
    hits_clustered = hits_naive = 0
    for trial in range(200):
        values = np.repeat(random.standard_normal(40), 5) + 0.3 * random.standard_normal(200)
        low, high = ClipBootstrap(clips, 200, seed=trial).mean(values).interval()
        hits_clustered += low <= 0 <= high
        low, high = ClipBootstrap(np.arange(200).astype(str), 200, seed=trial).mean(values).interval()
        hits_naive += low <= 0 <= high
    assert 0.88 <= hits_clustered / 200 <= 0.99
    assert hits_naive / 200 < 0.75  # rows taken for independent: the interval is much too narrow


def test_recentred_interval_of_a_set_metric_covers_where_the_plain_one_does_not():
    random = np.random.default_rng(4)
    reference = random.standard_normal((80, 12))
    clips = np.repeat(np.arange(40), 3).astype(str)

    def draw() -> np.ndarray:
        return (random.standard_normal((40, 1, 12)) * 0.6 + random.standard_normal((40, 3, 12))).reshape(120, 12)

    expected = np.mean([frechet_distance(draw(), reference).value for _ in range(300)])
    plain = recentred = 0
    for trial in range(60):
        x = draw()
        counts = ClipBootstrap(clips, 100, seed=trial).row_counts
        estimate = Estimate(frechet_distance(x, reference).value, frechet_replicates(x, reference, counts), 120, True)
        low, high = estimate.interval()
        recentred += low <= expected <= high
        low, high = np.quantile(estimate.replicates, [0.025, 0.975])
        plain += low <= expected <= high
    assert recentred / 60 >= 0.85
    assert plain / 60 < 0.7


def test_paired_difference_is_narrower_than_its_parts():
    random = np.random.default_rng(6)
    clips = [str(number) for number in range(60)]
    hardness = random.standard_normal(60)
    bootstrap = ClipBootstrap(clips, 300, seed=0)
    first = bootstrap.mean(hardness + 0.1 * random.standard_normal(60) + 0.2)
    second = bootstrap.mean(hardness + 0.1 * random.standard_normal(60))
    difference = first.minus(second)
    low, high = difference.interval()
    assert difference.value == pytest.approx(first.value - second.value)
    assert 0 < low < difference.value < high
    assert high - low < 0.3 * (first.interval()[1] - first.interval()[0])


def test_refuses_what_has_no_interval():
    with pytest.raises(ValueError, match="at least 2 clips, got 1"):
        ClipBootstrap(["a", "a"], 100, seed=0)
    bootstrap = ClipBootstrap(["a", "b"], 100, seed=0)
    with pytest.raises(ValueError, match="expected 2 values, one per row"):
        bootstrap.mean([1.0])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        bootstrap.mean([1.0, np.nan])
    with pytest.raises(ValueError, match="same clips and draws"):
        bootstrap.mean([1.0, 2.0]).minus(ClipBootstrap(["a", "b", "c"], 100, seed=0).mean([1.0, 2.0, 3.0]))
