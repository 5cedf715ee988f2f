"""Is one aligner better than another? Intervals and probabilities over utterances.

Boundaries of one utterance are not independent, so utterances are drawn, and for a comparison the
same ones of both aligners.

Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, Chapters 8 and 16.
"""

import math
from dataclasses import dataclass

import numpy as np

from hearsay.errors import InputError
from hearsay.metrics.resampling import paired_permutation_p
from hearsay.slu.boundary_errors import BoundaryErrors

_CHUNK = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class Difference:
    """First minus second aligner, in one measure.

    Attributes
    ----------
    value : observed, on all boundaries that both know.
    low, high : percentile interval.
    p : two-sided, by the bootstrap: twice the smaller share of draws on one side of zero.
    p_sign : one-sided, that the first is no better, by flips of signs of utterances; exact for
        few of them. NaN for the median and the bias.
    n : utterances.
    """

    value: float
    low: float
    high: float
    p: float
    p_sign: float
    n: int


def bootstrap_interval(
    errors: BoundaryErrors,
    measure: str = "mae",
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a measure over utterances; NaN for fewer than two.

    Parameters
    ----------
    measure : ``mae``, ``median``, ``bias`` or ``accuracy 50`` and its like.
    """
    pooled = _pooled(errors)
    if len(pooled) < 2:
        return math.nan, math.nan
    draws = _drawn(pooled, measure, resamples, seed)
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    first: BoundaryErrors,
    second: BoundaryErrors,
    measure: str = "mae",
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """Difference of two aligners on the same utterances, with its interval and probabilities.

    Only boundaries that both know are compared.

    Raises
    ------
    InputError
        for errors of different utterances or words.
    """
    a, b = _common(first, second)
    draws = _drawn(a, measure, resamples, seed) - _drawn(b, measure, resamples, seed)
    draws = draws[np.isfinite(draws)]
    value = _measured(np.concatenate(a), measure) - _measured(np.concatenate(b), measure)
    if len(a) < 2:
        return Difference(value, math.nan, math.nan, math.nan, math.nan, len(a))
    rounding = 1e-9  # ms, or shares: what is equal must not be told apart by the last bit
    tails = min(np.count_nonzero(draws >= -rounding), np.count_nonzero(draws <= rounding))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Difference(
        value=value,
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (tails + 1) / (len(draws) + 1))),
        p_sign=_sign_p(a, b, measure, resamples, seed),
        n=len(a),
    )


def _pooled(errors: BoundaryErrors) -> list[np.ndarray]:
    """Signed errors of each utterance that has any, left and right together."""
    both = [np.concatenate(sides) for sides in zip(errors.left, errors.right, strict=True)]
    return [known for each in both if len(known := each[np.isfinite(each)])]


def _common(
    first: BoundaryErrors, second: BoundaryErrors
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if first.names != second.names or [len(e) for e in first.left] != [len(e) for e in second.left]:
        raise InputError(
            f"errors of different words are compared ({len(first.names)} and {len(second.names)} "
            "utterances); align the same ones with both"
        )
    pairs = []
    for sides in zip(first.left, first.right, second.left, second.right, strict=True):
        a, b = np.concatenate(sides[:2]), np.concatenate(sides[2:])
        known = np.isfinite(a) & np.isfinite(b)
        if known.any():
            pairs.append((a[known], b[known]))
    if not pairs:
        raise InputError("no boundary is known to both aligners; align the same words with both")
    return [a for a, _ in pairs], [b for _, b in pairs]


def _tolerance(measure: str) -> float:
    try:
        name, number = measure.split()
        if name == "accuracy":
            return float(number)
    except ValueError:
        pass
    raise ValueError(f"measure {measure!r}: none of mae, median, bias, accuracy 50")


def _terms(errors: np.ndarray, measure: str) -> np.ndarray:
    """What the measure is the mean of."""
    if measure == "bias":
        return errors
    if measure == "mae":
        return np.abs(errors)
    return (np.abs(errors) < _tolerance(measure)).astype(float)


def _measured(errors: np.ndarray, measure: str) -> float:
    if measure == "median":
        return float(np.median(np.abs(errors)))
    return float(_terms(errors, measure).mean())


def _drawn(pooled: list[np.ndarray], measure: str, resamples: int, seed: int) -> np.ndarray:
    """The measure of `resamples` draws of utterances; equal seeds draw equal utterances."""
    draw = np.random.default_rng(seed)
    n = len(pooled)
    share = np.full(n, 1 / n)
    width = sum(map(len, pooled)) if measure == "median" else n
    size = max(_CHUNK // width, 1)
    if measure == "median":
        owner = np.repeat(np.arange(n), [len(errors) for errors in pooled])
        absolute = np.abs(np.concatenate(pooled))
        order = np.argsort(absolute, kind="stable")
        owner, absolute = owner[order], absolute[order]
    else:
        sums = np.array([_terms(errors, measure).sum() for errors in pooled])
        counts = np.array([len(errors) for errors in pooled])
    found = []
    for start in range(0, resamples, size):
        times = draw.multinomial(n, share, size=min(size, resamples - start))
        if measure == "median":
            found.append(_weighted_median(absolute, times[:, owner]))
        else:
            found.append((times @ sums) / (times @ counts))
    return np.concatenate(found)


def _weighted_median(ordered: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Median of numbers in order that occur so many times, of each row of [draws, numbers]."""
    reached = times.cumsum(axis=1)
    total = reached[:, -1]
    low = (reached > ((total - 1) // 2)[:, None]).argmax(axis=1)
    high = (reached > (total // 2)[:, None]).argmax(axis=1)
    return (ordered[low] + ordered[high]) / 2


def _sign_p(
    a: list[np.ndarray], b: list[np.ndarray], measure: str, resamples: int, seed: int
) -> float:
    if measure in ("median", "bias"):
        return math.nan
    gains = [
        float(np.sum(_terms(second, measure) - _terms(first, measure)))
        for first, second in zip(a, b, strict=True)
    ]
    if measure.startswith("accuracy"):  # more is better
        gains = [-gain for gain in gains]
    return paired_permutation_p(gains, resamples=resamples, seed=seed)
