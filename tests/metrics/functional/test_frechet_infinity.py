import numpy as np
import pytest

from cafa.common.errors import InputError
from metrics.functional.frechet import frechet_distance
from metrics.functional.frechet_infinity import frechet_infinity, frechet_infinity_replicates, subset_sizes

WIDTH = 12


def draw(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, WIDTH)) + shift


def test_the_line_leads_to_the_distance_of_the_distributions():
    reference = draw(100_000, 0)  # so large that it adds next to nothing
    found = [frechet_infinity(draw(600, seed), reference) for seed in range(1, 6)]
    few = [frechet_distance(draw(600, seed), reference).value for seed in range(1, 6)]
    assert min(few) > 0.05  # though both are draws of one distribution
    assert abs(np.mean([one.value for one in found])) < 0.15 * np.mean(few)
    assert all(one.slope > 0 for one in found)
    # a shift of the mean adds its square
    shifted = frechet_infinity(draw(600, 1) + 2.0, reference)
    assert shifted.value == pytest.approx(4 * WIDTH, rel=0.02)


def test_points_are_the_distances_of_subsets_and_the_line_is_theirs():
    generated, reference = draw(300, 1), draw(400, 2, 0.5)
    found = frechet_infinity(generated, reference, steps=6, least=100, seed=3)
    assert found.sizes.tolist() == [100, 140, 180, 220, 260, 300]
    assert found.distances[-1] == pytest.approx(frechet_distance(generated, reference).value, rel=1e-9)
    first = np.sort(np.random.default_rng(3).choice(300, 100, replace=False))
    assert found.distances[0] == pytest.approx(frechet_distance(generated[first], reference).value, rel=1e-9)
    matrix = np.stack((np.ones(6), 1 / found.sizes), axis=1)
    (value, slope), rest, *_ = np.linalg.lstsq(matrix, found.distances)
    assert (found.value, found.slope) == (pytest.approx(value), pytest.approx(slope))
    assert found.r_squared == pytest.approx(1 - rest[0] / (6 * found.distances.var()))


def test_one_seed_one_value():
    generated, reference = draw(60, 1), draw(80, 2)
    values = [frechet_infinity(generated, reference, seed=seed).value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_sizes_and_what_is_too_few():
    assert subset_sizes(50_000)[[0, -1]].tolist() == [5000, 50_000]
    assert len(subset_sizes(50_000)) == 15
    assert subset_sizes(40)[0] == 20
    for rows, least, steps in ((19, None, 15), (100, 100, 15), (100, 50, 1)):
        with pytest.raises(InputError, match="a line over the number of clips needs 20 clips"):
            subset_sizes(rows, steps, least)


def test_replicates_spread_around_the_value_and_pieces_of_a_row_are_drawn_together():
    generator = np.random.default_rng(3)
    reference, rows = generator.standard_normal((3000, 4)), generator.standard_normal((60, 8)) + 0.3
    counts = generator.multinomial(60, np.full(60, 1 / 60), size=40)
    pieces = reference.reshape(-1, 8)
    value = frechet_infinity(rows, pieces, width=4).value
    replicates = frechet_infinity_replicates(rows, pieces, counts, width=4)
    assert np.median(replicates) == pytest.approx(value, abs=3 * replicates.std())
    assert replicates.std() > 0
    # A row of two equal pieces is one embedding twice: the line meets 0 where that of single embeddings does.
    twice = np.tile(rows[:, :4], 2)
    single, double = frechet_infinity(rows[:, :4], reference), frechet_infinity(twice, pieces, width=4)
    assert double.sizes.tolist() == single.sizes.tolist()
    assert double.value == pytest.approx(single.value, abs=0.05)
