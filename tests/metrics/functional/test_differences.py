import numpy as np
import pytest

from cafa.common.errors import InputError
from metrics.functional.bootstrap import ClipBootstrap
from metrics.functional.differences import detectable_difference, holm, p_value, standard_error


def test_holm_is_that_of_statsmodels():
    # multipletests([...], method="holm") of statsmodels 0.14
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([]) == []
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    with pytest.raises(InputError, match="between 0 and 1"):
        holm([1.2])


def test_p_and_detectable_difference_by_tables_of_the_normal_distribution():
    assert p_value(2.5758, 1.0) == pytest.approx(0.01, abs=1e-5)
    assert p_value(-2.5758, 1.0) == p_value(2.5758, 1.0)
    assert (p_value(0.0, 0.0), p_value(0.1, 0.0)) == (1.0, 0.0)
    assert detectable_difference(0.5) == pytest.approx(0.5 * (1.959964 + 0.841621), rel=1e-6)
    with pytest.raises(InputError):
        p_value(float("nan"), 1.0)


def test_the_error_from_the_bootstrap_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(0.0, 2.0, 400)
    estimate = ClipBootstrap([str(row) for row in range(400)], 2000, 0).mean(values)
    assert standard_error(estimate.replicates) == pytest.approx(values.std(ddof=1) / 20, rel=0.06)


def test_a_difference_of_the_detectable_size_is_found_four_times_in_five():
    random = np.random.default_rng(2)
    smallest = detectable_difference(1.0 / 10)
    found = [p_value(mean, 0.1) < 0.05 for mean in random.normal(smallest, 0.1, 4000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
