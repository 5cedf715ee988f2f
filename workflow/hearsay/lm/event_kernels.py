"""Compiled kernels of event-driven inference: products with the rows of active units only.

Weights lie as [in, out], so that what one active unit adds to all gates of a layer is one
contiguous row. Products are memory-bound: rows go eight at a time through the accumulator, which
stays in the first cache. Every accumulator receives its rows in order, one fused multiply-add
each, so that results depend neither on the batch nor on the number of threads.

`weights` and `memory` are those of `hearsay.lm.event_arrays`. All kernels are in this one file:
numba's cache would not see that a callee elsewhere has changed.
"""

import math
from typing import Any

import numpy as np
from numba import prange

from hearsay.lm.compiled import compiled

# Contracting a·b + c into one instruction is the only liberty that the compiler has.
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
COLUMNS = 4096  # of the accumulator at a time: 16 KiB in float32
FIRST = np.int64(0)  # a plain 0 would be a type of its own, and compile everything twice
LEAST = 200_000  # multiply-accumulates (50 µs) that are worth waking other threads
UNITS = 64  # of the source layer at a time in a batch: their rows stay in the second cache

LOG2_E = 1 / math.log(2)
LN2_HIGH = np.float32(0.693359375)  # exact in nine bits, so that a whole multiple of it is exact
LN2_LOW = np.float32(math.log(2) - 0.693359375)
FACTORIALS = tuple(np.float32(1 / math.factorial(k)) for k in range(8))


# --- element-wise functions ----------------------------------------------------------------------


@compiled(**OPTIONS)
def expm1_single(x):
    """e^x − 1 in float32, within a few units in the last place; compiles to vector code.

    x = n·ln 2 + r with |r| ≤ ln 2 / 2, and e^x − 1 = 2^n (e^r − 1) + (2^n − 1).
    """
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(LOG2_E) + np.float32(0.5))
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    series = FACTORIALS[7]
    series = series * r + FACTORIALS[6]
    series = series * r + FACTORIALS[5]
    series = series * r + FACTORIALS[4]
    series = series * r + FACTORIALS[3]
    series = series * r + FACTORIALS[2]
    series = series * r * r + r
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power * series + (power - np.float32(1))


@compiled(**OPTIONS)
def logistic(x, single):
    """σ(x); `single` says that x is float32."""
    one = np.float32(1)  # leaves both types as they are; an integer would make both float64
    if single:
        return one / (one + one + expm1_single(-x))
    return one / (one + math.exp(-x))


@compiled(**OPTIONS)
def hyperbolic_tangent(x, single):
    """tanh(x); likewise."""
    if single:
        e = expm1_single(np.float32(2) * x)
        return e / (e + np.float32(2))
    return math.tanh(x)


# --- products ------------------------------------------------------------------------------------


@compiled(**OPTIONS)
def add_rows(sums, weights, index, value, begin, end, start, stop):
    """sums[start:stop] += Σ value[k] · weights[index[k], start:stop] over begin ≤ k < end.

    Returns the number of multiply-accumulates executed.
    """
    executed = 0
    for left in range(start, stop, COLUMNS):
        right = min(left + COLUMNS, stop)
        s = sums[left:right]
        k = begin
        while k + 8 <= end:
            w0, v0 = weights[index[k], left:right], value[k]
            w1, v1 = weights[index[k + 1], left:right], value[k + 1]
            w2, v2 = weights[index[k + 2], left:right], value[k + 2]
            w3, v3 = weights[index[k + 3], left:right], value[k + 3]
            w4, v4 = weights[index[k + 4], left:right], value[k + 4]
            w5, v5 = weights[index[k + 5], left:right], value[k + 5]
            w6, v6 = weights[index[k + 6], left:right], value[k + 6]
            w7, v7 = weights[index[k + 7], left:right], value[k + 7]
            for j in range(right - left):
                t = s[j] + v0 * w0[j] + v1 * w1[j] + v2 * w2[j] + v3 * w3[j]
                s[j] = t + v4 * w4[j] + v5 * w5[j] + v6 * w6[j] + v7 * w7[j]
            executed += 8 * (right - left)
            k += 8
        while k < end:
            w, v = weights[index[k], left:right], value[k]
            for j in range(right - left):
                s[j] = s[j] + v * w[j]
            executed += right - left
            k += 1
    return executed


