"""The bootstrap interval of a rank correlation, and what may be read from it."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from hearsay.metrics.correlation import kendall
from hearsay.metrics.rank_interval import FEWEST_FOR_VERDICT, rank_association


def test_tau_is_that_of_kendall_and_lies_in_the_interval():
    draw = np.random.default_rng(1)
    x = draw.normal(size=15)
    y = x + draw.normal(size=15)
    found = rank_association(x, y)
    assert found.found == kendall(x, y)
    assert found.low <= found.found.tau <= found.high


def test_the_interval_is_that_of_resampled_models():
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(2, 12))
    chosen = np.random.default_rng(0).integers(12, size=(300, 12))
    taus = [kendalltau(x[c], y[c]).statistic for c in chosen]
    found = rank_association(x, y, resamples=300)
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(taus, [0.025, 0.975])))


def test_the_interval_covers_the_truth():
    """150 draws of 10 models each, tau truly 0: nearly all intervals hold it."""
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(150):
        x, y = draw.normal(size=(2, 10))
        found = rank_association(x, y, resamples=200)
        held += found.low <= 0 <= found.high
    assert held / 150 > 0.9


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_very_few_models_have_no_interval(n):
    found = rank_association(range(n), range(n))
    assert math.isnan(found.low)
    assert found.interval == ""
    assert found.reading == "too few models"


def test_a_perfect_order_of_few_models_is_no_finding():
    found = rank_association(range(FEWEST_FOR_VERDICT - 1), range(FEWEST_FOR_VERDICT - 1))
    assert found.found.tau == 1
    assert found.reading == "too few models"


def test_readings_of_enough_models():
    n = FEWEST_FOR_VERDICT + 2
    up = np.arange(n)
    assert rank_association(up, up).reading == "larger is better"
    assert rank_association(up, -up).reading == "smaller is better"
    assert rank_association(up, up % 2).reading == "undecided"
    assert rank_association(up, np.ones(n)).reading == "undecided"


def test_missing_values_drop_out():
    found = rank_association([1, 2, 3, 4, math.nan], [1, 2, 4, 3, 0])
    assert found.found.n == 4
    assert found.found.dropped == 1
    assert found.interval
