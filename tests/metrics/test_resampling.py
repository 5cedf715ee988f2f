"""Intervals cover, and probabilities are uniform under the null and small under an effect."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from hearsay.metrics.resampling import (
    block_bootstrap_interval,
    circular_shift_p,
    conjunction_p,
    paired_permutation_p,
    ratio_bootstrap_interval,
)

numbers = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3))


def moving_sums(draw: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Values as alike as windows of `length` that overlap by all but one."""
    steps = draw.normal(size=n + length - 1)
    return np.convolve(steps, np.ones(length), "valid") / math.sqrt(length)


def covered(series, block: int, count: int = 200) -> float:
    draw = np.random.default_rng(5)
    inside = 0
    for k in range(count):
        low, high = block_bootstrap_interval(series(draw), block=block, resamples=300, seed=k)
        inside += low <= 0 <= high
    return inside / count


def test_coverage_of_independent_and_of_overlapping_values():
    assert 0.91 <= covered(lambda draw: draw.normal(size=29), block=1) <= 0.99
    overlapping = {b: covered(lambda draw: moving_sums(draw, 560, 20), b) for b in (1, 60)}
    assert overlapping[60] >= 0.90
    assert overlapping[1] < 0.5  # why blocks are needed


def test_coverage_of_autoregressive_values():
    def series(draw):
        x = draw.normal(size=300)
        for k in range(1, 300):
            x[k] += 0.6 * x[k - 1]
        return x

    assert covered(series, block=20) >= 0.90


def test_interval_of_constants_and_of_too_few():
    assert block_bootstrap_interval([0.25] * 10) == (0.25, 0.25)
    assert all(map(math.isnan, block_bootstrap_interval(range(10), block=6)))
    with pytest.raises(ValueError, match="finite"):
        block_bootstrap_interval([1.0, math.nan])
    with pytest.raises(ValueError, match="finite"):
        paired_permutation_p([])


@settings(max_examples=50, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=30), st.integers(1, 5), st.integers(0, 9))
def test_interval_is_ordered_within_range_and_fixed_by_its_seed(values, block, seed):
    low, high = first = block_bootstrap_interval(values, block=block, resamples=100, seed=seed)
    if len(values) < 2 * block:
        assert math.isnan(low)
        return
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert first == block_bootstrap_interval(values, block=block, resamples=100, seed=seed)


def test_permutation_equals_a_plain_enumeration():
    draw = np.random.default_rng(0)
    for block in (1, 3):
        differences = draw.normal(size=8)
        sums = [differences[k : k + block].sum() for k in range(0, 8, block)]
        all_sums = [
            sum(s * x for s, x in zip(signs, sums, strict=True))
            for signs in itertools.product((1, -1), repeat=len(sums))
        ]
        expected = np.mean([s >= sum(sums) - 1e-9 for s in all_sums])
        assert paired_permutation_p(differences, block=block) == pytest.approx(expected)
    assert paired_permutation_p([1.0, 2.0, 3.0]) == 1 / 8
    assert paired_permutation_p(np.ones(30), resamples=99) == pytest.approx(0.01, abs=1e-9)
    assert paired_permutation_p(np.zeros(5)) == paired_permutation_p(np.zeros(40)) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=10))
def test_permutation_is_symmetric(values):
    # Every pattern has its mirror image, so both tails overlap in the patterns that tie only.
    up, down = paired_permutation_p(values), paired_permutation_p(np.negative(values))
    assert up + down >= 1 - 1e-12
    assert min(up, down) >= 2.0 ** -len(values)
    assert up == paired_permutation_p(values)


def test_permutation_is_uniform_under_the_null_and_sees_an_effect():
    draw = np.random.default_rng(1)
    p = [paired_permutation_p(draw.normal(size=29), resamples=199, seed=k) for k in range(300)]
    assert kstest(p, "uniform").pvalue > 0.01
    shifted = [paired_permutation_p(draw.normal(0.6, 1, 29), resamples=199) for _ in range(60)]
    assert np.mean(np.array(shifted) < 0.05) > 0.8
    assert paired_permutation_p(-np.ones(29), resamples=199) == 1


def test_blocks_keep_the_level_of_overlapping_windows():
    draw = np.random.default_rng(2)
    series = [moving_sums(draw, 560, 20) for _ in range(300)]
    rejected = {
        block: np.mean([paired_permutation_p(x, block=block, resamples=199) < 0.05 for x in series])
        for block in (1, 60)
    }
    assert rejected[60] <= 0.10
    assert rejected[1] > 0.2


def test_circular_shifts():
    n = 25
    draw = np.random.default_rng(3)
    noise = draw.normal(size=(n, n))
    assert circular_shift_p(noise + 5 * np.eye(n)) == 1 / n
    assert circular_shift_p(-np.eye(n)) == 1
    assert circular_shift_p(np.ones((n, n))) == 1
    means = [np.mean([noise[i, (i + s) % n] for i in range(n)]) for s in range(n)]
    assert circular_shift_p(noise) == pytest.approx(np.mean(np.array(means) >= means[0]))
    p = [circular_shift_p(draw.normal(size=(n, n))) for _ in range(300)]
    # Discrete: multiples of 1/n, each equally likely.
    assert kstest(np.array(p) - draw.uniform(0, 1 / n, 300), "uniform").pvalue > 0.01
    with pytest.raises(ValueError, match="square"):
        circular_shift_p(np.ones((2, 3)))


def test_a_conjunction_is_as_weak_as_its_weakest_part():
    assert conjunction_p([0.01, 0.2, 0.03]) == 0.2


def test_intervals_of_a_ratio_cover_it():
    """Word errors of utterances of different lengths, at a known rate."""
    draw = np.random.default_rng(3)
    inside = 0
    for k in range(200):
        lengths = draw.integers(1, 12, size=120)
        errors = draw.binomial(lengths, 0.25)
        low, high = ratio_bootstrap_interval(errors, lengths, resamples=400, seed=k)
        inside += low <= 0.25 <= high
    assert 180 <= inside <= 199


def test_a_ratio_is_over_all_words_not_a_mean_over_utterances():
    low, high = ratio_bootstrap_interval([10] * 50, [10] * 50, resamples=100)
    assert (low, high) == (1.0, 1.0)
    low, high = ratio_bootstrap_interval([1, 0] * 40, [1, 99] * 40, resamples=400)
    assert high < 0.05


def test_a_ratio_of_one_utterance_has_no_interval():
    assert all(map(math.isnan, ratio_bootstrap_interval([1], [3])))
    with pytest.raises(ValueError, match="with words in them"):
        ratio_bootstrap_interval([1, 1], [0, 0])