@compiled(**OPTIONS)
def add_rows_of_batch(sums, weights, index, value, count, start, stop):
    """`add_rows` for sequences [B, …]: each takes its own rows, and shared ones while cached."""
    batch = len(count)
    executed = 0
    begin = np.zeros(batch, np.int64)
    at_once = len(weights) if batch == 1 else UNITS
    for units in range(at_once, len(weights) + at_once, at_once):
        for b in range(batch):
            end = begin[b]
            while end < count[b] and index[b, end] < units:
                end += 1
            executed += add_rows(sums[b], weights, index[b], value[b], begin[b], end, start, stop)
            begin[b] = end
    return executed


@compiled(parallel=True, **OPTIONS)
def add_rows_in_threads(sums, weights, index, value, count, start, stop, threads):
    """`add_rows_of_batch`, a range of columns for each thread."""
    executed = np.zeros(threads, np.int64)
    width = (stop - start + threads - 1) // threads
    for k in prange(threads):
        left = min(start + k * width, stop)
        right = min(left + width, stop)
        executed[k] = add_rows_of_batch(sums, weights, index, value, count, left, right)
    return executed.sum()


@compiled(**OPTIONS)
def add_product(sums, weights, index, value, count, start, stop, threads):
    """One of the two above; without threads, that with threads is not even compiled."""
    if threads is None or count.sum() * (stop - start) < LEAST:
        return add_rows_of_batch(sums, weights, index, value, count, start, stop)
    return add_rows_in_threads(sums, weights, index, value, count, start, stop, threads)


@compiled(**OPTIONS)
def copy(target, source, length):
    """As target[:length] = source[:length], which would take seconds to compile."""
    for i in range(length):
        target[i] = source[i]


# --- one layer -----------------------------------------------------------------------------------


@compiled(**OPTIONS)
def scale_by_reset(fed, fed_back, index, value, count, scaled, units):
    """r⊙y⁻ of the active units (paper, Eq. 4)."""
    single = fed.itemsize == 4
    for k in range(count):
        j = units + index[k]
        scaled[k] = value[k] * logistic(fed[j] + fed_back[j], single)


@compiled(**OPTIONS)
def update_paper(fed, fed_back, c, y, units):
    """c = u⊙z + (1−u)⊙c⁻ − y⁻ (Eq. 5)."""
    single = fed.itemsize == 4
    update_fed, candidate_fed = fed[:units], fed[2 * units : 3 * units]
    update_back, candidate_back = fed_back[:units], fed_back[2 * units : 3 * units]
    one = c.dtype.type(1)  # numba would make float64 of an integer and a float32
    for i in range(units):
        u = logistic(update_fed[i] + update_back[i], single)
        z = hyperbolic_tangent(candidate_fed[i] + candidate_back[i], single)
        c[i] = u * z + (one - u) * c[i] - y[i]


@compiled(**OPTIONS)
def update_evnn(fed, fed_back, c, units):
    """ĉ = k⊙c⁻ + (1−k)⊙g of the public code, whose reset gate scales the recurrent product."""
    single = fed.itemsize == 4
    keep_fed, reset_fed, candidate_fed = fed[:units], fed[units:], fed[2 * units :]
    keep_back, reset_back = fed_back[:units], fed_back[units:]
    candidate_back = fed_back[2 * units :]
    one = c.dtype.type(1)
    for i in range(units):
        k = logistic(keep_fed[i] + keep_back[i], single)
        r = logistic(reset_fed[i] + reset_back[i], single)
        g = hyperbolic_tangent(candidate_fed[i] + r * candidate_back[i], single)
        c[i] = k * c[i] + (one - k) * g


@compiled(**OPTIONS)
def emit(c, y, thresholds, index, value, units, soft_reset):
    """y = c·H(c−ϑ), as a vector and as a list of events; returns how many there are."""
    count = 0
    zero = c.dtype.type(0)
    for i in range(units):
        index[count] = i
        value[count] = c[i]
        active = c[i] > thresholds[i]
        y[i] = c[i] if active else zero
        count += active
    if soft_reset:
        for k in range(count):
            c[index[k]] -= thresholds[index[k]]
    return count


