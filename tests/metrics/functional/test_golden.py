"""Equality with the published implementations, on arrays that they scored (golden/evaluators/metrics.json)."""

import json
from pathlib import Path

import numpy as np
import pytest

from metrics.functional.divergence import kl_divergence
from metrics.functional.frechet import frechet_distance, frechet_replicates
from metrics.functional.inception import inception_score
from metrics.functional.similarity import cosine_similarity


@pytest.fixture(scope="module")
def scores(golden: Path) -> dict[str, float]:
    return json.loads((golden / "metrics.json").read_text())


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(41)
    generated = (3 * random.standard_normal((203, 527))).astype(np.float32)
    reference = (3 * random.standard_normal((203, 527))).astype(np.float32)
    first, second = (random.standard_normal((7, 1024)).astype(np.float32) for _ in range(2))
    return {"generated": generated, "reference": reference, "first": first, "second": second}


@pytest.mark.parametrize(("name", "n", "d"), [("a", 400, 64), ("b", 200, 256), ("c", 50, 128)])
def test_frechet_distance_equals_published_code(scores, name: str, n: int, d: int):
    random = np.random.default_rng(31)
    x = random.standard_normal((n, d)).astype(np.float32)
    y = (random.standard_normal((n, d)) * 1.3 + 0.2).astype(np.float32)
    found = frechet_distance(x, y)
    # The published code takes means in float32: that, not the method, is what is left.
    assert found.value == pytest.approx(scores[f"fd_{name}"], rel=1e-6)
    assert found.rank_deficiency == max(0, d - n + 1)
    unchanged = frechet_replicates(x, y, np.ones((1, n), dtype=int))
    assert unchanged[0] == pytest.approx(found.value, rel=1e-9)


def test_kl_equals_published_code(scores, arrays):
    found = kl_divergence(arrays["reference"], arrays["generated"])
    assert found.shape == (203,)
    # The golden value was computed and printed in float32.
    assert found.mean() == pytest.approx(scores["kl_softmax"], rel=3e-7)
    swapped = kl_divergence(arrays["generated"], arrays["reference"]).mean()
    assert abs(swapped - scores["kl_softmax"]) > 0.01


def test_inception_score_equals_published_code(scores, arrays):
    found = inception_score(arrays["generated"], splits=10, seed=2020)
    assert found.value == pytest.approx(scores["isc_mean"], rel=1e-9)
    assert found.std == pytest.approx(scores["isc_std"], rel=1e-9)
    assert inception_score(arrays["generated"][:10]).value == pytest.approx(scores["isc_N10"], rel=1e-9)


def test_cosine_equals_published_code(scores, arrays):
    found = cosine_similarity(arrays["first"], arrays["second"]).mean()
    # The golden value is a float32 mean.
    assert found == pytest.approx(scores["cosine_mean"], rel=3e-8)
