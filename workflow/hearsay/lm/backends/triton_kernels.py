"""Element-wise parts of a step as Triton kernels, one launch each.

Arrays are whole chunks, C-contiguous, and ``step`` says which part is meant, so that a kernel is
compiled once whatever the step. A program does one range of units of one sequence. Each element is
written by one program: nothing is summed in an order that may change. Arithmetic is in the arrays'
own type. Gates are in blocks update (evnn: keep), reset, candidate.
"""

import triton
import triton.language as tl

BLOCK = 256
_PLACES = ["step", "before", "after"]


@triton.jit
def _sigmoid(v):
    return 1.0 / (1.0 + tl.exp(-v))


@triton.jit
def _tanh(v):
    # exp of a negative number: never infinite.
    small = tl.exp(-2.0 * tl.abs(v))
    size = (1.0 - small) / (1.0 + small)
    return tl.where(v < 0, -size, size)


@triton.jit
def _surrogate(above, width: tl.constexpr, height: tl.constexpr):
    # Compared as well: a GPU's quotient may be rounded to below 1 outside ±ε.
    away = tl.abs(above)
    return tl.where(away < width, height * (1.0 - away / width), 0.0)


@triton.jit
def _place(step, batch, hidden, BLOCK: tl.constexpr):
    """Row of this program in [T·B, ·], its units, and which of them exist."""
    b = tl.program_id(1)
    units = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return (b + step * batch).to(tl.int64), b.to(tl.int64), units, units < hidden


@triton.jit(do_not_specialize=_PLACES)
def gates_paper(gates, product, y, remembered, step, batch, hidden, BLOCK: tl.constexpr):
    """u and r from their arguments (``product`` [B, 2H] is R's part), and r⊙y⁻."""
    row, b, j, there = _place(step, batch, hidden, BLOCK)
    at = gates + row * 3 * hidden + j
    part = product + b * 2 * hidden + j
    u = tl.load(at, there, 0.0) + tl.load(part, there, 0.0)
    r = tl.load(at + hidden, there, 0.0) + tl.load(part + hidden, there, 0.0)
    r = _sigmoid(r)
    tl.store(at, _sigmoid(u), there)
    tl.store(at + hidden, r, there)
    y_before = tl.load(y + row * hidden + j, there, 0.0)
    tl.store(remembered + b * hidden + j, r * y_before, there)


@triton.jit(do_not_specialize=_PLACES)
def forward_paper(
    gates,
    product,
    y,
    carried,
    thresholds,
    step,
    before,
    after,
    batch,
    hidden,
    BLOCK: tl.constexpr,
):
    """z from its argument (``product`` [B, H] is R's part); c = u⊙z + (1−u)⊙c⁻ − y⁻; y."""
    row, b, j, there = _place(step, batch, hidden, BLOCK)
    at = gates + row * 3 * hidden + j
    u = tl.load(at, there, 0.0)
    z = tl.load(at + 2 * hidden, there, 0.0) + tl.load(product + b * hidden + j, there, 0.0)
    z = _tanh(z)
    tl.store(at + 2 * hidden, z, there)
    c_before = tl.load(carried + (b + before * batch) * hidden + j, there, 0.0)
    y_before = tl.load(y + row * hidden + j, there, 0.0)
    c = c_before + u * (z - c_before) - y_before
    tl.store(carried + (b + after * batch) * hidden + j, c, there)
    event = c > tl.load(thresholds + j, there, 0.0)
    tl.store(y + (row + batch) * hidden + j, tl.where(event, c, 0.0), there)


@triton.jit(do_not_specialize=_PLACES)
def forward_evnn(
    gates,
    product,
    y,
    carried,
    candidates,
    bias,
    thresholds,
    step,
    before,
    after,
    batch,
    hidden,
    BLOCK: tl.constexpr,
):
    """All gates from their arguments (``product`` [B, 3H] is R's part), then ĉ, y and c."""
    row, b, j, there = _place(step, batch, hidden, BLOCK)
    at = gates + row * 3 * hidden + j
    part = product + b * 3 * hidden + j
    k = _sigmoid(tl.load(at, there, 0.0) + tl.load(part, there, 0.0))
    r = _sigmoid(tl.load(at + hidden, there, 0.0) + tl.load(part + hidden, there, 0.0))
    candidate = tl.load(part + 2 * hidden, there, 0.0) + tl.load(bias + j, there, 0.0)
    z = _tanh(tl.load(at + 2 * hidden, there, 0.0) + r * candidate)
    tl.store(at, k, there)
    tl.store(at + hidden, r, there)
    tl.store(at + 2 * hidden, z, there)
    tl.store(candidates + (b + before * batch) * hidden + j, candidate, there)
    c_before = tl.load(carried + (b + before * batch) * hidden + j, there, 0.0)
    c = z + k * (c_before - z)
    threshold = tl.load(thresholds + j, there, 0.0)
    event = c > threshold
    tl.store(y + (row + batch) * hidden + j, tl.where(event, c, 0.0), there)
    lowered = tl.where(event, c - threshold, c)
    tl.store(carried + (b + after * batch) * hidden + j, lowered, there)


