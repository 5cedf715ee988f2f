"""Kendall's tau and its permutation probability against plain enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from hearsay.metrics.correlation import MONTE_CARLO_DRAWS, kendall


def by_enumeration(x, y):
    """Tau-b and p from the definitions: pairs counted one by one, every order of y tried."""

    def score(ys):
        pairs = itertools.combinations(range(len(x)), 2)
        return sum(np.sign(x[i] - x[j]) * np.sign(ys[i] - ys[j]) for i, j in pairs)

    pairs = list(itertools.combinations(range(len(x)), 2))
    untied = [sum(v[i] != v[j] for i, j in pairs) for v in (x, y)]
    observed = score(y)
    orders = [score(order) for order in itertools.permutations(y)]
    p = sum(abs(s) >= abs(observed) for s in orders) / len(orders)
    return observed / math.sqrt(untied[0] * untied[1]), p


few_values = st.integers(2, 6).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


@settings(max_examples=60, deadline=None)
@given(few_values)
def test_equals_enumeration_with_and_without_ties(values):
    x, y = values
    found = kendall(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(found.tau)
        assert math.isnan(found.p)
        assert "never changes" in found.reason
        return
    tau, p = by_enumeration(x, y)
    assert found.tau == pytest.approx(tau, abs=1e-12)
    assert found.p == pytest.approx(p, abs=1e-12)
    tied = len(set(x)) < len(x) or len(set(y)) < len(y)
    assert found.method == ("exact with ties" if tied else "exact")


@settings(max_examples=30, deadline=None)
@given(few_values)
def test_turning_one_variable_round_turns_the_sign_only(values):
    x, y = values
    there, back = kendall(x, y), kendall(x, [-v for v in y])
    np.testing.assert_allclose(there.tau, -back.tau)
    np.testing.assert_allclose(there.p, back.p)


def test_four_models_in_perfect_order_have_p_one_twelfth():
    found = kendall([1.1268, 0.5354, 0.1173, -0.1425], [91.73, 92.63, 93.10, 93.39])
    assert (found.tau, found.n, found.method) == (-1.0, 4, "exact")
    assert found.p == pytest.approx(1 / 12)
    assert found.smallest_p == pytest.approx(1 / 12)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_smallest_probability_is_that_of_a_perfect_order(n):
    found = kendall(range(n), range(n))
    assert found.p == pytest.approx(found.smallest_p)
    assert found.smallest_p == pytest.approx(2 / math.factorial(n))


@settings(max_examples=40, deadline=None)
@given(few_values)
def test_ties_leave_no_order_with_a_smaller_probability(values):
    x, y = values
    orders = set(itertools.permutations(y))
    assert kendall(x, y).smallest_p == pytest.approx(
        min(1.0 if math.isnan(p := kendall(x, order).p) else p for order in orders), abs=1e-12
    )


def test_three_equal_accuracies_of_five_cannot_reach_the_usual_level():
    found = kendall([5, 4, 3, 2, 1], [97.9, 99.3, 99.4, 99.4, 99.4])
    assert found.p == pytest.approx(1 / 10)
    assert found.smallest_p == pytest.approx(1 / 10)  # 2 / 5! if none were equal


def test_nan_pairs_are_dropped_and_counted():
    found = kendall([1, math.nan, 2, 3, 4], [1, 2, 2, 3, math.nan])
    assert (found.n, found.dropped, found.tau) == (3, 2, 1.0)


def test_infinities_have_their_place_in_the_order():
    assert kendall([-math.inf, 0, 1, math.inf], [1, 2, 3, 4]).tau == 1.0


@pytest.mark.parametrize(("x", "y"), [([], []), ([1], [2]), ([math.nan, 1], [1, 2])])
def test_fewer_than_two_pairs_is_a_reason_not_an_error(x, y):
    found = kendall(x, y)
    assert math.isnan(found.tau)
    assert math.isnan(found.p)
    assert "fewer than two" in found.reason


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        kendall([1, 2], [1, 2, 3])


def test_nine_values_with_ties_are_enumerated():
    x, y = [1, 1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 5, 4, 6, 7, 9, 8]
    found = kendall(x, y)
    assert found.method == "exact with ties"
    assert found.tau == pytest.approx(kendalltau(x, y).statistic)
    assert 0 < found.p < 0.001
    # Every order counts an even number of times, since two values of x are equal.
    assert round(found.p * math.factorial(9)) % 2 == 0


def test_monte_carlo_is_seeded_named_and_near_the_asymptotic_value():
    rng = np.random.default_rng(5)
    x = rng.integers(0, 12, 30)
    y = x + rng.integers(0, 60, 30)
    found, again, other = kendall(x, y), kendall(x, y), kendall(x, y, seed=1)
    assert found == again
    assert "Monte-Carlo" in found.method
    assert f"{MONTE_CARLO_DRAWS}" in found.method
    assert "seed 1" in other.method
    assert found.p == pytest.approx(other.p, rel=0.2)
    reference = kendalltau(x, y, method="asymptotic")
    assert found.tau == pytest.approx(reference.statistic)
    assert found.p == pytest.approx(reference.pvalue, rel=0.2)
