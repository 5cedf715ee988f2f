"""The loop as operations of PyTorch on buffers made once for the chunk."""

import torch
from torch import Tensor

from hearsay.lm.backends.layer import Chunk, Constants, Gradients, VariantLoop
from hearsay.lm.backends.products import Product


def _forward_paper(chunk: Chunk) -> None:
    steps, batch, _ = chunk.gates.shape
    hidden = chunk.thresholds.shape[0]
    kept = len(chunk.carried) > 1
    gating = Product(chunk.recurrent[: 2 * hidden], batch, steps)
    proposing = Product(chunk.recurrent[2 * hidden :], batch, steps)
    event, remembered = torch.empty_like(chunk.y[0]), torch.empty_like(chunk.y[0])
    for step in range(steps):
        both, z = chunk.gates[step, :, : 2 * hidden], chunk.gates[step, :, 2 * hidden :]
        y_before, y = chunk.y[step], chunk.y[step + 1]
        # One buffer may be both: every operation reads an element before it writes it.
        c_before, c = chunk.carried[step * kept], chunk.carried[(step + 1) * kept]
        gating.add_to(both, y_before).sigmoid_()
        torch.mul(both[:, hidden:], y_before, out=remembered)
        proposing.add_to(z, remembered).tanh_()
        torch.lerp(c_before, z, both[:, :hidden], out=c)
        c.sub_(y_before)
        torch.gt(c, chunk.thresholds, out=event)
        torch.mul(c, event, out=y)


def _forward_evnn(chunk: Chunk) -> None:
    steps, batch, _ = chunk.gates.shape
    hidden = chunk.thresholds.shape[0]
    kept = len(chunk.carried) > 1
    assert chunk.candidates is not None
    assert chunk.candidate_bias is not None
    product = Product(chunk.recurrent, batch, steps)
    event = torch.empty_like(chunk.y[0])
    for step in range(steps):
        both, z = chunk.gates[step, :, : 2 * hidden], chunk.gates[step, :, 2 * hidden :]
        y = chunk.y[step + 1]
        c_before, c = chunk.carried[step * kept], chunk.carried[(step + 1) * kept]
        candidate = chunk.candidates[step * kept]
        of_y = product(chunk.y[step])
        both.add_(of_y[:, : 2 * hidden]).sigmoid_()
        torch.add(of_y[:, 2 * hidden :], chunk.candidate_bias, out=candidate)
        z.addcmul_(both[:, hidden:], candidate).tanh_()
        torch.lerp(z, c_before, both[:, :hidden], out=c)
        torch.gt(c, chunk.thresholds, out=event)
        torch.mul(c, event, out=y)
        c.addcmul_(event, chunk.thresholds, value=-1)


def _backward_paper(
    constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor
) -> Gradients:
    steps, batch, hidden = grad_y.shape
    found = torch.empty_like(chunk.gates)
    gating = Product(chunk.recurrent[: 2 * hidden].t(), batch, steps)
    proposing = Product(chunk.recurrent[2 * hidden :].t(), batch, steps)
    cells = chunk.carried[1:]
    slope = _surrogate(constants, cells, chunk.thresholds).mul_(cells)  # c·H'(c−ϑ)
    through = slope + (cells > chunk.thresholds)
    dc, dy = grad_c.clone(), torch.zeros_like(grad_c)
    d_thresholds = torch.zeros_like(grad_c)
    for step in reversed(range(steps)):
        c_before, y_before = chunk.carried[step], chunk.y[step]
        update, reset, z = chunk.gates[step].split(hidden, 1)
        du, dr, dz = found[step].split(hidden, 1)
        dy.add_(grad_y[step])
        d_thresholds.addcmul_(dy, slope[step], value=-1)
        dc.addcmul_(dy, through[step])
        torch.mul(dc, z - c_before, out=du)
        du.mul_(update - update * update)
        torch.mul(dc, update, out=dz)
        dz.mul_(1 - z * z)
        remembered = proposing(dz)  # gradient of r⊙y⁻
        torch.mul(remembered, y_before, out=dr)
        dr.mul_(reset - reset * reset)
        dy = gating.add_to(remembered.mul_(reset).sub_(dc), found[step, :, : 2 * hidden])
        dc.addcmul_(dc, update, value=-1)
    return Gradients(found, dc, dy, d_thresholds.sum(0))


def _backward_evnn(constants: Constants, chunk: Chunk, grad_y: Tensor, grad_c: Tensor) -> Gradients:
    steps, batch, hidden = grad_y.shape
    assert chunk.candidates is not None
    found = chunk.gates.new_empty(steps, batch, 4 * hidden)
    turned = torch.cat([chunk.recurrent[2 * hidden :], chunk.recurrent[: 2 * hidden]])
    product = Product(turned.t(), batch, steps)
    cells = chunk.cells
    bump = _surrogate(constants, cells, chunk.thresholds)
    dc, dy = grad_c.clone(), torch.zeros_like(grad_c)
    d_thresholds = torch.zeros_like(grad_c)
    for step in reversed(range(steps)):
        keep, reset, z = chunk.gates[step].split(hidden, 1)
        dz_recurrent, dk, dr, dz = found[step].split(hidden, 1)
        event = chunk.y[step + 1] != 0
        dy.add_(grad_y[step])
        # Through the event o: y = o⊙ĉ and c = ĉ − o⊙ϑ.
        d_event = (dy * cells[step] - dc * chunk.thresholds).mul_(bump[step])
        d_thresholds.sub_(d_event).addcmul_(dc, event, value=-1)
        dc.add_(d_event).addcmul_(dy, event)
        torch.mul(dc, chunk.carried[step] - z, out=dk)
        dk.mul_(keep - keep * keep)
        torch.addcmul(dc, dc, keep, value=-1, out=dz)
        dz.mul_(1 - z * z)
        torch.mul(dz, chunk.candidates[step], out=dr)
        dr.mul_(reset - reset * reset)
        torch.mul(dz, reset, out=dz_recurrent)
        dy = product(found[step, :, : 3 * hidden])
        dc.mul_(keep)
    return Gradients(found, dc, dy, d_thresholds.sum(0))


def _surrogate(constants: Constants, cells: Tensor, thresholds: Tensor) -> Tensor:
    """λ·max(0, 1 − |c−ϑ|/ε), [T, B, H]."""
    away = (cells - thresholds).abs_()
    # A quotient, since it is never below 1 outside ±ε: the slope is exactly 0 there.
    return away.div_(-constants.width).add_(1).clamp_(min=0).mul_(constants.height)


LOOP = VariantLoop("torch", _forward_paper, _forward_evnn, _backward_paper, _backward_evnn)
