"""What goes from chunk to chunk while a language model is trained."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hearsay.lm.activity import ActivityCounter
from hearsay.lm.chunks import Chunk, perplexity
from hearsay.lm.egru import EGRU
from hearsay.lm.language_model import LanguageModel, State, detached
from hearsay.lm.optimisation import TriggeredAverage, learning_rate, rate_of_chunk


class ChunkLoss(nn.Module):
    """The loss of one chunk: cross entropy, and AWD-LSTM's penalties (AR, TAR)."""

    def __init__(self, model: LanguageModel, recipe: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.activation, self.temporal = recipe["activation_penalty"], recipe["temporal_penalty"]

    def forward(self, piece: Tensor, before: Callable[[], State]) -> tuple[Tensor, Tensor, State]:
        """Of rows [T + 1, B]: the loss with penalties, that without, and the state after them.

        The state before them is asked for: in mixed precision Fabric would round what is handed in.
        """
        hidden, raw, state = self.model.run(piece[:-1], before())
        plain, _ = self.model.loss(hidden, piece[1:])
        loss = plain
        if self.activation:
            loss = loss + self.activation * hidden.pow(2).mean()
        if self.temporal and len(raw) > 1:
            loss = loss + self.temporal * (raw[1:] - raw[:-1]).pow(2).mean()
        return loss, plain.detach(), state


class Stream:
    """What a training carries from chunk to chunk beside weights, and tells after each epoch.

    Parameters
    ----------
    model, recipe : the model, on its device, and how it is trained.
    rows : of the training text's streams.
    """

    def __init__(self, model: LanguageModel, recipe: Mapping[str, Any], rows: int) -> None:
        self.model, self.recipe, self.rows = model, recipe, rows
        self.state: State = []
        self.epoch, self.step, self.words = 0, 0, 0
        self.seconds, self.loss_sum, self.rate = 0.0, 0.0, 0.0
        self.counter = ActivityCounter()
        self._backends: Counter[str] = Counter()  # words that each has computed
        self.average = TriggeredAverage(model) if recipe["optimizer"] == "nt-asgd" else None

    def begin(self, chunk: Chunk, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of a chunk; an epoch begins with a state of zeros."""
        if chunk.start == 0:
            self.state = self.model.initial_state(self.recipe["batch_size"])
            self.loss_sum, self.words = 0.0, 0
            self.counter.reset()
        epoch = self.epoch + chunk.start / self.rows
        self.rate = learning_rate(self.recipe, epoch, self.step)
        for group in optimizer.param_groups:
            group["lr"] = rate_of_chunk(self.recipe, self.rate, chunk)
        self._started = time.monotonic()

    def loss(self, module: nn.Module, piece: Tensor) -> Tensor:
        """The chunk's loss; keeps the state after it."""
        loss, plain, state = module(piece, lambda: self.state)
        state = detached(state)
        if self.recipe["carry_state"] == "output":
            state = [_without_cell(layer, self.recipe["cell"]) for layer in state]
        self.state = state
        words = piece[1:].numel()
        self.loss_sum += plain.double().item() * words
        self.words += words
        self._backends[_backend_of(self.model)] += words
        return loss

    def end(self) -> None:
        """A step was taken."""
        self.step += 1
        if self.average is not None:
            self.average.after_step()
        self.seconds += time.monotonic() - self._started

    def evaluated(self) -> AbstractContextManager[None]:
        """The weights to be judged: averages, once there are some."""
        return self.average.evaluated() if self.average is not None else nullcontext()

    def validated(self, value: float) -> None:
        """An epoch is over."""
        self.epoch += 1
        if self.average is not None:
            self.average.validated(value)

    @property
    def backend(self) -> str:
        """What computed most of the recurrence: chunks of few steps may go another way."""
        return self._backends.most_common(1)[0][0]

    def report(self) -> dict[str, float]:
        """Of the epoch: perplexity in training, learning rate, sparsities of all and each layer."""
        row = {
            "training_perplexity": perplexity(self.loss_sum, self.words),
            "learning_rate": self.rate,
        }
        for kind in ("activity_sparsity", "backward_sparsity"):
            if self.counter.layers:
                row[kind] = getattr(self.counter, kind)()
            for layer in self.counter.layers:
                row[f"{kind}_layer{layer + 1}"] = getattr(self.counter, kind)(layer)
        return row

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "state": [list(layer) for layer in self.state],
            "numbers": [self.epoch, self.step, self.words, self.loss_sum, self.rate],
            "seconds": self.seconds,
            "counter": self.counter.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "backends": dict(self._backends),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        device = self.model.embedding.weight.device
        self.state = [tuple(part.to(device) for part in layer) for layer in state["state"]]
        self.epoch, self.step, self.words, self.loss_sum, self.rate = state["numbers"]
        self.seconds = state["seconds"]
        self.counter.load_state_dict(state["counter"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._backends = Counter(state["backends"])


def _backend_of(model: LanguageModel) -> str:
    layer = model.layers[0]
    return str(layer.backend_used) if isinstance(layer, EGRU) else f"torch.{model.cell}"


def _without_cell(layer: tuple[Tensor, ...], cell: str) -> tuple[Tensor, ...]:
    """The public code's state between chunks: what was emitted, with cells at zero."""
    if cell == "egru":
        return (torch.zeros_like(layer[0]), layer[1])
    return layer if cell == "gru" else (layer[0], torch.zeros_like(layer[1]))
