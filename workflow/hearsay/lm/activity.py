"""How often the units of an EGRU speak, and how often no gradient can pass them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class ActivityCounter:
    """Exact counts per layer, summed over as many forward passes as are added.

    The forward pass of an EGRU adds to it; sums stay on the device of the tensors until they are
    read, so that counting never makes a GPU wait.
    """

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}
        self._sums: dict[int, Tensor] = {}  # per layer [2]: events, silent in the backward pass

    @torch.no_grad()
    def add(
        self, layer: int, y: Tensor, pre_reset: Tensor, thresholds: Tensor, width: float
    ) -> None:
        """Count one forward pass of one layer.

        Parameters
        ----------
        layer : its number, from 0.
        y : emitted values [..., H].
        pre_reset : what the thresholds were compared with (ĉ; c in the paper's variant) [..., H].
        thresholds : ϑ [H].
        width : ε, half the support of the surrogate derivative max(0, 1 − |ĉ − ϑ| / ε).
        """
        if y.shape != pre_reset.shape or y.shape[-1:] != thresholds.shape:
            raise ValueError(
                f"outputs {tuple(y.shape)}, states {tuple(pre_reset.shape)} and thresholds "
                f"{tuple(thresholds.shape)} do not belong to one layer"
            )
        events = torch.count_nonzero(y)
        silent = torch.count_nonzero((pre_reset - thresholds).abs() >= width)
        self.add_counts(layer, torch.stack([events, silent]), y.numel())

    def add_counts(self, layer: int, events_and_silent: Tensor, steps: int) -> None:
        """Add what another piece of code has counted: [2] integers and the unit-steps."""
        counts = events_and_silent.to(torch.int64)
        if layer in self._sums:
            counts = counts + self._sums[layer].to(counts.device)
        self._sums[layer] = counts
        self._steps[layer] = self._steps.get(layer, 0) + steps

    @property
    def layers(self) -> list[int]:
        """Numbers of the layers seen so far, in order."""
        return sorted(self._steps)

    @property
    def events(self) -> list[int]:
        """How many outputs were not zero, per layer."""
        return [int(self._sums[layer][0]) for layer in self.layers]

    @property
    def silent_backward(self) -> list[int]:
        """In how many unit-steps the surrogate derivative was exactly zero, per layer."""
        return [int(self._sums[layer][1]) for layer in self.layers]

    @property
    def steps(self) -> list[int]:
        """Unit-steps seen, per layer: time steps times batch times units."""
        return [self._steps[layer] for layer in self.layers]

    def activity_sparsity(self, layer: int | None = None) -> float:
        """Share of unit-steps without an event; over all units alike if no layer is named.

        NaN before anything was counted.
        """
        return self._share_left(self.events, layer)

    def active_fractions(self) -> list[float]:
        """Mean active fraction a_l of every layer, in order."""
        return [events / steps for events, steps in zip(self.events, self.steps, strict=True)]

    def backward_sparsity(self, layer: int | None = None) -> float:
        """Share of unit-steps with |ĉ − ϑ| ≥ ε, through which no gradient passes; else as above."""
        active = [s - n for s, n in zip(self.steps, self.silent_backward, strict=True)]
        return self._share_left(active, layer)

    def _share_left(self, counts: list[int], layer: int | None) -> float:
        chosen = list(self._chosen(layer))
        steps = sum(self.steps[k] for k in chosen)
        return (steps - sum(counts[k] for k in chosen)) / steps if steps else float("nan")

    def _chosen(self, layer: int | None) -> Iterator[int]:
        return (k for k, number in enumerate(self.layers) if layer in (None, number))

    def reset(self) -> None:
        """Forget everything."""
        self._steps.clear()
        self._sums.clear()

    def state_dict(self) -> dict[str, Any]:
        """The counts as plain integers, for a checkpoint inside an epoch."""
        return {
            "layers": self.layers,
            "events": self.events,
            "silent_backward": self.silent_backward,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the counts of `state_dict`."""
        self.reset()
        columns = (state[name] for name in ("layers", "events", "silent_backward", "steps"))
        for layer, events, silent, steps in zip(*columns, strict=True):
            self.add_counts(layer, torch.tensor([events, silent]), steps)
