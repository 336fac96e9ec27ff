"""Demands on judges against what happens when judges are drawn at random."""

import numpy as np
import pytest

from metrics.judge_quality.limits import REFUSED, Mean, Trials
from metrics.judge_quality.published import CANARIES, DEMANDS, PARAPHRASES, CanarySettings, verdict

DRAWS = 200_000


@pytest.mark.parametrize("n", [8, 24, 100])
@pytest.mark.parametrize("good", [0.5, 0.6, 0.85])
def test_trials_refuse_and_pass_as_often_as_stated(n: int, good: float):
    demand = Trials(good=good, guessing=1 / (2 * n - 1))
    limit = demand.threshold(n)
    errors = demand.errors(limit, n)
    assert errors.refuses_good <= REFUSED
    generator = np.random.default_rng(0)
    refused = (generator.binomial(n, good, DRAWS) / n < limit).mean()
    passed = (generator.binomial(n, demand.guessing, DRAWS) / n >= limit).mean()
    assert refused == pytest.approx(errors.refuses_good, abs=1e-3)
    assert passed == pytest.approx(errors.passes_guessing, abs=1e-3)
    # One right answer more would be too strict.
    assert demand.errors(limit + 1 / n, n).refuses_good > REFUSED


def test_eight_pairs_and_three_quarters_refused_good_judges():
    old = Trials(good=0.85, guessing=1 / 15).errors(0.75, 8)
    assert old.refuses_good > 0.1
    assert DEMANDS["paraphrase_retrieval"].errors(0.0, len(PARAPHRASES)).passes_guessing == 1.0


@pytest.mark.parametrize("demand", [demand for demand in DEMANDS.values() if isinstance(demand, Mean)])
@pytest.mark.parametrize("n", [1, 3, 50, 300, 1000])
def test_means_refuse_no_more_than_stated(demand: Mean, n: int):
    limit = demand.threshold(n)
    errors = demand.errors(limit, n)
    independent = max(n // demand.clips_each, 1)
    # The widest spread that a mean of values in [0, span] can have.
    shares = np.random.default_rng(0).binomial(independent, demand.good / demand.span, DRAWS) / independent
    bad = shares * demand.span < limit if demand.direction == 1 else shares * demand.span > limit
    assert bad.mean() <= errors.refuses_good
    assert errors.refuses_good <= REFUSED * 1.0001 or limit in (0.0, demand.span)
    assert 0 <= limit <= demand.span


def test_many_clips_meet_the_strictest_demand():
    for demand in DEMANDS.values():
        if isinstance(demand, Mean):
            assert demand.threshold(100_000) == demand.wanted
            assert demand.errors(demand.wanted, 100_000).passes_guessing < 1e-6


@pytest.mark.parametrize("value", [0.3, 0.5])
def test_the_verdict_states_how_often_it_is_wrong(value: float):
    cards = {"clap": {"weights_sha256": "1", "model": "clap", "files": {}}}
    found = verdict(
        {"clap": {"paraphrase_retrieval": 0.7}},
        {"clap": {"matched_over_other": value}},
        CanarySettings(),
        cards,
        {"matched_over_other": 40},
    )["judges"]["clap"]
    limit = DEMANDS["matched_over_other"].threshold(40)
    row = found["measures"]["matched_over_other"]
    assert (row["threshold"], row["good"]) == (limit, value >= limit)
    assert row["errors"]["n"] == 40
    assert row["errors"]["passes_guessing"] == 1.0
    assert found["measures"]["paraphrase_retrieval"]["errors"]["n"] == len(PARAPHRASES)


def test_a_demand_of_the_user_stands_and_its_errors_are_stated():
    settings = CanarySettings(thresholds={"clap": {"matched_over_other": 0.9}})
    cards = {"clap": {"weights_sha256": "1", "model": "clap", "files": {}}}
    values = {"clap": {"matched_over_other": 0.8}}
    row = verdict({"clap": {}}, values, settings, cards, {"matched_over_other": 1000})["judges"]["clap"]["measures"]
    assert row["matched_over_other"]["threshold"] == 0.9
    assert row["matched_over_other"]["errors"]["refuses_good"] == 1.0


def test_every_measure_that_varies_has_a_demand():
    names = {name for rows in CANARIES.values() for name in rows}
    assert {name for name in names if not name.startswith("largest_cosine")} == DEMANDS.keys()
    assert all(isinstance(demand, Trials | Mean) for demand in DEMANDS.values())
