"""One EGRU layer over a chunk of time, with its derivative written by hand.

What does not depend on the step before is one product for the whole chunk: the input's part of the
gates, and in the derivative all gradients of weights, biases and inputs. A `Loop` does the rest,
step by step; backends differ in the loop only. Under autocast the products for the whole chunk are
computed in its type; the loop, and with it every comparison with a threshold, stays in that of the
weights.

Shapes: T steps, B sequences, I inputs, H units. Blocks of 3H are update (variant evnn: keep),
reset, candidate.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Constants(NamedTuple):
    """What a layer is, beside its parameters."""

    variant: str  # "paper" or "evnn"
    width: float  # ε of the surrogate derivative λ·max(0, 1 − |c−ϑ|/ε)
    height: float  # λ


class Chunk(NamedTuple):
    """Tensors of a layer and a chunk, all contiguous.

    A unit emits its cell state or nothing, so a cell state before evnn's soft reset is ``y`` where
    that is not 0 and ``carried`` elsewhere, to the bit; it is not stored.
    """

    gates: Tensor  # [T, B, 3H] the input's part of their arguments; after a step, their values
    y: Tensor  # [T+1, B, H] emitted values; the first is given
    carried: Tensor  # [T+1, B, H] cell states as the next step finds them, or [1, B, H]: the last
    candidates: Tensor | None  # evnn: [T, B, H] R_z y⁻ + b, or [1, B, H]: the last
    recurrent: Tensor  # [3H, H]
    candidate_bias: Tensor | None  # [H], evnn
    thresholds: Tensor  # [H]

    @property
    def cells(self) -> Tensor:
        """Cell states that were compared with the thresholds, [T, B, H]."""
        return torch.where(self.y[1:] != 0, self.y[1:], self.carried[1:])


class Gradients(NamedTuple):
    """What a loop finds going backwards.

    ``gates`` are gradients of the gates' arguments. Paper: [T, B, 3H]. evnn: [T, B, 4H] in blocks
    recurrent candidate, keep, reset, candidate: its reset gate stands between the candidate's two
    parts, and in this order both sides are a range of columns.
    """

    gates: Tensor
    c0: Tensor  # [B, H]
    y0: Tensor  # [B, H]
    thresholds: Tensor  # [H]


class Loop(Protocol):
    """The part of a layer that goes step by step."""

    @property
    def name(self) -> str:
        """What is written down of how a layer ran."""

    def forward(self, constants: Constants, chunk: Chunk) -> None:
        """Fill the chunk's tensors; those of one step are kept where they have one row only."""

    def backward(
        self, constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor
    ) -> Gradients:
        """Gradients from those of y [T, B, H] and of the last carried state [B, H].

        Leaves the chunk as it is: a graph may be gone through twice.
        """


@dataclass(frozen=True)
class VariantLoop:
    """`Loop` of one function each way and variant.

    Forward functions fill a chunk: Eq. 3–5 (paper), or the public code's form of them (evnn).
    Backward functions are their derivatives, with the surrogate's slope for that of the step
    function.
    """

    name: str
    forward_paper: Callable[[Chunk], None]
    forward_evnn: Callable[[Chunk], None]
    backward_paper: Callable[[Constants, Chunk, Tensor, Tensor], Gradients]
    backward_evnn: Callable[[Constants, Chunk, Tensor, Tensor], Gradients]

    def forward(self, constants: Constants, chunk: Chunk) -> None:
        """As in `Loop`."""
        run = self.forward_paper if constants.variant == "paper" else self.forward_evnn
        run(chunk)

    def backward(
        self, constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor
    ) -> Gradients:
        """As in `Loop`."""
        run = self.backward_paper if constants.variant == "paper" else self.backward_evnn
        return run(constants, chunk, grad_y, grad_c)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        loop: Loop,
        constants: Constants,
        keep_cells: bool,
        differentiated: bool,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        bias_hh: Tensor | None,
        thresholds: Tensor,
        c0: Tensor,
        y0: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        steps, batch, inputs = x.shape
        hidden, state_type, device = weight_hh.shape[1], weight_hh.dtype, x.device.type
        kept = steps if differentiated or keep_cells else 0
        added, candidate_bias, candidates = bias, None, None
        if constants.variant == "evnn":  # the candidate's bias is inside the reset gate's product
            assert bias_hh is not None
            candidate_bias = bias_hh[2 * hidden :]
            added = torch.cat([bias[: 2 * hidden] + bias_hh[: 2 * hidden], bias[2 * hidden :]])
            candidates = weight_hh.new_empty(kept or 1, batch, hidden)
        autocast = torch.is_autocast_enabled(device)
        product_type = torch.get_autocast_dtype(device) if autocast else state_type
        with torch.autocast(device, enabled=False) if autocast else nullcontext():
            gates = torch.addmm(
                added.to(product_type),
                x.reshape(steps * batch, inputs).to(product_type),
                weight_ih.t().to(product_type),
            )
            chunk = Chunk(
                gates.to(state_type).view(steps, batch, 3 * hidden),
                weight_hh.new_empty(steps + 1, batch, hidden),
                weight_hh.new_empty(kept + 1, batch, hidden),
                candidates,
                weight_hh.contiguous(),
                candidate_bias,
                thresholds,
            )
            chunk.y[0].copy_(y0)
            chunk.carried[0].copy_(c0)
            loop.forward(constants, chunk)
        if differentiated:
            ctx.loop, ctx.constants, ctx.product_type = loop, constants, product_type
            ctx.save_for_backward(x, weight_ih, *chunk)
        cells = chunk.cells if keep_cells else None
        if cells is not None:
            ctx.mark_non_differentiable(cells)
        return chunk.y[1:], chunk.carried[-1].clone(), cells

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_y: Tensor | None, grad_c: Tensor | None, _: None
    ) -> tuple[Tensor | None, ...]:
        x, weight_ih, *rest = ctx.saved_tensors
        chunk = Chunk(*rest)
        with torch.autocast(x.device.type, enabled=False):
            grad_y = torch.zeros_like(chunk.y[1:]) if grad_y is None else grad_y.contiguous()
            grad_c = torch.zeros_like(chunk.y[0]) if grad_c is None else grad_c
            found = ctx.loop.backward(ctx.constants, chunk, grad_y, grad_c)
            of_parameters = _products(
                ctx.constants.variant,
                chunk,
                found.gates,
                x,
                weight_ih,
                ctx.needs_input_grad[4:9],
                ctx.product_type,
            )
        return None, None, None, None, *of_parameters, found.thresholds, found.c0, found.y0