@triton.jit(do_not_specialize=_PLACES)
def backward_paper_cell(
    gates,
    carried,
    thresholds,
    grad_y,
    dy,
    dc,
    d_thresholds,
    found,
    width: tl.constexpr,
    height: tl.constexpr,
    step,
    batch,
    hidden,
    BLOCK: tl.constexpr,
):
    """From y's and c's gradients to those of c and of the arguments of update and candidate."""
    row, b, j, there = _place(step, batch, hidden, BLOCK)
    at = gates + row * 3 * hidden + j
    to = found + row * 3 * hidden + j
    here = b * hidden + j
    u = tl.load(at, there, 0.0)
    z = tl.load(at + 2 * hidden, there, 0.0)
    c_before = tl.load(carried + row * hidden + j, there, 0.0)
    c = tl.load(carried + (row + batch) * hidden + j, there, 0.0)
    d_y = tl.load(dy + here, there, 0.0) + tl.load(grad_y + row * hidden + j, there, 0.0)
    above = c - tl.load(thresholds + j, there, 0.0)
    slope = _surrogate(above, width, height) * c
    tl.store(d_thresholds + here, tl.load(d_thresholds + here, there, 0.0) - d_y * slope, there)
    d_c = tl.load(dc + here, there, 0.0) + d_y * (slope + tl.where(above > 0, 1.0, 0.0))
    tl.store(dc + here, d_c, there)
    tl.store(to, d_c * (z - c_before) * (u - u * u), there)
    tl.store(to + 2 * hidden, d_c * u * (1.0 - z * z), there)


@triton.jit(do_not_specialize=_PLACES)
def backward_paper_reset(gates, y, remembered, dc, found, step, batch, hidden, BLOCK: tl.constexpr):
    """Through r⊙y⁻, whose gradient ``remembered`` becomes that of y⁻, without R's part."""
    row, b, j, there = _place(step, batch, hidden, BLOCK)
    at = gates + row * 3 * hidden + j
    here = b * hidden + j
    u = tl.load(at, there, 0.0)
    r = tl.load(at + hidden, there, 0.0)
    d = tl.load(remembered + here, there, 0.0)
    d_c = tl.load(dc + here, there, 0.0)
    y_before = tl.load(y + row * hidden + j, there, 0.0)
    tl.store(found + row * 3 * hidden + hidden + j, d * y_before * (r - r * r), there)
    tl.store(remembered + here, d * r - d_c, there)
    tl.store(dc + here, d_c - d_c * u, there)


@triton.jit(do_not_specialize=_PLACES)
def backward_evnn(
    gates,
    y,
    carried,
    candidates,
    thresholds,
    grad_y,
    dy,
    dc,
    d_thresholds,
    found,
    width: tl.constexpr,
    height: tl.constexpr,
    step,
    batch,
    hidden,
    BLOCK: tl.constexpr,
):
    """From y's and c's gradients to those of c⁻ and of all gates' arguments."""
    row, b, j, there = _place(step, batch, hidden, BLOCK)
    at = gates + row * 3 * hidden + j
    to = found + row * 4 * hidden + j
    here = b * hidden + j
    k = tl.load(at, there, 0.0)
    r = tl.load(at + hidden, there, 0.0)
    z = tl.load(at + 2 * hidden, there, 0.0)
    y_now = tl.load(y + (row + batch) * hidden + j, there, 0.0)
    c_before = tl.load(carried + row * hidden + j, there, 0.0)
    c = tl.where(y_now != 0, y_now, tl.load(carried + (row + batch) * hidden + j, there, 0.0))
    event = tl.where(y_now != 0, 1.0, 0.0)
    threshold = tl.load(thresholds + j, there, 0.0)
    d_y = tl.load(dy + here, there, 0.0) + tl.load(grad_y + row * hidden + j, there, 0.0)
    d_c = tl.load(dc + here, there, 0.0)
    slope = _surrogate(c - threshold, width, height)
    d_event = (d_y * c - d_c * threshold) * slope
    sums = tl.load(d_thresholds + here, there, 0.0)
    tl.store(d_thresholds + here, sums - d_event - d_c * event, there)
    d = d_c + d_event + d_y * event
    d_z = (d - d * k) * (1.0 - z * z)
    candidate = tl.load(candidates + row * hidden + j, there, 0.0)
    tl.store(to, d_z * r, there)
    tl.store(to + hidden, d * (c_before - z) * (k - k * k), there)
    tl.store(to + 2 * hidden, d_z * candidate * (r - r * r), there)
    tl.store(to + 3 * hidden, d_z, there)
    tl.store(dc + here, d * k, there)
