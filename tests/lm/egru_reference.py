"""EGRU as its equations say, in a plain loop under autograd: the oracle of the fast paths.

Written apart from the library, one equation a line, for float64. Mistakes can be asked for by name,
to show that a check would find them. Also what tests feed to it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hearsay.lm.egru import EGRU, EGRUState

MISTAKES = ("reset dropped", "reset detached", "reset gate misplaced")


class Surrogate(torch.autograd.Function):
    """H(v), H(0) = 0; its derivative is taken to be λ·max(0, 1 − |v|/ε)."""

    @staticmethod
    def forward(ctx, v, width, height):
        ctx.save_for_backward(v)
        ctx.width, ctx.height = width, height
        return torch.where(v > 0, 1.0, 0.0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        triangle = 1 - torch.abs(v) / ctx.width
        return grad * ctx.height * torch.where(triangle > 0, triangle, 0), None, None


class Run(NamedTuple):
    y: Tensor  # [T, B, H] of the last layer
    c_last: Tensor  # [L, B, H]
    y_last: Tensor  # [L, B, H]
    cells: Tensor  # [L, T, B, H] what is compared with the thresholds


def layer(
    x: Tensor,
    parameters: dict[str, Tensor],
    c: Tensor,
    y: Tensor,
    *,
    variant: str,
    width: float,
    height: float,
    mistake: str | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One layer: (all y, last c, last y, all cell states)."""
    assert mistake in (None, *MISTAKES)
    W_first, W_r, W_z = parameters["weight_ih"].chunk(3)
    R_first, R_r, R_z = parameters["weight_hh"].chunk(3)
    b_first, b_r, b_z = parameters["bias"].chunk(3)
    threshold = torch.sigmoid(parameters["threshold_logit"])
    if variant == "evnn":
        d_first, d_r, d_z = parameters["bias_hh"].chunk(3)
    ys, cells = [], []
    for t in range(x.shape[0]):
        if variant == "paper":
            u = torch.sigmoid(x[t] @ W_first.T + y @ R_first.T + b_first)
            r = torch.sigmoid(x[t] @ W_r.T + y @ R_r.T + b_r)
            if mistake == "reset gate misplaced":
                z = torch.tanh(x[t] @ W_z.T + r * (y @ R_z.T) + b_z)
            else:
                z = torch.tanh(x[t] @ W_z.T + (r * y) @ R_z.T + b_z)
            lowered = {"reset dropped": 0 * y, "reset detached": y.detach()}.get(mistake, y)
            cell = u * z + (1 - u) * c - lowered
            event = Surrogate.apply(cell - threshold, width, height)
            y = cell * event
            c = cell
        else:
            k = torch.sigmoid(x[t] @ W_first.T + b_first + y @ R_first.T + d_first)
            r = torch.sigmoid(x[t] @ W_r.T + b_r + y @ R_r.T + d_r)
            if mistake == "reset gate misplaced":
                z = torch.tanh(x[t] @ W_z.T + b_z + (r * y) @ R_z.T + d_z)
            else:
                z = torch.tanh(x[t] @ W_z.T + b_z + r * (y @ R_z.T + d_z))
            cell = k * c + (1 - k) * z
            event = Surrogate.apply(cell - threshold, width, height)
            y = event * cell
            lowered = event * threshold
            lowered = {"reset dropped": 0 * lowered, "reset detached": lowered.detach()}.get(
                mistake, lowered
            )
            c = cell - lowered
        ys.append(y)
        cells.append(cell)
    return torch.stack(ys), c, y, torch.stack(cells)


def run(model, x: Tensor, c0: Tensor, y0: Tensor, *, parameters=None, mistake=None) -> Run:
    """All layers of an `EGRU`, with its parameters or others of the same names."""
    named = dict(model.named_parameters()) if parameters is None else parameters
    c_last, y_last, cells = [], [], []
    for k in range(model.num_layers):
        ending = f"_l{k}"
        own = {n.removesuffix(ending): p for n, p in named.items() if n.endswith(ending)}
        x, c, y, cell = layer(
            x,
            own,
            c0[k],
            y0[k],
            variant=model.variant,
            width=model.pseudo_derivative_width,
            height=model.pseudo_derivative_height,
            mistake=mistake,
        )
        c_last.append(c)
        y_last.append(y)
        cells.append(cell)
    return Run(x, torch.stack(c_last), torch.stack(y_last), torch.stack(cells))


def make_egru(
    inputs: int = 4,
    hidden: int = 7,
    layers: int = 2,
    *,
    seed: int = 0,
    threshold_mean: float = -3.0,
    **options,
) -> EGRU:
    """An EGRU of float64 whose biases are not 0; an active share that is neither small nor all."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = EGRU(inputs, hidden, layers, threshold_mean=threshold_mean, **options).double()
        for name, parameter in model.named_parameters():
            if "bias" in name:
                torch.nn.init.normal_(parameter, 0.2, 0.5)
    return model


def random_chunk(model: EGRU, steps: int, batch: int, seed: int = 0) -> tuple[Tensor, EGRUState]:
    """x [T, B, I] and a state, all with gradient."""
    draw = torch.Generator().manual_seed(seed)
    like = model.weight_hh_l0
    states = (model.num_layers, batch, model.hidden_size)
    tensors = [
        torch.randn(shape, generator=draw, dtype=torch.float64).to(like).requires_grad_()
        for shape in ((steps, batch, model.input_size), states, states)
    ]
    return tensors[0], EGRUState(*tensors[1:])
