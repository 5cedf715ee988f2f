"""The loop with its element-wise parts as Triton kernels; for CUDA GPUs."""

import torch
from torch import Tensor

from hearsay.lm.backends import triton_kernels as kernels
from hearsay.lm.backends.layer import Chunk, Constants, Gradients, VariantLoop


def _grid(batch: int, hidden: int) -> tuple[int, int]:
    return -(-hidden // kernels.BLOCK), batch


def _forward_paper(chunk: Chunk) -> None:
    steps, batch, _ = chunk.gates.shape
    hidden = chunk.thresholds.shape[0]
    kept = int(len(chunk.carried) > 1)
    first, second = chunk.recurrent[: 2 * hidden].t(), chunk.recurrent[2 * hidden :].t()
    gating = chunk.y.new_empty(batch, 2 * hidden)
    remembered, proposing = torch.empty_like(chunk.y[0]), torch.empty_like(chunk.y[0])
    grid, sizes = _grid(batch, hidden), (batch, hidden, kernels.BLOCK)
    for step in range(steps):
        torch.mm(chunk.y[step], first, out=gating)
        kernels.gates_paper[grid](chunk.gates, gating, chunk.y, remembered, step, *sizes)
        torch.mm(remembered, second, out=proposing)
        kernels.forward_paper[grid](
            chunk.gates,
            proposing,
            chunk.y,
            chunk.carried,
            chunk.thresholds,
            step,
            step * kept,
            (step + 1) * kept,
            *sizes,
        )


def _forward_evnn(chunk: Chunk) -> None:
    steps, batch, _ = chunk.gates.shape
    hidden = chunk.thresholds.shape[0]
    kept = int(len(chunk.carried) > 1)
    product = chunk.y.new_empty(batch, 3 * hidden)
    turned = chunk.recurrent.t()
    grid, sizes = _grid(batch, hidden), (batch, hidden, kernels.BLOCK)
    for step in range(steps):
        torch.mm(chunk.y[step], turned, out=product)
        kernels.forward_evnn[grid](
            chunk.gates,
            product,
            chunk.y,
            chunk.carried,
            chunk.candidates,
            chunk.candidate_bias,
            chunk.thresholds,
            step,
            step * kept,
            (step + 1) * kept,
            *sizes,
        )


def _backward_paper(
    constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor
) -> Gradients:
    steps, batch, hidden = grad_y.shape
    found = torch.empty_like(chunk.gates)
    first, second = chunk.recurrent[: 2 * hidden], chunk.recurrent[2 * hidden :]
    dc = grad_c.clone(memory_format=torch.contiguous_format)
    dy, d_thresholds = torch.zeros_like(chunk.y[0]), torch.zeros_like(chunk.y[0])
    grid, sizes = _grid(batch, hidden), (batch, hidden, kernels.BLOCK)
    for step in reversed(range(steps)):
        kernels.backward_paper_cell[grid](
            chunk.gates,
            chunk.carried,
            chunk.thresholds,
            grad_y,
            dy,
            dc,
            d_thresholds,
            found,
            constants.width,
            constants.height,
            step,
            *sizes,
        )
        torch.mm(found[step, :, 2 * hidden :], second, out=dy)
        kernels.backward_paper_reset[grid](chunk.gates, chunk.y, dy, dc, found, step, *sizes)
        dy.addmm_(found[step, :, : 2 * hidden], first)
    return Gradients(found, dc, dy, d_thresholds.sum(0))


def _backward_evnn(constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor) -> Gradients:
    steps, batch, hidden = grad_y.shape
    found = chunk.gates.new_empty(steps, batch, 4 * hidden)
    turned = torch.cat([chunk.recurrent[2 * hidden :], chunk.recurrent[: 2 * hidden]])
    dc = grad_c.clone(memory_format=torch.contiguous_format)
    dy, d_thresholds = torch.zeros_like(chunk.y[0]), torch.zeros_like(chunk.y[0])
    grid, sizes = _grid(batch, hidden), (batch, hidden, kernels.BLOCK)
    for step in reversed(range(steps)):
        kernels.backward_evnn[grid](
            chunk.gates,
            chunk.y,
            chunk.carried,
            chunk.candidates,
            chunk.thresholds,
            grad_y,
            dy,
            dc,
            d_thresholds,
            found,
            constants.width,
            constants.height,
            step,
            *sizes,
        )
        torch.mm(found[step, :, : 3 * hidden], turned, out=dy)
    return Gradients(found, dc, dy, d_thresholds.sum(0))


LOOP = VariantLoop("triton", _forward_paper, _forward_evnn, _backward_paper, _backward_evnn)
