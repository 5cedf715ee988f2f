"""GRU and LSTM with DropConnect: the dense peers of EGRU, under the same harness."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

GATES = {"gru": 3, "lstm": 4}


class DenseLayer(nn.Module):
    """One layer of torch's GRU or LSTM whose hidden-to-hidden weights are dropped in training.

    The weights belong to this module and go to torch's kernel as arguments, so that a mask of one
    chunk never replaces them. Element-wise, one mask a chunk; the public code of EGRU drops whole
    rows in its baseline, which is not like for like.

    Parameters
    ----------
    cell : ``"gru"`` or ``"lstm"``.
    input_size, hidden_size : units.
    dropconnect : share of hidden-to-hidden weights that are zero in a training chunk.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, *, dropconnect: float = 0.0
    ) -> None:
        super().__init__()
        self.cell, self.dropconnect = cell, dropconnect
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = GATES[cell] * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as torch.nn.GRU and torch.nn.LSTM do."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def initial_state(self, batch: int, *, like: Tensor) -> tuple[Tensor, ...]:
        """Zeros [1, B, H]: one tensor for a GRU, two for an LSTM."""
        zeros = like.new_zeros(1, batch, self.hidden_size)
        return (zeros,) if self.cell == "gru" else (zeros, zeros.clone())

    def forward(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs [T, B, H] of inputs [T, B, I], and the state after them.

        Under autocast the kernel has its type, and gives results in that of the weights.
        """
        own, device = self.weight_hh_l0.dtype, x.device.type
        if state is None:
            state = self.initial_state(x.shape[1], like=self.weight_hh_l0)
        recurrent = functional.dropout(self.weight_hh_l0, self.dropconnect, self.training)
        given = [x, *state, self.weight_ih_l0, recurrent, self.bias_ih_l0, self.bias_hh_l0]
        if torch.is_autocast_enabled(device):  # on a CPU it would convert some of them only
            given = [tensor.to(torch.get_autocast_dtype(device)) for tensor in given]
        with torch.autocast(device, enabled=False):
            y, *last = self._kernel(given[0], given[1:-4], given[-4:])
        return y.to(own), tuple(tensor.to(own) for tensor in last)

    def _kernel(self, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> tuple[Tensor, ...]:
        options = (True, 1, 0.0, self.training, False, False)
        if self.cell == "gru":
            return torch.gru(x, state[0], weights, *options)
        return torch.lstm(x, state, weights, *options)
