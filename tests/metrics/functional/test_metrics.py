"""Metrics as functions: values known by hand or by theory, and what they refuse."""

import numpy as np
import pytest

from metrics.functional.accuracy import prompt_accuracy
from metrics.functional.desync import desync
from metrics.functional.divergence import kl_divergence
from metrics.functional.frechet import frechet_distance, frechet_replicates
from metrics.functional.inception import inception_replicates, inception_score
from metrics.functional.kernel import kernel_distance, kernel_replicates, median_distance
from metrics.functional.similarity import cosine_similarity


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def with_moments(n: int, means: np.ndarray, deviations: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rows whose sample mean and covariance are exactly those given (diagonal)."""
    rows = random.standard_normal((n, len(means)))
    rows -= rows.mean(axis=0)
    rows = np.linalg.qr(rows)[0] * np.sqrt(n - 1)
    return rows * deviations + means


class TestFrechet:
    def test_equals_closed_form_of_diagonal_gaussians(self, random):
        m1, s1 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 0.5])
        m2, s2 = np.array([1.0, 1.0, -1.0]), np.array([3.0, 0.1, 0.5])
        found = frechet_distance(with_moments(40, m1, s1, random), with_moments(25, m2, s2, random))
        assert found.value == pytest.approx(((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum(), rel=1e-12)
        assert (found.n, found.n_reference, found.rank_deficiency) == (40, 25, 0)

    def test_equal_sets_are_at_distance_zero(self, random):
        for shape in ((50, 8), (5, 8)):
            x = random.standard_normal(shape)
            assert frechet_distance(x, x).value == pytest.approx(0.0, abs=1e-12)

    def test_fewer_clips_than_dimensions_agrees_with_the_general_way(self, random):
        x, y = random.standard_normal((6, 20)), random.standard_normal((400, 20)) * 1.5
        found = frechet_distance(x, y)
        values, vectors = np.linalg.eigh(np.cov(y.T))
        root = (vectors * np.sqrt(values)) @ vectors.T
        cross = np.sqrt(np.linalg.eigvalsh(root @ np.cov(x.T) @ root).clip(0)).sum()
        expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T)) + values.sum() - 2 * cross
        assert found.value == pytest.approx(expected, rel=1e-6)
        assert found.rank_deficiency == 15

    def test_dimensions_that_say_nothing_change_nothing(self, random):
        # Zero and doubled columns make the covariances singular: another path through the algebra.
        x, y = random.standard_normal((3000, 6)).astype(np.float32), random.standard_normal((2500, 6)) + 0.3
        plain = frechet_distance(x, y).value
        silent = [np.insert(rows, 2, 0.0, axis=1) for rows in (x, y)]
        assert frechet_distance(*silent).value == pytest.approx(plain, rel=1e-9)
        doubled = [np.concatenate([rows, rows], axis=1) for rows in (x, y)]
        assert frechet_distance(*doubled).value == pytest.approx(2 * plain, rel=1e-6)

    def test_is_symmetric_and_blind_to_order(self, random):
        x, y = random.standard_normal((30, 5)), random.standard_normal((20, 5)) + 1
        value = frechet_distance(x, y).value
        assert frechet_distance(y, x).value == pytest.approx(value, rel=1e-9)
        assert frechet_distance(x[::-1], y).value == pytest.approx(value, rel=1e-9)

    @pytest.mark.parametrize("shape", [(60, 6), (20, 40)])
    def test_replicates_equal_the_distance_of_the_repeated_rows(self, random, shape):
        x, y = random.standard_normal(shape), random.standard_normal((50, shape[1])) + 0.3
        counts = random.integers(0, 3, size=(4, shape[0]))
        expected = [frechet_distance(np.repeat(x, row, axis=0), y).value for row in counts]
        assert frechet_replicates(x, y, counts) == pytest.approx(expected, rel=1e-6)

    def test_refuses_what_has_no_distance(self, random):
        good = random.standard_normal((5, 3))
        with pytest.raises(ValueError, match="at least 2 row"):
            frechet_distance(good[:1], good)
        bad = good.copy()
        bad[3, 1] = np.nan
        with pytest.raises(ValueError, match="not finite in 1 of 5 rows, first row 3"):
            frechet_distance(good, bad)
        with pytest.raises(ValueError, match="same length, got 3 and 2"):
            frechet_distance(good, good[:, :2])


class TestKernel:
    def test_equals_the_definition(self, random):
        x, y = random.standard_normal((9, 4)), random.standard_normal((7, 4)) + 0.5
        bandwidth = 1.7

        def k(a, b):
            return np.exp(-((a - b) ** 2).sum() / (2 * bandwidth**2))

        within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
        within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
        across = np.mean([k(a, b) for a in x for b in y])
        expected = 100 * (within_x + within_y - 2 * across)
        assert kernel_distance(x, y, bandwidth=bandwidth) == pytest.approx(expected, rel=1e-10)

    def test_is_unbiased_where_frechet_is_not(self, random):
        kernel, frechet = [], []
        for _ in range(200):
            x, y = random.standard_normal((2, 20, 8))
            kernel.append(kernel_distance(x, y, bandwidth=4.0))
            frechet.append(frechet_distance(x, y).value)
        assert abs(np.mean(kernel)) < 4 * np.std(kernel) / np.sqrt(200)
        assert np.mean(frechet) > 10 * np.std(frechet) / np.sqrt(200)

    def test_blocks_do_not_change_the_value(self, random, monkeypatch):
        x, y = random.standard_normal((23, 3)), random.standard_normal((17, 3))
        for kernel in ("gaussian", "polynomial"):
            once = kernel_distance(x, y, kernel=kernel)
            with monkeypatch.context() as patch:
                patch.setattr("metrics.functional.kernel.BLOCK", 4)
                assert kernel_distance(x, y, kernel=kernel) == pytest.approx(once, rel=1e-9)

    def test_copies_in_a_resample_are_not_compared_with_each_other(self, random):
        x, y = random.standard_normal((10, 3)), random.standard_normal((12, 3))
        doubled = kernel_replicates(x, y, np.full((1, 10), 2))
        assert doubled[0] == pytest.approx(kernel_distance(x, y), rel=1e-9)

    def test_bandwidth_is_the_median_distance_and_never_zero(self, random):
        assert median_distance([[0.0], [1.0], [3.0]]) == 2.0
        with pytest.raises(ValueError, match="most of them are equal"):
            median_distance(np.ones((6, 2)))

    def test_refuses_an_unknown_kernel(self, random):
        with pytest.raises(ValueError, match="'gaussian' or 'polynomial', got 'cubic'"):
            kernel_distance(np.eye(3), np.eye(3), kernel="cubic", bandwidth=1.0)


class TestInception:
    def test_is_the_number_of_classes_when_certain_and_balanced(self):
        logits = 1000.0 * np.tile(np.eye(5), (4, 1))
        assert inception_score(logits, splits=1).value == pytest.approx(5.0)
        assert inception_score(np.zeros((20, 5)), splits=1).value == pytest.approx(1.0)

    def test_needs_a_clip_for_every_split(self):
        with pytest.raises(ValueError, match="got 9 clips and 10 splits; give more clips or fewer splits"):
            inception_score(np.zeros((9, 4)))

    def test_replicates_equal_the_score_of_the_repeated_rows(self, random):
        logits = random.standard_normal((30, 4))
        counts = random.integers(0, 3, size=(3, 30))
        for splits in (1, 3):
            expected = [inception_score(np.repeat(logits, row, axis=0), splits=splits).value for row in counts]
            assert inception_replicates(logits, counts, splits=splits) == pytest.approx(expected, rel=1e-12)


class TestDivergence:
    def test_equals_the_definition_in_nats(self):
        p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5])
        found = kl_divergence(np.log(p)[None] + 7.0, np.log(q)[None])
        assert found[0] == pytest.approx(0.5 * np.log(2) - 0.25 * np.log(2))

    def test_is_zero_for_equal_answers_and_finite_for_opposite_ones(self):
        logits = np.array([[200.0, 0.0], [0.0, 200.0]])
        assert kl_divergence(logits, logits).tolist() == [0.0, 0.0]
        assert kl_divergence(logits, logits[::-1]) == pytest.approx([200.0, 200.0])

    def test_refuses_unpaired_logits(self):
        with pytest.raises(ValueError, match=r"same shape, got \(2, 3\) and \(1, 3\)"):
            kl_divergence(np.zeros((2, 3)), np.zeros((1, 3)))


class TestSimilarity:
    def test_ignores_norms(self):
        found = cosine_similarity([[1.0, 0.0], [2.0, 2.0]], [[0.0, 3.0], [5.0, 5.0]])
        assert found == pytest.approx([0.0, 1.0])

    def test_refuses_a_row_without_direction(self):
        with pytest.raises(ValueError, match="row 1 is all zeros"):
            cosine_similarity(np.ones((2, 3)), np.array([[1.0, 1, 1], [0, 0, 0]]))


class TestDeSync:
    GRID = (-0.2, 0.0, 0.2, 0.4)

    def test_is_the_mean_magnitude_of_the_two_windows(self):
        first, last = np.eye(4)[[0, 1]], np.eye(4)[[3, 1]]
        found = desync(first, last, self.GRID)
        assert found.seconds == pytest.approx([0.3, 0.0])
        assert found.windows.tolist() == [2, 1]

    def test_refuses_a_grid_that_does_not_fit(self):
        logits = np.zeros((1, 4))
        with pytest.raises(ValueError, match=r"one offset per class, 4, got shape \(3,\)"):
            desync(logits, logits, self.GRID[:3])
        with pytest.raises(ValueError, match="increasing finite seconds"):
            desync(logits, logits, self.GRID[::-1])


class TestAccuracy:
    def test_a_tie_is_not_correct_and_is_counted(self):
        sound = np.array([[1.0, 0.0]] * 3)
        prompt = np.array([[1.0, 0.1], [0.0, 1.0], [2.0, 2.0]])
        own = np.array([[0.0, 1.0], [1.0, 0.1], [2.0, 2.0]])
        found = prompt_accuracy(sound, prompt, own)
        assert found.correct.tolist() == [True, False, False]
        assert found.margin == pytest.approx([1 / np.sqrt(1.01), -1 / np.sqrt(1.01), 0.0])
        assert found.ties == 1
