"""The product with recurrent weights, done once a step with few rows.

A matrix product first rearranges its operands for the processor's vector units. With B rows only,
rearranging [3H, H] weights takes as long as the product; for a loop it is done once.
"""

import torch
from torch import Tensor

SMALLEST_PACKED = 1 << 18  # elements of a matrix; below, packing gains nothing


class Product:
    """``rows @ weight.T`` for the same weight many times.

    Parameters
    ----------
    weight : [N, K].
    rows : how many rows the other factor has, B.
    repeats : how often it will be called; preparation pays for more than one call.
    """

    def __init__(self, weight: Tensor, rows: int, repeats: int) -> None:
        self._weight = weight
        self._rows = rows
        # One row alone reads the weights once, and a GPU takes them either way.
        worth = repeats > 1 and rows > 1 and weight.device.type == "cpu"
        large = weight.numel() >= SMALLEST_PACKED
        self._packed = _packed(weight, rows) if worth and large else None
        self._turned = weight.t()
        if worth and self._packed is None:
            self._turned = self._turned.contiguous()

    def __call__(self, factor: Tensor) -> Tensor:
        """[B, K] to a new [B, N]."""
        if self._packed is not None:
            return torch.ops.mkl._mkl_linear(factor, self._packed, self._weight, None, self._rows)
        return torch.mm(factor, self._turned)

    def add_to(self, result: Tensor, factor: Tensor) -> Tensor:
        """Add the product to ``result`` [B, N] and return it."""
        if self._packed is not None:
            return result.add_(self(factor))
        return result.addmm_(factor, self._turned)


def _packed(weight: Tensor, rows: int) -> Tensor | None:
    """MKL's own arrangement of a float32 matrix, or None where PyTorch offers none.

    The operations are those that PyTorch's compiler uses for frozen weights; they are not part of
    its public interface, and so their absence is expected.
    """
    if weight.dtype != torch.float32:
        return None
    try:
        return torch.ops.mkl._mkl_reorder_linear_weight(weight.contiguous(), rows)
    except (AttributeError, NotImplementedError, RuntimeError):
        return None
