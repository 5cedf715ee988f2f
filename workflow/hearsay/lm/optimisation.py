"""Optimisers, learning rates and weight averages of the recipes."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hearsay.lm.chunks import Chunk

PATIENCE = 5  # epochs that a validation must not beat before NT-ASGD averages


def optimizer_of(model: nn.Module, recipe: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The recipe's optimiser; thresholds and biases have no weight decay."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {
            "params": [w for w in trained if w.ndim > 1],
            "weight_decay": recipe["weight_decay"],
        },
        {"params": [w for w in trained if w.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = recipe["learning_rate"]
    if recipe["optimizer"] in ("sgd", "nt-asgd"):
        return torch.optim.SGD(groups, lr=rate)
    kind = torch.optim.Adam if recipe["optimizer"] == "adam" else torch.optim.AdamW
    # One kernel for all weights where there is one; the numbers are the same as of a loop.
    fused = kind(groups, lr=rate, betas=(recipe["beta1"], recipe["beta2"]), fused=True)
    # Gradients scaled for float16 are unscaled before they are clipped, not within that kernel.
    fused._step_supports_amp_scaling = False
    return fused


def learning_rate(recipe: Mapping[str, Any], epoch: float, step: int) -> float:
    """The rate `epoch` epochs (a part of one counts) and `step` steps after the beginning."""
    rate = recipe["learning_rate"]
    if step < recipe["warmup_steps"]:
        return rate * (step + 1) / recipe["warmup_steps"]
    share = epoch / recipe["epochs"]
    if recipe["schedule"] == "constant" or share <= recipe["constant_share"]:
        return rate
    gone = (share - recipe["constant_share"]) / (1 - recipe["constant_share"])
    final = recipe["final_share"]
    return rate * (final + (1 - final) * (1 + math.cos(math.pi * min(gone, 1))) / 2)


def rate_of_chunk(recipe: Mapping[str, Any], rate: float, chunk: Chunk) -> float:
    """The rate of one chunk: a short one, whose loss is a mean over fewer words, counts less."""
    return rate * chunk.length / recipe["bptt"] if recipe["learning_rate_by_length"] else rate


class TriggeredAverage:
    """Averages of the weights, from when the validation no longer gets better (NT-ASGD).

    S. Merity et al., "Regularizing and Optimizing LSTM Language Models", 2017, Algorithm 1: with
    more than n epochs behind, averaging begins when the newest validation is worse than the best of
    those more than n epochs ago; n is 5.

    Parameters
    ----------
    model : whose weights.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._validations: list[float] = []
        self._count = 0  # of averaged steps
        self._triggered = False
        self._means: dict[str, Tensor] = {}

    @property
    def triggered(self) -> bool:
        """Whether averaging has begun."""
        return self._triggered

    def validated(self, perplexity: float) -> None:
        """Hear of one epoch's validation."""
        early = self._validations[:-PATIENCE]
        if not self._triggered and early and perplexity > min(early):
            self._triggered = True
        self._validations.append(perplexity)

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the newest weights into the averages."""
        if not self._triggered:
            return
        self._count += 1
        for name, weight in self._model.named_parameters():
            if name not in self._means:
                self._means[name] = weight.detach().clone()
            else:
                mean = self._means[name]
                mean += (weight.detach() - mean) / self._count

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """The model has the averages inside, and its own weights again after."""
        own = {n: w.detach().clone() for n, w in self._model.named_parameters() if n in self._means}
        self._put(self._means)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, weight in self._model.named_parameters():
            if name in values:
                weight.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "validations": list(self._validations),
            "count": self._count,
            "triggered": self._triggered,
            "means": dict(self._means),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self._validations, self._count = list(state["validations"]), state["count"]
        self._triggered = state["triggered"]
        device = next(self._model.parameters()).device
        self._means = {name: mean.to(device) for name, mean in state["means"].items()}
