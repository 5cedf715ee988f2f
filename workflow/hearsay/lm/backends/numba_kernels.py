"""Element-wise parts of a step, each in one pass over memory (compiled when first used).

Arrays are whole chunks, C-contiguous, and ``step`` says which part is meant; so a call makes no
views. Kernels run in one thread: a step's arrays fit the cache, and their order of summation is
fixed. Gates are in blocks update (evnn: keep), reset, candidate.
"""

from typing import Any

import numpy as np

from hearsay.lm.compiled import compiled

# numpy's error model: without a check for division by 0 the loops become vector instructions.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}


@compiled(**OPTIONS)
def forward_paper(
    step: int,
    before: int,
    after: int,
    gates: np.ndarray,
    y: np.ndarray,
    carried: np.ndarray,
    thresholds: np.ndarray,
) -> None:
    """c = u⊙z + (1−u)⊙c⁻ − y⁻ and y = c·H(c−ϑ), from the gates' values."""
    _, batch, hidden = y.shape
    zero = thresholds.dtype.type(0)
    for b in range(batch):
        u, z = gates[step, b, :hidden], gates[step, b, 2 * hidden :]
        y_before, y_now = y[step, b], y[step + 1, b]
        c_before, c_now = carried[before, b], carried[after, b]
        for j in range(hidden):
            c = c_before[j] + u[j] * (z[j] - c_before[j]) - y_before[j]
            c_now[j] = c
            y_now[j] = c if c > thresholds[j] else zero


@compiled(**OPTIONS)
def candidate_evnn(
    step: int,
    kept: int,
    gates: np.ndarray,
    of_y: np.ndarray,
    bias: np.ndarray,
    candidates: np.ndarray,
) -> None:
    """Add r⊙(R_z y⁻ + b) to the candidate's argument, and keep what is in brackets."""
    batch, hidden = candidates.shape[1:]
    for b in range(batch):
        r, z = gates[step, b, hidden : 2 * hidden], gates[step, b, 2 * hidden :]
        product, candidate = of_y[b, 2 * hidden :], candidates[kept, b]
        for j in range(hidden):
            value = product[j] + bias[j]
            candidate[j] = value
            z[j] += r[j] * value


@compiled(**OPTIONS)
def forward_evnn(
    step: int,
    before: int,
    after: int,
    gates: np.ndarray,
    y: np.ndarray,
    carried: np.ndarray,
    thresholds: np.ndarray,
) -> None:
    """ĉ = k⊙c⁻ + (1−k)⊙z, o = H(ĉ−ϑ), y = o⊙ĉ and c = ĉ − o⊙ϑ, from the gates' values."""
    _, batch, hidden = y.shape
    zero = thresholds.dtype.type(0)
    for b in range(batch):
        k, z = gates[step, b, :hidden], gates[step, b, 2 * hidden :]
        y_now, c_before, c_now = y[step + 1, b], carried[before, b], carried[after, b]
        for j in range(hidden):
            c = z[j] + k[j] * (c_before[j] - z[j])
            event = c > thresholds[j]
            y_now[j] = c if event else zero
            c_now[j] = c - thresholds[j] if event else c