def _products(
    variant: str,
    chunk: Chunk,
    by_gate: Tensor,
    x: Tensor,
    weight_ih: Tensor,
    needed: tuple[bool, ...],
    product_type: torch.dtype,
) -> tuple[Tensor | None, ...]:
    """Gradients of x, both weights and both biases, where needed, from those of the gates."""
    steps, batch, inputs = x.shape
    hidden, rows, paper = chunk.recurrent.shape[1], steps * batch, variant == "paper"
    by_gate = by_gate.view(rows, -1)
    summed, by_gate = by_gate, by_gate.to(product_type)
    by_input = by_gate if paper else by_gate[:, hidden:]
    grad_x = grad_ih = grad_hh = grad_bias = grad_bias_hh = None
    needs_x, needs_ih, needs_hh, needs_bias, needs_bias_hh = needed
    if needs_x:
        grad_x = (by_input @ weight_ih.to(product_type)).to(x.dtype).view(steps, batch, inputs)
    if needs_ih:
        grad_ih = by_input.t() @ x.reshape(rows, inputs).to(product_type)
        grad_ih = grad_ih.to(weight_ih.dtype)
    if needs_hh:
        before = chunk.y[:-1].view(rows, hidden)
        grad_hh = by_gate.new_empty(3 * hidden, hidden)
        first, last = grad_hh[: 2 * hidden], grad_hh[2 * hidden :]
        if paper:
            remembered = before * chunk.gates.view(rows, 3 * hidden)[:, hidden : 2 * hidden]
            both, candidate = by_gate[:, : 2 * hidden], by_gate[:, 2 * hidden :]
        else:
            remembered = before
            both, candidate = by_gate[:, hidden : 3 * hidden], by_gate[:, :hidden]
        torch.mm(both.t(), before.to(product_type), out=first)
        torch.mm(candidate.t(), remembered.to(product_type), out=last)
        grad_hh = grad_hh.to(chunk.recurrent.dtype)
    if needs_bias:
        grad_bias = (summed if paper else summed[:, hidden:]).sum(0)
    if needs_bias_hh:
        sums = summed[:, : 3 * hidden].sum(0)
        grad_bias_hh = torch.cat([sums[hidden:], sums[:hidden]])
    return grad_x, grad_ih, grad_hh, grad_bias, grad_bias_hh


def run_layer(
    loop: Loop,
    constants: Constants,
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    bias_hh: Tensor | None,
    thresholds: Tensor,
    c0: Tensor,
    y0: Tensor,
    keep_cells: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """A layer over a chunk.

    Returns
    -------
    (emitted values [T, B, H], last cell state [B, H], and if ``keep_cells`` the cell states that
    were compared with the thresholds, [T, B, H], without gradient).
    """
    tensors = (x, weight_ih, weight_hh, bias, bias_hh, thresholds, c0, y0)
    # Asked here, since within the function no gradient is recorded.
    differentiated = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in tensors
    )
    return _Layer.apply(loop, constants, keep_cells, differentiated, *tensors)