@compiled(**OPTIONS)
def feed(layer, tokens, weights, memory, lookup, threads):
    """Write into memory.fed what comes from below to the gates' arguments of one layer."""
    width = 3 * weights.sizes[layer, 1]
    for b in range(len(tokens)):
        word = weights.words[tokens[b]]
        if layer > 0:
            copy(memory.fed[b], weights.bias[layer], width)
        elif lookup:
            copy(memory.fed[b], word, width)
        else:  # every value of a word vector is an event
            copy(memory.fed[b], weights.bias[layer], width)
            copy(memory.value[layer, b], word, weights.sizes[layer, 0])
    if layer == 0 and lookup:
        return
    index, value, count = memory.active[layer], memory.value[layer], memory.counts[layer]
    memory.executed[min(layer, 1)] += add_product(
        memory.fed, weights.inputs[layer], index, value, count, FIRST, width, threads
    )


@compiled(**OPTIONS)
def advance_layer(layer, weights, memory, paper, threads):
    """From memory.fed and the layer's last events to its new ones."""
    units = weights.sizes[layer, 1]
    c, y, thresholds = memory.c[layer], memory.y[layer], weights.thresholds[layer]
    level = layer + 1
    index, value, count = memory.active[level], memory.value[level], memory.counts[level]
    fed, back, scaled = memory.fed, memory.fed_back, memory.scaled
    recurrent = weights.recurrent[layer]
    lanes = range(len(count))
    for b in lanes:
        copy(back[b], weights.recurrent_bias[layer], 3 * units)
    gates = 2 * units if paper else 3 * units
    executed = add_product(back, recurrent, index, value, count, FIRST, gates, threads)
    if paper:
        for b in lanes:
            scale_by_reset(fed[b], back[b], index[b], value[b], count[b], scaled[b], units)
        executed += add_product(back, recurrent, index, scaled, count, gates, 3 * units, threads)
    memory.executed[2] += executed
    for b in lanes:
        if paper:
            update_paper(fed[b], back[b], c[b], y[b], units)
        else:
            update_evnn(fed[b], back[b], c[b], units)
        count[b] = emit(c[b], y[b], thresholds, index[b], value[b], units, not paper)
        memory.events[layer] += count[b]


# --- one token -----------------------------------------------------------------------------------


@compiled(**OPTIONS)
def advance(tokens, weights, memory, logits, paper, lookup, threads):
    """Read one word per sequence, tokens [B], and write the scores of the next, logits [B, V]."""
    layers = len(weights.sizes)
    for layer in range(layers):
        feed(layer, tokens, weights, memory, lookup, threads)
        advance_layer(layer, weights, memory, paper, threads)
    for b in range(len(tokens)):
        copy(logits[b], weights.decoder_bias, logits.shape[1])
    index, value, count = memory.active[layers], memory.value[layers], memory.counts[layers]
    memory.executed[3] += add_product(
        logits, weights.decoder, index, value, count, FIRST, logits.shape[1], threads
    )


@compiled(nogil=True, fastmath={"contract", "reassoc"})
def surprise(logits, target):
    """−ln p(target) in nats: ln Σ e^(logit − largest) − (logit of the target − largest)."""
    single = logits.itemsize == 4
    largest = logits.max()
    total = 0.0
    for i in range(len(logits)):
        if single:
            total += expm1_single(logits[i] - largest) + 1.0
        else:
            total += math.exp(logits[i] - largest)
    return math.log(total) + float(largest) - float(logits[target])


@compiled(**OPTIONS)
def score(tokens, weights, memory, logits, paper, lookup, threads, surprises):
    """Read tokens [N + 1, B] but the last, and write what each next one costs, [N, B]."""
    for t in range(len(surprises)):
        advance(tokens[t], weights, memory, logits, paper, lookup, threads)
        for b in range(tokens.shape[1]):
            surprises[t, b] = surprise(logits[b], tokens[t + 1, b])
