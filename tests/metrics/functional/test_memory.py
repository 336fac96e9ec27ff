"""Of large sets only a block of rows is held in float64: memory beside what was given."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from metrics.functional.bootstrap import ClipBootstrap
from metrics.functional.divergence import kl_divergence
from metrics.functional.frechet import frechet_distance, frechet_replicates
from metrics.functional.inception import inception_replicates, inception_score

ROWS, WIDTH, DRAWS = 24_000, 60, 4
MATRIX = ROWS * WIDTH * 8  # of float64


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two sets in float32, and counts of a few resamples."""
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, ROWS, WIDTH), dtype=np.float32)
    return first, second, random.multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=DRAWS).astype(np.int16)


def beside(work: Callable[[], object]) -> int:
    """Most bytes that `work` holds at one time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_kl_and_frechet_distance_hold_blocks(sets):
    first, second, _ = sets
    # A handful of blocks of 1,024 rows, and matrices of width by width.
    assert beside(lambda: kl_divergence(first, second)) < MATRIX
    assert beside(lambda: frechet_distance(first, second)) < MATRIX


def test_replicates_hold_one_matrix_of_the_set(sets):
    first, second, counts = sets
    assert beside(lambda: frechet_replicates(first, second, counts)) < 1.8 * MATRIX
    assert beside(lambda: inception_score(first, splits=1)) < 2.2 * MATRIX  # the one split is a copy
    assert beside(lambda: inception_replicates(first, counts, splits=10)) < 1.8 * MATRIX


def test_a_mean_holds_no_weights_of_all_rows(sets):
    bootstrap = ClipBootstrap([f"clip{number}" for number in range(ROWS)], resamples=500, seed=0)
    assert beside(lambda: bootstrap.mean(np.ones(ROWS))) < 500 * ROWS * 2
