"""Power-law fit of a spectrum's tail: the exact minimiser of the KS distance over every xmin.

Sources: Clauset, Shalizi & Newman, "Power-law distributions in empirical data" (SIAM Review 2009),
eqs. 3.1-3.2 and sec. 3.3, with the conventions of the Python package powerlaw 1.5, whose answers
these are; Martin & Mahoney, "Traditional and heavy-tailed self regularization in neural network
models" (ICML 2019) for the use on eigenvalues.
"""

from typing import NamedTuple

import numpy as np

# A fit on fewer tail values is flagged: its sigma is no longer a fair error bar.
SMALL_TAIL = 20
# Below this relative spread a spectrum is constant up to float32 rounding (an orthogonal matrix).
CONSTANT_SPREAD = 1e-5
# Distances closer than this are a tie, settled by the definition's own arithmetic. It exceeds the
# rounding of a distance (about n * 2e-16) at any n that a spectrum has.
TIE = 1e-11


class PowerLawFit(NamedTuple):
    """A fitted density p(x) ~ x^-alpha for x >= xmin.

    alpha: exponent; xmin: smallest value of the fitted tail, in the data's unit; D: KS distance
    between the tail and the fit; sigma: standard error (alpha - 1) / sqrt(n_tail), conditional on
    xmin and so slightly optimistic; n_tail: number of values in [xmin, xmax]; status: "ok",
    "small_tail" (n_tail < 20) or "degenerate" (nothing to fit, every number is NaN).
    """

    alpha: float
    xmin: float
    D: float
    sigma: float
    n_tail: int | float
    status: str


_DEGENERATE = PowerLawFit(np.nan, np.nan, np.nan, np.nan, np.nan, "degenerate")


def fit_power_law(
    eigenvalues: np.ndarray, *, xmin: float | None = None, xmax: float | None = None
) -> PowerLawFit:
    """Fit a power law to the upper tail of `eigenvalues`; exact over all candidates for xmin.

    eigenvalues: shape (n,), any order and unit, not modified; values <= 0 are left out.
    xmin: fix the tail's start instead of searching for it. The search tries every distinct value
        but the largest and keeps the one with the smallest KS distance D, the lowest on a tie.
    xmax: leave out values above it and compare with the law's distribution function divided by its
        value at xmax. Alpha stays the untruncated estimate: this is what powerlaw 1.x does, hence
        every published alpha of 2019-2020 (there xmax is the largest eigenvalue).

    alpha = 1 + n / sum(log(x / xmin)). D = max |F(x) - k / n| over the distinct values x of the
    tail, with k the number of tail values below x: the one-sided comparison of powerlaw.

    Data that admit no fit (fewer than two distinct positive values, or a spectrum constant to one
    part in 1e5, as of an orthogonal matrix) give status "degenerate", never an exception.
    ValueError: not one-dimensional, not real numbers, NaN or Inf, xmin <= 0, xmax <= xmin.
    """
    x = np.asarray(eigenvalues)
    if x.ndim != 1:
        raise ValueError(f"eigenvalues must have one dimension, not shape {x.shape}")
    if x.dtype.kind not in "fiu":
        raise ValueError(f"eigenvalues must be real numbers, not {x.dtype}")
    x = x.astype(np.float64, copy=False)
    if not np.isfinite(x).all():
        raise ValueError("eigenvalues hold NaN or Inf")
    if xmin is not None and not (xmin > 0 and np.isfinite(xmin)):
        raise ValueError(f"xmin must be positive and finite, not {xmin}")
    if xmax is not None and not (xmax > (xmin or 0) and np.isfinite(xmax)):
        raise ValueError(f"xmax must be finite and above {'xmin' if xmin else '0'}, not {xmax}")

    x = np.sort(x)
    above_zero = np.searchsorted(x, 0.0, side="right")
    x = x[above_zero : None if xmax is None else np.searchsorted(x, xmax, side="right")]
    if len(x) < 2 or x[-1] - x[0] <= CONSTANT_SPREAD * x[-1]:
        return _DEGENERATE
    if xmin is None:
        fits = [_fit_tail(x[start:], x[start], xmax) for start in _best_starts(x, xmax)]
        return min(fits, key=lambda fit: fit.D)
    tail = x[np.searchsorted(x, xmin) :]
    if len(tail) == 0 or tail[0] == tail[-1]:
        return _DEGENERATE
    return _fit_tail(tail, xmin, xmax)


