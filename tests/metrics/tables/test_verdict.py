import numpy as np
import pandas as pd
import pytest

from metrics.functional.bootstrap import Estimate
from metrics.functional.inception import inception_replicates, inception_score
from metrics.tables.compute import BootstrapSettings, Table, TableSettings, corrected_for_many, differences_frame
from metrics.tables.coverage import Coverage
from metrics.tables.verdict import best_among, better_of


@pytest.mark.parametrize(
    ("difference", "interval", "better"),
    [
        (0.05, (0.02, 0.09), "a"),
        (-0.05, (-0.09, -0.02), "b"),
        (0.05, (0.0, 0.09), "undecided"),  # touches
        (0.05, (0.004, 0.09), "undecided"),  # is printed as touching
        (-0.05, (-0.09, -0.004), "undecided"),
        (3e-12, (1e-12, 5e-12), "undecided"),  # what rounding leaves of equal values
        (0.004, (0.001, 0.008), "undecided"),
        (0.05, (-0.01, 0.09), "undecided"),
    ],
)
def test_the_verdict_is_of_the_printed_numbers(difference, interval, better):
    assert better_of("IS", "a", "b", difference, interval) == better
    swapped = {"a": "b", "b": "a"}.get(better, better)
    assert better_of("FAD", "a", "b", difference, interval) == swapped


def test_a_metric_without_direction_names_no_winner_and_no_best_value():
    assert better_of("LUFS", "a", "b", 9.0, (8.0, 10.0)) == "no direction"
    assert best_among({"a": -20.0, "b": -30.0}, "LUFS") == set()
    assert best_among({"a": 2.0, "b": 3.0}, "FAD") == {"a"}


def test_equal_systems_differ_by_rounding_only_and_nobody_wins():
    # The same answers from a batch of another size: equal but for the last digits, in every resample in one direction.
    logits = np.random.default_rng(0).normal(size=(40, 5))
    counts = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), size=200)
    estimates = {}
    for name, answers in {"one": logits, "other": logits * (1 + 1e-9)}.items():
        value = inception_score(answers, splits=1, seed=0).value
        replicates = inception_replicates(answers, counts, splits=1, seed=0)
        estimates[name] = {"IS": Estimate(value, replicates, 40, True, floor=1.0)}
    low, high = estimates["one"]["IS"].minus(estimates["other"]["IS"]).interval()
    assert low > 0 or high < 0  # the digits behind do speak for one of them
    settings = TableSettings(
        protocol="p",
        systems=("one", "other"),
        metrics=("IS",),
        compare=(("one", "other"),),
        bootstrap=BootstrapSettings(),
    )
    rows = pd.DataFrame({"clip_id": [f"c{i}" for i in range(40)], "caption_id": "x"})
    coverage = Coverage(rows, 40, 40, {})
    (row,) = differences_frame(Table(settings, coverage, estimates)).to_dict("records")
    assert (row["better"], row["better_holm"]) == ("undecided", "undecided")


def test_holm_keeps_what_was_never_a_contest():
    frame = pd.DataFrame({"metric": ["LUFS", "LUFS"], "better": ["no direction", "not compared"], "p": [0.9, 0.9]})
    assert corrected_for_many(frame, 0.95)["better_holm"].tolist() == ["no direction", "not compared"]
