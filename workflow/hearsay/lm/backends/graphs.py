"""A loop whose launches are recorded once as a CUDA graph and then replayed.

On a GPU a step's products and kernels take less time than their launches. A recording is bound to
addresses and to a number of steps, while chunks come in many lengths (variable BPTT). So a chunk is
run in blocks of 64, 32, 16 and 8 steps over buffers that stay, which serves every length with four
recordings; what is left of a chunk, fewer than 8 steps, is launched as usual.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor

from hearsay.lm.backends.layer import Chunk, Constants, Gradients, Loop

BLOCKS = (64, 32, 16, 8)
MOST_KEPT = 8  # sets of buffers and recordings; that not used for longest goes first

# Runs a function and returns what runs it again, with its result at the same addresses.
Capture = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]

_kept: OrderedDict[Hashable, "_Recordings | None"] = OrderedDict()
_turn = threading.RLock()  # backward runs in a thread of its own


def capture(function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """Record a function of CUDA launches as a graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()  # kernels are compiled and libraries' handles made outside the recording
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        result = function()
    return graph.replay, result


def forget() -> None:
    """Free all recordings and their buffers."""
    with _turn:
        while _kept:
            _drop()


def _drop() -> None:
    _, oldest = _kept.popitem(last=False)
    if oldest is not None and oldest.chunk.gates.is_cuda:
        torch.cuda.synchronize(oldest.chunk.gates.device)  # a replay may still be running


def blocks(steps: int) -> Iterator[tuple[int, int]]:
    """(first step, number of steps) of each block; the last may be shorter than all recordings."""
    start = 0
    for length in BLOCKS:
        while steps - start >= length:
            yield start, length
            start += length
    if start < steps:
        yield start, steps - start


class _Recordings:
    """Buffers for a block, and the recordings that work on them."""

    def __init__(self, chunk: Chunk) -> None:
        longest = BLOCKS[0]
        kept = longest if len(chunk.carried) > 1 else 0
        batch, hidden = chunk.y.shape[1:]
        new = chunk.y.new_empty
        self.chunk = Chunk(
            new(longest, batch, 3 * hidden),
            new(longest + 1, batch, hidden),
            new(kept + 1, batch, hidden),
            None if chunk.candidates is None else new(kept or 1, batch, hidden),
            torch.empty_like(chunk.recurrent),
            None if chunk.candidate_bias is None else new(hidden),
            new(hidden),
        )
        self.grad_y = new(longest, batch, hidden)
        self.grad_c = new(batch, hidden)
        self.recorded: dict[int, tuple[Callable[[], None], Any]] = {}

    def take_parameters(self, chunk: Chunk) -> None:
        self.chunk.recurrent.copy_(chunk.recurrent)
        self.chunk.thresholds.copy_(chunk.thresholds)
        if chunk.candidate_bias is not None and self.chunk.candidate_bias is not None:
            self.chunk.candidate_bias.copy_(chunk.candidate_bias)


