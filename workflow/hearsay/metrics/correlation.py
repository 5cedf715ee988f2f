"""Rank correlation with its exact permutation probability, for the few models of one series."""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

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
    smallest_p : the smallest `p` of any order of these values: 2 / n! without ties, more with
        them; 1 where `tau` is not defined.
    """

    tau: float
    n: int
    p: float
    method: str
    dropped: int = 0
    reason: str = ""
    smallest_p: float = 1.0


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
    return Correlation(tau, n, p, method, dropped, smallest_p=_smallest_probability(a, b))


def _smallest_probability(x: np.ndarray, y: np.ndarray) -> float:
    """Share of the orders of `y` whose ``|S|`` no order exceeds; `x`, `y`: dense ranks ``(n,)``.

    S is largest where both are sorted and smallest where one is reversed; values trade places
    within a tie only. With s_g and t_v values in the ties of x and y, and c_gv in both, that are
    prod s_g! prod t_v! / prod c_gv! of the n! orders.
    """
    x, y = np.sort(x), np.sort(y)
    i, j = np.triu_indices(x.size, 1)
    found = []
    for turned in (y, y[::-1]):
        score = abs(int(np.sign(x[i] - x[j]) @ np.sign(turned[i] - turned[j])))
        ways = Fraction(_orders_within_ties(x) * _orders_within_ties(y))
        ways /= _orders_within_ties(np.stack([x, turned], axis=1))
        found.append((score, ways))
    largest = max(score for score, _ in found)
    return float(sum(ways for score, ways in found if score == largest) / math.factorial(x.size))


def _orders_within_ties(values: np.ndarray) -> int:
    """In how many ways equal values (rows, of a matrix) can trade places."""
    return math.prod(map(math.factorial, np.unique(values, axis=0, return_counts=True)[1].tolist()))


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