@compiled(**OPTIONS)
def backward_paper_cell(
    step: int,
    width: float,
    height: float,
    gates: np.ndarray,
    carried: np.ndarray,
    thresholds: np.ndarray,
    grad_y: np.ndarray,
    dy: np.ndarray,
    dc: np.ndarray,
    d_thresholds: np.ndarray,
    found: np.ndarray,
) -> None:
    """From y's and c's gradients to those of c and of the arguments of update and candidate."""
    _, batch, hidden = grad_y.shape
    one, zero = thresholds.dtype.type(1), thresholds.dtype.type(0)
    for b in range(batch):
        u, z = gates[step, b, :hidden], gates[step, b, 2 * hidden :]
        du, dz = found[step, b, :hidden], found[step, b, 2 * hidden :]
        c_before, c_now, dy_given = carried[step, b], carried[step + 1, b], grad_y[step, b]
        dy_b, dc_b, d_thresholds_b = dy[b], dc[b], d_thresholds[b]
        for j in range(hidden):
            c = c_now[j]
            dy_all = dy_b[j] + dy_given[j]
            above = c - thresholds[j]
            # The quotient is never below 1 outside ±ε: the slope is exactly 0 there.
            slope = height * max(zero, one - abs(above) / width) * c
            d_thresholds_b[j] -= dy_all * slope
            dc_all = dc_b[j] + dy_all * (slope + (one if above > zero else zero))
            dc_b[j] = dc_all
            du[j] = dc_all * (z[j] - c_before[j]) * (u[j] - u[j] * u[j])
            dz[j] = dc_all * u[j] * (one - z[j] * z[j])


@compiled(**OPTIONS)
def backward_paper_reset(
    step: int,
    gates: np.ndarray,
    y: np.ndarray,
    remembered: np.ndarray,
    dc: np.ndarray,
    found: np.ndarray,
) -> None:
    """Through r⊙y⁻, whose gradient ``remembered`` becomes that of y⁻, without R's part."""
    _, batch, hidden = y.shape
    for b in range(batch):
        u, r = gates[step, b, :hidden], gates[step, b, hidden : 2 * hidden]
        y_before, dr, dc_b, d_b = (
            y[step, b],
            found[step, b, hidden : 2 * hidden],
            dc[b],
            remembered[b],
        )
        for j in range(hidden):
            d = d_b[j]
            dr[j] = d * y_before[j] * (r[j] - r[j] * r[j])
            d_b[j] = d * r[j] - dc_b[j]
            dc_b[j] -= dc_b[j] * u[j]


@compiled(**OPTIONS)
def backward_evnn(
    step: int,
    width: float,
    height: float,
    gates: np.ndarray,
    y: np.ndarray,
    carried: np.ndarray,
    candidates: np.ndarray,
    thresholds: np.ndarray,
    grad_y: np.ndarray,
    dy: np.ndarray,
    dc: np.ndarray,
    d_thresholds: np.ndarray,
    found: np.ndarray,
) -> None:
    """From y's and c's gradients to those of c⁻ and of all gates' arguments."""
    _, batch, hidden = grad_y.shape
    one, zero = thresholds.dtype.type(1), thresholds.dtype.type(0)
    for b in range(batch):
        k, r, z = (
            gates[step, b, :hidden],
            gates[step, b, hidden : 2 * hidden],
            gates[step, b, 2 * hidden :],
        )
        dz_recurrent, dk = found[step, b, :hidden], found[step, b, hidden : 2 * hidden]
        dr, dz = found[step, b, 2 * hidden : 3 * hidden], found[step, b, 3 * hidden :]
        y_now, c_before, c_now = y[step + 1, b], carried[step, b], carried[step + 1, b]
        candidate, dy_given = candidates[step, b], grad_y[step, b]
        dy_b, dc_b, d_thresholds_b = dy[b], dc[b], d_thresholds[b]
        for j in range(hidden):
            event = one if y_now[j] != zero else zero
            c = y_now[j] if y_now[j] != zero else c_now[j]
            dy_all = dy_b[j] + dy_given[j]
            slope = height * max(zero, one - abs(c - thresholds[j]) / width)
            d_event = (dy_all * c - dc_b[j] * thresholds[j]) * slope
            d_thresholds_b[j] -= d_event + dc_b[j] * event
            d = dc_b[j] + d_event + dy_all * event
            dk[j] = d * (c_before[j] - z[j]) * (k[j] - k[j] * k[j])
            dz_all = (d - d * k[j]) * (one - z[j] * z[j])
            dz[j] = dz_all
            dr[j] = dz_all * candidate[j] * (r[j] - r[j] * r[j])
            dz_recurrent[j] = dz_all * r[j]
            dc_b[j] = d * k[j]