class GraphLoop:
    """`Loop` that records and replays another.

    Parameters
    ----------
    inner : the loop whose launches are recorded.
    capture : how; tests give one that needs no GPU.
    """

    def __init__(self, inner: Loop, capture: Capture) -> None:
        self._inner, self._capture = inner, capture
        self._replayed = False

    @property
    def name(self) -> str:
        """The inner loop's name; with "+graph" if the last chunk was replayed."""
        return f"{self._inner.name}+graph" if self._replayed else self._inner.name

    def forward(self, constants: Constants, chunk: Chunk) -> None:
        """As the inner loop's."""
        with _turn, torch.cuda.device_of(chunk.gates):
            held = self._recordings("forward", constants, chunk)
            self._replayed = held is not None
            if held is None:
                self._inner.forward(constants, chunk)
                return
            held.take_parameters(chunk)
            for start, length in blocks(len(chunk.gates)):
                here = _part(chunk, start, length)
                if length not in held.recorded:
                    self._inner.forward(constants, here)
                    continue
                there = _part(held.chunk, 0, length)
                there.gates.copy_(here.gates)
                there.y[0].copy_(here.y[0])
                there.carried[0].copy_(here.carried[0])
                held.recorded[length][0]()
                here.y[1:].copy_(there.y[1:])
                if len(here.carried) > 1:
                    here.gates.copy_(there.gates)
                    here.carried[1:].copy_(there.carried[1:])
                    if here.candidates is not None and there.candidates is not None:
                        here.candidates.copy_(there.candidates)
                else:
                    here.carried.copy_(there.carried)

    def backward(
        self, constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor
    ) -> Gradients:
        """As the inner loop's."""
        with _turn, torch.cuda.device_of(chunk.gates):
            held = self._recordings("backward", constants, chunk)
            if held is None:
                return self._inner.backward(constants, chunk, grad_y, grad_c)
            held.take_parameters(chunk)
            by_gate, d_thresholds = [], torch.zeros_like(chunk.thresholds)
            dc, dy = grad_c, None
            for start, length in reversed(list(blocks(len(chunk.gates)))):
                here, given = _part(chunk, start, length), grad_y[start : start + length]
                if length not in held.recorded:  # the end of the chunk, and so without dy
                    found = self._inner.backward(constants, here, given, dc)
                    by_gate.append(found.gates)
                else:
                    there = _part(held.chunk, 0, length)
                    for target, source in zip(there[:4], here[:4], strict=True):
                        if target is not None and source is not None:
                            target.copy_(source)
                    held.grad_y[:length].copy_(given)
                    if dy is not None:
                        held.grad_y[length - 1].add_(dy)
                    held.grad_c.copy_(dc)
                    replay, found = held.recorded[length]
                    replay()
                    by_gate.append(found.gates.clone())
                dc, dy = found.c0, found.y0
                d_thresholds += found.thresholds
            assert dy is not None, "a chunk has a step"
            return Gradients(torch.cat(by_gate[::-1]), dc.clone(), dy.clone(), d_thresholds)

    def _recordings(self, way: str, constants: Constants, chunk: Chunk) -> "_Recordings | None":
        """Buffers with a recording for each block of this chunk; None where that cannot be."""
        steps = len(chunk.gates)
        on_gpu = chunk.gates.is_cuda
        if steps < BLOCKS[-1] or (on_gpu and torch.cuda.is_current_stream_capturing()):
            return None
        key = (
            *(way, self._inner.name, constants, chunk.gates.shape[1:]),
            *(len(chunk.carried) > 1, chunk.gates.dtype, chunk.gates.device, _precision()),
            torch.cuda.current_stream(chunk.gates.device).cuda_stream if on_gpu else None,
        )
        if key not in _kept:
            while len(_kept) >= MOST_KEPT:
                _drop()
            _kept[key] = _Recordings(chunk)
        _kept.move_to_end(key)
        held = _kept[key]
        for _, length in blocks(steps):
            if held is None or length in held.recorded or length not in BLOCKS:
                continue
            try:
                held.recorded[length] = self._record(way, constants, held, length)
            except RuntimeError:  # CUDA's word for whatever cannot be recorded
                held = _kept[key] = None
        return held

    def _record(
        self, way: str, constants: Constants, held: _Recordings, length: int
    ) -> tuple[Callable[[], None], Any]:
        part = _part(held.chunk, 0, length)
        if way == "forward":
            return self._capture(lambda: self._inner.forward(constants, part))
        grad_y, grad_c = held.grad_y[:length], held.grad_c
        return self._capture(lambda: self._inner.backward(constants, part, grad_y, grad_c))


def _part(chunk: Chunk, start: int, length: int) -> Chunk:
    """The chunk's tensors for some of its steps."""
    steps = slice(start, start + length)
    states = slice(start, start + length + 1)
    kept = len(chunk.carried) > 1
    candidates = chunk.candidates
    if candidates is not None and kept:
        candidates = candidates[steps]
    return chunk._replace(
        gates=chunk.gates[steps],
        y=chunk.y[states],
        carried=chunk.carried[states] if kept else chunk.carried,
        candidates=candidates,
    )


def _precision() -> str:
    """What products of float32 are computed in: a recording has it built in."""
    newer = getattr(torch.backends.cuda.matmul, "fp32_precision", "none")
    return torch.get_float32_matmul_precision() if newer == "none" else newer
