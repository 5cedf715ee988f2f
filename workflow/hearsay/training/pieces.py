"""A batch that is more than goes through the network at once."""

from collections.abc import Sequence
from typing import Any

Batch = Any


class Pieces(list):
    """A batch that goes through the network in pieces, whose gradients add up.

    The loss of the whole is the mean of those of the pieces by `weights`, such as their numbers of
    examples.
    """

    def __init__(self, pieces: Sequence[Batch], *, weights: Sequence[float]) -> None:
        super().__init__(pieces)
        self.shares = [weight / sum(weights) for weight in weights]
