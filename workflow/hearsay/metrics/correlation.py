"""Rank correlation with its exact permutation probability, for the few models of one series."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, rankdata

LARGEST_ENUMERATION = 9  # 9! = 362,880 orders
MONTE_CARLO_DRAWS = 99_999


@dataclass(frozen=True)
class Correlation:
    """Kendall's rank correlation of two variables.

    Attributes
    ----------
    tau : tau-b in [-1, 1]; NaN where it is not defined.
    n : complete pairs used.
    p : two-sided permutation probability of ``|tau|`` at least this large; NaN as `tau`.
    method : how `p` was found: ``"exact"``, ``"exact with ties"`` or the words of a Monte-Carlo.
    dropped : pairs left out because one value or both were NaN.
    reason : why `tau` is not defined, else empty.
    """

    tau: float
    n: int
    p: float
    method: str
    dropped: int = 0
    reason: str = ""


def kendall(x: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Correlation:
    """Kendall's tau-b of `x` and `y`, each of shape ``(n,)``, with its permutation probability.

    Without ties the probability is exact (Kendall's recursion). With ties every order of `y` is
    enumerated up to n = 9; beyond, `MONTE_CARLO_DRAWS` orders are drawn with `seed`, and `method`
    says so. Pairs with a NaN are dropped and counted. Fewer than two pairs, or a variable that
    never changes, give NaN with a reason.

    Raises
    ------
    ValueError
        if `x` and `y` are not one-dimensional and equally long.

    Source: M. G. Kendall, "Rank Correlation Methods" (tau-b: "The treatment of ties").
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"two vectors of one length are needed, not {a.shape} and {b.shape}")
    complete = ~(np.isnan(a) | np.isnan(b))
    dropped = int(a.size - complete.sum())
    # Ranks order infinities too, and differences of small integers are exact.
    a = rankdata(a[complete], method="dense").astype(np.int64)
    b = rankdata(b[complete], method="dense").astype(np.int64)
    n = a.size
    if n < 2:
        return _undefined(n, dropped, "fewer than two complete pairs")
    if a.max() == 1 or b.max() == 1:
        return _undefined(n, dropped, "one variable never changes")
    i, j = np.triu_indices(n, 1)
    x_signs, y_signs = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    score = int(x_signs @ y_signs)  # S: concordant minus discordant pairs
    tau = score / math.sqrt(np.count_nonzero(x_signs) * np.count_nonzero(y_signs))
    if a.max() == n and b.max() == n:
        p, method = float(kendalltau(a, b, method="exact").pvalue), "exact"
    else:  # ties fix tau-b's denominator, so orders can be compared by S
        p, method = _with_ties(x_signs, b, score, seed)
    return Correlation(tau, n, p, method, dropped)


def smallest_probability(n: int) -> float:
    """Two-sided probability of a perfect order of `n` models without ties, 2/n!.

    No order of so few models can have a smaller one.
    """
    return min(1.0, 2 / math.factorial(n))


def _undefined(n: int, dropped: int, reason: str) -> Correlation:
    return Correlation(math.nan, n, math.nan, "", dropped, reason)


def _with_ties(x_signs: np.ndarray, y: np.ndarray, score: int, seed: int) -> tuple[float, str]:
    """Share of the orders of `y` with ``|S| >= |score|``, and how the orders were found."""
    n = y.size
    if n <= LARGEST_ENUMERATION:
        orders = itertools.permutations(y.tolist())
        as_large = total = 0
        while block := list(itertools.islice(orders, 20_000)):
            as_large += _count_as_large(np.array(block), x_signs, score)
            total += len(block)
        return as_large / total, "exact with ties"
    draw = np.random.default_rng(seed)
    as_large, left = 1, MONTE_CARLO_DRAWS  # the observed order is one of the orders
    while left:
        size = min(left, 10_000)
        as_large += _count_as_large(draw.permuted(np.tile(y, (size, 1)), axis=1), x_signs, score)
        left -= size
    method = f"Monte-Carlo with ties, {MONTE_CARLO_DRAWS} orders, seed {seed}"
    return as_large / (MONTE_CARLO_DRAWS + 1), method


def _count_as_large(orders: np.ndarray, x_signs: np.ndarray, score: int) -> int:
    """How many of the `orders` of y, shape ``(orders, n)``, have ``|S| >= |score|``."""
    i, j = np.triu_indices(orders.shape[1], 1)
    scores = np.sign(orders[:, i] - orders[:, j]) @ x_signs
    return int(np.count_nonzero(np.abs(scores) >= abs(score)))


def signed(tau: float) -> str:
    """A correlation with its sign (a true minus), two decimals."""
    return f"{tau:+.2f}".replace("-", "−") if round(tau, 2) else "0.00"
