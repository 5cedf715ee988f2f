"""Dropout for recurrent networks (AWD-LSTM, section 4): masks that are held through a chunk."""

from torch import Tensor
from torch.nn import functional


def locked_dropout(x: Tensor, share: float, *, training: bool) -> Tensor:
    """Drop units of x [T, B, H], the same ones at all steps and others in every sequence."""
    if not training or share == 0:
        return x
    mask = x.new_empty(1, *x.shape[1:]).bernoulli_(1 - share).div_(1 - share)
    return x * mask


def embed(tokens: Tensor, weight: Tensor, share: float, *, training: bool) -> Tensor:
    """Word vectors [T, B, e] of tokens [T, B]; a dropped word is zero wherever it stands.

    Equals dropping rows of the embedding [V, e], without a product over the vocabulary.
    """
    vectors = functional.embedding(tokens, weight)
    if not training or share == 0:
        return vectors
    mask = weight.new_empty(len(weight), 1).bernoulli_(1 - share).div_(1 - share)
    return vectors * functional.embedding(tokens, mask)
