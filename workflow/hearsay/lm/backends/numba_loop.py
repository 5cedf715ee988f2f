"""The loop with its element-wise parts compiled by numba; for the CPU."""

import numpy as np
import torch
from torch import Tensor

from hearsay.lm.backends import numba_kernels as kernels
from hearsay.lm.backends.layer import Chunk, Constants, Gradients, VariantLoop
from hearsay.lm.backends.products import Product


def _forward_paper(chunk: Chunk) -> None:
    steps, batch, _ = chunk.gates.shape
    hidden = chunk.thresholds.shape[0]
    kept = int(len(chunk.carried) > 1)
    gating = Product(chunk.recurrent[: 2 * hidden], batch, steps)
    proposing = Product(chunk.recurrent[2 * hidden :], batch, steps)
    remembered = torch.empty_like(chunk.y[0])
    gates, y, carried, thresholds = _arrays(chunk.gates, chunk.y, chunk.carried, chunk.thresholds)
    both, z = chunk.gates[..., : 2 * hidden].unbind(), chunk.gates[..., 2 * hidden :].unbind()
    reset, before = chunk.gates[..., hidden : 2 * hidden].unbind(), chunk.y.unbind()
    for step in range(steps):
        gating.add_to(both[step], before[step]).sigmoid_()
        torch.mul(reset[step], before[step], out=remembered)
        proposing.add_to(z[step], remembered).tanh_()
        kernels.forward_paper(step, step * kept, (step + 1) * kept, gates, y, carried, thresholds)


def _forward_evnn(chunk: Chunk) -> None:
    steps, batch, _ = chunk.gates.shape
    hidden = chunk.thresholds.shape[0]
    kept = int(len(chunk.carried) > 1)
    assert chunk.candidates is not None
    assert chunk.candidate_bias is not None
    product = Product(chunk.recurrent, batch, steps)
    gates, y, carried, candidates, bias, thresholds = _arrays(
        chunk.gates,
        chunk.y,
        chunk.carried,
        chunk.candidates,
        chunk.candidate_bias,
        chunk.thresholds,
    )
    both, z = chunk.gates[..., : 2 * hidden].unbind(), chunk.gates[..., 2 * hidden :].unbind()
    before = chunk.y.unbind()
    for step in range(steps):
        of_y = product(before[step])
        both[step].add_(of_y[:, : 2 * hidden]).sigmoid_()
        kernels.candidate_evnn(step, step * kept, gates, of_y.numpy(), bias, candidates)
        z[step].tanh_()
        kernels.forward_evnn(step, step * kept, (step + 1) * kept, gates, y, carried, thresholds)


def _backward_paper(
    constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor
) -> Gradients:
    steps, batch, hidden = grad_y.shape
    found = torch.empty_like(chunk.gates)
    gating = Product(chunk.recurrent[: 2 * hidden].t(), batch, steps)
    proposing = Product(chunk.recurrent[2 * hidden :].t(), batch, steps)
    dc, dy = grad_c.clone(memory_format=torch.contiguous_format), torch.zeros_like(chunk.y[0])
    d_thresholds = torch.zeros_like(dy)
    gates, y, carried, thresholds, given, dc_, d_thresholds_, found_ = _arrays(
        chunk.gates, chunk.y, chunk.carried, chunk.thresholds, grad_y, dc, d_thresholds, found
    )
    width, height = thresholds.dtype.type(constants.width), thresholds.dtype.type(constants.height)
    both, dz = found[..., : 2 * hidden].unbind(), found[..., 2 * hidden :].unbind()
    for step in reversed(range(steps)):
        kernels.backward_paper_cell(
            step,
            width,
            height,
            gates,
            carried,
            thresholds,
            given,
            dy.numpy(),
            dc_,
            d_thresholds_,
            found_,
        )
        dy = proposing(dz[step])
        kernels.backward_paper_reset(step, gates, y, dy.numpy(), dc_, found_)
        gating.add_to(dy, both[step])
    return Gradients(found, dc, dy, d_thresholds.sum(0))


def _backward_evnn(constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor) -> Gradients:
    steps, batch, hidden = grad_y.shape
    assert chunk.candidates is not None
    found = chunk.gates.new_empty(steps, batch, 4 * hidden)
    turned = torch.cat([chunk.recurrent[2 * hidden :], chunk.recurrent[: 2 * hidden]])
    product = Product(turned.t(), batch, steps)
    dc, dy = grad_c.clone(memory_format=torch.contiguous_format), torch.zeros_like(chunk.y[0])
    d_thresholds = torch.zeros_like(dy)
    gates, y, carried, candidates, thresholds, given, dc_, d_thresholds_, found_ = _arrays(
        chunk.gates,
        chunk.y,
        chunk.carried,
        chunk.candidates,
        chunk.thresholds,
        grad_y,
        dc,
        d_thresholds,
        found,
    )
    width, height = thresholds.dtype.type(constants.width), thresholds.dtype.type(constants.height)
    to_y = found[..., : 3 * hidden].unbind()
    for step in reversed(range(steps)):
        kernels.backward_evnn(
            step,
            width,
            height,
            gates,
            y,
            carried,
            candidates,
            thresholds,
            given,
            dy.numpy(),
            dc_,
            d_thresholds_,
            found_,
        )
        dy = product(to_y[step])
    return Gradients(found, dc, dy, d_thresholds.sum(0))


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """The same memory as numpy arrays."""
    return [tensor.detach().numpy() for tensor in tensors]


LOOP = VariantLoop("numba", _forward_paper, _forward_evnn, _backward_paper, _backward_evnn)