def _fit_tail(tail: np.ndarray, xmin: float, xmax: float | None) -> PowerLawFit:
    """The fit with a given xmin; `tail` ascending, shape (n,), all >= xmin, not all equal."""
    n = len(tail)
    y = _log_ratio(tail, xmin)
    exponent = n / y.sum()  # alpha - 1
    first = _first_copies(tail)
    F = -np.expm1(-exponent * y[first])
    if xmax is not None:
        F /= -np.expm1(-exponent * _log_ratio(xmax, xmin))
    D = np.abs(F - first / n).max()
    status = "ok" if n >= SMALL_TAIL else "small_tail"
    return PowerLawFit(
        float(1 + exponent), float(xmin), float(D), float(exponent / np.sqrt(n)), n, status
    )


def _best_starts(x: np.ndarray, xmax: float | None) -> list[int]:
    """Where the best tails start in ascending `x`: all whose D is within TIE of the smallest.

    With distinct values v_0 < ... < v_m, tail i = {x >= v_i} of n_i values and its own exponent
    a_i, the distance of tail i is D_i = max over j >= i of d_i(j), where (E for exp)

        d_i(j) = | F_i(v_j) - (1 - n_j / n_i) |,   F_i(v) = (1 - E(-a_i log(v / v_i))) / Z_i,

    Z_i = 1, or with xmax the numerator at xmax (Z_i > 0.63, since a_i is one over the tail's mean
    log ratio and xmax is at least its largest). Copies of a value share one j, so ties need no
    special care. Evaluating all D_i costs O(n^2).

    Bound. D_i is a maximum over j, so d_i(j) for any one j >= i is a lower bound of D_i, whatever
    the data, ties and xmax; so is the maximum over any set of such j. No other fact is used.

    Search. All bounds start at 0. Take the tail with the lowest bound and evaluate its D_i in full,
    which also yields the witness j where it is attained. Tails that start near i misfit near the
    same v_j, so d(j) at this one witness, for all tails that reach it, raises most of their bounds
    to nearly their distance. Repeat until the lowest bound exceeds the best distance so far: every
    other tail has D_i >= bound > best >= minimum, so the result is exact. Spectra of thousands
    of values take 10-25 evaluations; the memory is O(n) in every case.

    Rounding. Bounds and distances come from the same a_i and the same expressions, hence a bound
    exceeds its distance by no more than the last bits of exp. Both differ from `_fit_tail`'s
    arithmetic by about n * 2e-16 at worst. The search ends only beyond best + TIE, and all
    tails within TIE of the best are returned, for `_fit_tail` to settle: the first smallest wins.
    """
    starts = _first_copies(x)
    y = _log_ratio(x, x[-1])
    v = y[starts]
    n = (len(x) - starts).astype(np.float64)
    m = len(v) - 1  # the largest value is no candidate: its tail has one distinct value
    # Sum over each tail of log(x / v_i), from suffix sums: small terms are added first.
    log_sums = np.cumsum(y[::-1])[::-1][starts[:m]] - n[:m] * v[:m]
    a = n[:m] / log_sums
    per_n = 1 / n[:m]
    if xmax is not None:
        per_Z = -1 / np.expm1(-a * (_log_ratio(xmax, x[-1]) - v[:m]))

    def misfit(i: slice | int, j: slice | int) -> np.ndarray:
        """d_i(j): one i and several j, or several i and one j."""
        d = v[i] - v[j]
        d *= a[i]
        np.exp(d, out=d)
        if xmax is not None:
            d -= 1
            d *= per_Z[i]
            d += 1
        d -= n[j] * per_n[i]
        return np.abs(d, out=d)

    bound = np.zeros(m)
    distance = {}
    best = np.inf
    lowest = 0
    while bound[lowest] <= best + TIE:
        d = misfit(lowest, slice(lowest, None))
        witness = lowest + int(d.argmax())
        distance[lowest] = d[witness - lowest]
        best = min(best, distance[lowest])
        reach = slice(0, min(witness + 1, m))
        np.maximum(bound[reach], misfit(reach, witness), out=bound[reach])
        bound[lowest] = np.inf
        lowest = int(bound.argmin())
    return sorted(int(starts[i]) for i, d in distance.items() if d <= best + TIE)


def _first_copies(x: np.ndarray) -> np.ndarray:
    """Indices of the first copy of each distinct value of ascending `x`: the count below it."""
    return np.concatenate(([0], np.flatnonzero(x[1:] != x[:-1]) + 1))


def _log_ratio(x: np.ndarray | float, reference: float) -> np.ndarray:
    """log(x / reference), also where the quotient leaves float64's range. `x` is ascending."""
    with np.errstate(over="ignore", under="ignore"):
        ratio = x / reference
    if np.min(ratio) < 1e-300 or np.max(ratio) > 1e300:
        return np.log(x) - np.log(reference)
    return np.log(ratio)
