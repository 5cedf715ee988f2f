"""Cross entropy over a large vocabulary without keeping the logits.

The logits of a chunk (1,400 tokens x 33,278 words) are 190 MB, and a plain softmax goes over them
some ten times. Here a block of rows is finished, gradients included, while it lies in the cache.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK_BYTES = 8 * 2**20  # of logits at once


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, wanted: bool
    ) -> tuple[Tensor, Tensor]:
        rows = max(1, BLOCK_BYTES // (weight.shape[0] * weight.element_size()))
        count = len(hidden)
        losses = hidden.new_empty(count)
        grad_hidden = torch.empty_like(hidden) if wanted else None
        grad_weight = torch.zeros_like(weight) if wanted else None
        grad_bias = torch.zeros_like(bias) if wanted else None
        for first in range(0, count, rows):
            block = slice(first, min(first + rows, count))
            logits = torch.addmm(bias, hidden[block], weight.t())
            chosen = targets[block].unsqueeze(1)
            highest = logits.amax(1, keepdim=True)
            at_target = logits.gather(1, chosen) - highest
            odds = logits.sub_(highest).exp_()
            total = odds.sum(1, keepdim=True)
            losses[block] = (total.log() - at_target).squeeze(1)
            if grad_hidden is not None and grad_weight is not None and grad_bias is not None:
                odds.div_(total * count)
                odds.scatter_add_(1, chosen, odds.new_full(chosen.shape, -1.0 / count))
                torch.mm(odds, weight, out=grad_hidden[block])
                grad_weight.addmm_(odds.t(), hidden[block])
                grad_bias.add_(odds.sum(0))
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.mark_non_differentiable(losses)
        return losses.mean(), losses

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return (*(None if g is None else g * grad for g in ctx.saved_tensors), None, None)


def softmax_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean negative log likelihood in nats, and that of every token (without gradient).

    Parameters
    ----------
    hidden : [N, e].
    weight, bias : of the decoder, [V, e] and [V]. All is computed in their type, under autocast
        too: a gradient is a sum over many words of which most have a tiny share.
    targets : [N], int64.
    """
    # Asked here: the function would hear of weights that require gradients under `no_grad` too.
    wanted = torch.is_grad_enabled() and any(x.requires_grad for x in (hidden, weight, bias))
    with torch.autocast(hidden.device.type, enabled=False):
        return _SoftmaxLoss.apply(hidden.to(weight.dtype), weight, bias, targets, wanted)
