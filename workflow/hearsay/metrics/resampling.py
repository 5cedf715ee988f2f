"""Intervals and permutation probabilities for scores of windows that follow each other in time.

Neighbouring windows are not independent, and windows that overlap are much alike; everything here
therefore resamples blocks of consecutive windows. All probabilities are one-sided: small where the
first is *larger*. For a score of which less is better, give its negative.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student

LARGEST_ENUMERATION = 14  # blocks; 2^14 = 16,384 sign patterns
_CHUNK = 4_000_000  # numbers held at once


def block_bootstrap_interval(
    values: ArrayLike,
    *,
    block: int = 1,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Expanded percentile interval of the mean of `values` by the circular block bootstrap.

    A plain percentile interval is too narrow where there are few blocks; the percentiles are taken
    further out, as Student's t for that many blocks asks.

    Parameters
    ----------
    values : scores in the order of time, shape ``(n,)``.
    block : consecutive values drawn together; 1 for values that do not overlap.
    resamples : draws of the series.
    level : nominal coverage.

    Returns
    -------
    Lower and upper limit; NaN where fewer than two blocks fit, since such a draw cannot vary enough
    to tell anything.

    Source: D. N. Politis and J. P. Romano, "A circular block-resampling procedure for stationary
    data", 1992; T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    Statistician 69, 2015 (expanded percentiles).
    """
    values = _checked(values, block)
    n = values.size
    if n < 2 * block:
        return math.nan, math.nan
    ring = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    full, rest = divmod(n, block)
    draw = np.random.default_rng(seed)
    means = np.empty(resamples)
    size = max(_CHUNK // (full + 1), 1)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        first = draw.integers(n, size=(count, full))
        total = (ring[first + block] - ring[first]).sum(1)
        if rest:
            last = draw.integers(n, size=count)
            total += ring[last + rest] - ring[last]
        means[start : start + count] = total / n
    blocks = n / block
    tail = norm.cdf(math.sqrt(blocks / (blocks - 1)) * student.ppf((1 - level) / 2, blocks - 1))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def ratio_bootstrap_interval(
    errors: ArrayLike,
    lengths: ArrayLike,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of Σ errors / Σ lengths, such as a word error rate, over utterances.

    Parameters
    ----------
    errors, lengths : of each utterance, shape ``(n,)``; lengths may be 0, but not all.

    Returns
    -------
    Lower and upper limit; NaN for fewer than two utterances.

    Source: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance
    evaluation", ICASSP 2004.
    """
    errors, lengths = _checked(errors, 1), _checked(lengths, 1)
    if errors.shape != lengths.shape or lengths.sum() <= 0:
        raise ValueError("errors and lengths of the same utterances are needed, with words in them")
    n = errors.size
    if n < 2:
        return math.nan, math.nan
    draw = np.random.default_rng(seed)
    ratios = np.empty(resamples)
    size = max(_CHUNK // n, 1)
    for start in range(0, resamples, size):
        chosen = draw.integers(n, size=(min(size, resamples - start), n))
        total = lengths[chosen].sum(1)
        drawn = errors[chosen].sum(1)
        # Draws of empty references alone say nothing; as good as impossible but for tiny sets.
        ratios[start : start + len(chosen)] = np.where(total > 0, drawn / np.maximum(total, 1), 0)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_permutation_p(
    differences: ArrayLike, *, block: int = 1, resamples: int = 10_000, seed: int = 0
) -> float:
    """Probability of a mean difference this large if its sign were arbitrary in every block.

    Signs of blocks of `block` consecutive differences are flipped together. All patterns are
    enumerated up to `LARGEST_ENUMERATION` blocks; beyond, `resamples` are drawn and the observed
    one is counted among them, so that the probability is never 0. Differences that are all zero
    give 1.
    """
    differences = _checked(differences, block)
    sums = np.add.reduceat(differences, np.arange(0, differences.size, block))
    observed = sums.sum() - 1e-12 * np.abs(sums).sum()  # rounding must not break ties
    blocks = sums.size
    if blocks <= LARGEST_ENUMERATION:
        patterns = np.arange(2**blocks)[:, None] >> np.arange(blocks) & 1
        return float(np.mean((1.0 - 2.0 * patterns) @ sums >= observed))
    draw = np.random.default_rng(seed)
    as_large, left = 1, resamples
    while left:
        size = min(left, max(_CHUNK // blocks, 1))
        signs = 1.0 - 2.0 * draw.integers(2, size=(size, blocks))
        as_large += int(np.count_nonzero(signs @ sums >= observed))
        left -= size
    return as_large / (resamples + 1)


def circular_shift_p(scores: np.ndarray) -> float:
    """Probability that hypotheses fit references this well when they are shifted in time.

    Parameters
    ----------
    scores : ``(n, n)``, score of hypothesis i against reference j, windows in the order of time.

    Returns
    -------
    Share of all n circular shifts, the true pairing among them, whose mean score is at least that
    of the true pairing; the smallest possible is 1/n. Shifts keep the order of both series, so that
    what slowly drifts through a story is no evidence.
    """
    scores = np.asarray(scores, dtype=float)
    n = scores.shape[0]
    if scores.shape != (n, n) or n == 0:
        raise ValueError(f"a square matrix is needed, not {scores.shape}")
    rows = np.arange(n)
    means = scores[rows, (rows + rows[:, None]) % n].mean(1)  # one row a shift
    return float(np.mean(means >= means[0] - 1e-12 * np.abs(scores).max(initial=0.0)))


def conjunction_p(probabilities: Sequence[float]) -> float:
    """Probability for the claim "beats every one of them": the largest.

    The claim holds only if all its parts do, so testing each at the level of the whole keeps that
    level and nothing needs correcting (intersection-union test, R. L. Berger, 1982).
    """
    return max(probabilities)


def _checked(values: ArrayLike, block: int) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size == 0 or block < 1 or not np.isfinite(values).all():
        raise ValueError(
            f"finite numbers in one row and block >= 1 are needed, not shape {values.shape} with "
            f"block {block}"
        )
    return values
