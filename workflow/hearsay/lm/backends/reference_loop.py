"""A layer as a plain loop under autograd: slow, short, and what the others are measured against."""

from typing import Any

import torch
from torch import Tensor

from hearsay.lm.backends.layer import Constants


class _Event(torch.autograd.Function):
    """H(v), with the surrogate λ·max(0, 1 − |v|/ε) as its derivative."""

    @staticmethod
    def forward(ctx: Any, above: Tensor, width: float, height: float) -> Tensor:
        ctx.save_for_backward(above)
        ctx.width, ctx.height = width, height
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (above,) = ctx.saved_tensors
        return grad * ctx.height * (1 - above.abs() / ctx.width).clamp(min=0), None, None


def run_layer(
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
    """As `hearsay.lm.backends.layer.run_layer`."""
    c, y = c0, y0
    emitted: list[Tensor] = []
    cells: list[Tensor] = []
    w_update, w_reset, w_candidate = weight_ih.chunk(3)
    r_update, r_reset, r_candidate = weight_hh.chunk(3)
    b_update, b_reset, b_candidate = bias.chunk(3)
    if bias_hh is not None:
        h_update, h_reset, h_candidate = bias_hh.chunk(3)
    for x_now in x:
        update = x_now @ w_update.t() + y @ r_update.t() + b_update
        reset = x_now @ w_reset.t() + y @ r_reset.t() + b_reset
        candidate = x_now @ w_candidate.t() + b_candidate
        if constants.variant == "paper":
            update, reset = torch.sigmoid(update), torch.sigmoid(reset)
            candidate = torch.tanh(candidate + (reset * y) @ r_candidate.t())
            cell = update * candidate + (1 - update) * c - y
            event = _Event.apply(cell - thresholds, constants.width, constants.height)
            y, c = cell * event, cell
        else:
            keep, reset = torch.sigmoid(update + h_update), torch.sigmoid(reset + h_reset)
            candidate = torch.tanh(candidate + reset * (y @ r_candidate.t() + h_candidate))
            cell = keep * c + (1 - keep) * candidate
            event = _Event.apply(cell - thresholds, constants.width, constants.height)
            y, c = cell * event, cell - event * thresholds
        emitted.append(y)
        if keep_cells:
            cells.append(cell.detach())
    return torch.stack(emitted), c, torch.stack(cells) if keep_cells else None
