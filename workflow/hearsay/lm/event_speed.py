"""How long a token takes: event-driven, dense, and with torch's GRU, at a chosen activity.

Everything here infers step by step, one token after the other, from word to logits.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from hearsay.lm import event_kernels as kernels
from hearsay.lm.egru import EGRU
from hearsay.lm.event_engine import EventEngine
from hearsay.lm.language_model import LanguageModel

Stepper = Callable[[NDArray], Any]  # reads token ids [B], gives logits [B, V]

BLOCK = 10  # tokens of one contender before it is the next one's turn


# --- a model of a wanted activity ----------------------------------------------------------------


@torch.no_grad()
def model_with_activity(
    widths: Sequence[int], vocabulary: int, fraction: float, *, seed: int, variant: str = "paper"
) -> LanguageModel:
    """An untrained model in which about `fraction` of each layer's units is active at every step.

    Nothing overrides the units: the weights are random, the candidates near 1 so that cell states
    rise until they are emitted, and one threshold per layer, found by bisection on a stream of
    random words, makes the events as frequent as wanted. Units still differ (at 17 % by 5 points)
    and take turns.

    Parameters
    ----------
    widths : units of each layer; the last is also the width of the word vectors.
    fraction : 0 to 1. At 0 and 1 thresholds are out of reach, or nothing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LanguageModel(
            vocabulary, widths[-1], widths[0], len(widths), variant=variant, backend="torch"
        ).eval()
        model.embedding.weight.normal_()
        words = torch.randint(vocabulary, (48, 16))
    x = model.embedding(words)
    for layer in model.egru_layers:
        units = layer.hidden_size
        _spread(layer, x)
        low, high = -14.0, 14.0
        for _ in range(12):
            middle = (low + high) / 2 if 0 < fraction < 1 else 40.0 * (1 - 2 * fraction)
            layer.threshold_logit_l0.fill_(middle)
            y, _ = layer(x)
            active = torch.count_nonzero(y[24:]).item() / (24 * 16 * units)
            low, high = (middle, high) if active > fraction else (low, middle)
        x = y
    return model


def _spread(layer: EGRU, x: Tensor) -> None:
    """Scale the inputs' weights so that update gates vary widely, and candidates hardly."""
    units = layer.hidden_size
    spread = (x @ layer.weight_ih_l0[:units].T).std().item()
    if spread > 0:
        layer.weight_ih_l0.mul_(1.5 / spread)
    layer.weight_ih_l0[2 * units :].mul_(0.3)
    layer.weight_hh_l0[2 * units :].mul_(0.3)
    # The first gate lets the candidate in, but keeps the state in the public code's variant.
    layer.bias_l0[:units] = -1.0 if layer.variant == "paper" else 1.0
    layer.bias_l0[2 * units :] = 4.0


# --- contenders ----------------------------------------------------------------------------------


class DensePath:
    """The same model without events: every weight is read at every step.

    Element-wise work is done by the engine's own kernels, products by the library behind torch, on
    weights that lie as [in, out] or as [out, in], whichever is faster here for this batch.

    Parameters
    ----------
    model : a `LanguageModel` of EGRU cells in float32 or float64.
    batch : sequences.
    lookup : first layer's input product from a table, as in the engine.

    Attributes
    ----------
    copied : whether weights were copied to lie as [in, out].
    """

    def __init__(self, model: LanguageModel, *, batch: int = 1, lookup: bool = False) -> None:
        self.copied = copies_are_faster([w.detach() for w in _matrices(model)], batch)
        self.layers = [_DenseLayer(layer, batch, self.copied) for layer in model.egru_layers]
        self.embedding = model.embedding.weight.detach()
        decoder, bias = model.sparse_decoder()
        self.decoder, self.bias = _arranged(decoder.detach().T, self.copied), bias.detach()
        first = self.layers[0]
        self.table = torch.addmm(first.bias, self.embedding, first.inputs) if lookup else None

    @torch.inference_mode()
    def step(self, token_ids: NDArray) -> Tensor:
        """Logits [B, V] after reading token_ids [B]."""
        ids = torch.from_numpy(token_ids)
        fed = None if self.table is None else self.table[ids]
        x = self.embedding[ids]
        for layer in self.layers:
            x = layer.step(torch.addmm(layer.bias, x, layer.inputs) if fed is None else fed)
            fed = None
        return torch.addmm(self.bias, x, self.decoder)


def _matrices(model: LanguageModel) -> list[Tensor]:
    return [w for layer in model.egru_layers for w in (layer.weight_ih_l0, layer.weight_hh_l0)]


def _arranged(weight: Tensor, copied: bool) -> Tensor:
    return weight.contiguous() if copied else weight


@torch.inference_mode()
def copies_are_faster(weights: Sequence[Tensor], batch: int) -> bool:
    """Whether x W of all `weights`, given as [out, in], is faster on copies that lie as [in, out].

    All in a row, so that they come from memory as they do in the model.
    """
    layouts = [[_arranged(weight.T, copied) for weight in weights] for copied in (False, True)]
    inputs = [weight.new_ones(batch, weight.shape[1]) for weight in weights]
    taken: list[list[float]] = [[], []]
    for _ in range(7):
        for times, layout in zip(taken, layouts, strict=True):
            begin = time.perf_counter()
            for x, weight in zip(inputs, layout, strict=True):
                torch.mm(x, weight)
            times.append(time.perf_counter() - begin)
    return min(taken[1]) < min(taken[0])


class _DenseLayer:
    def __init__(self, layer: EGRU, batch: int, copied: bool) -> None:
        self.inputs = _arranged(layer.weight_ih_l0.detach().T, copied)
        self.bias = layer.bias_l0.detach()
        self.paper, self.units = layer.variant == "paper", layer.hidden_size
        # The paper's candidate has a product of its own: it waits for the reset gate.
        weight, ends = layer.weight_hh_l0.detach().T, (0, 2 * self.units, 3 * self.units)
        parts = pairwise(ends) if self.paper else [(0, 3 * self.units)]
        self.recurrent = [_arranged(weight[:, start:stop], copied) for start, stop in parts]
        self.back_bias = None if self.paper else layer.bias_hh_l0.detach()
        self.thresholds = layer.thresholds(0).detach().numpy()
        self.c, self.y, self.scaled = (self.bias.new_zeros(batch, self.units) for _ in range(3))
        self.back = self.bias.new_zeros(batch, 3 * self.units)
        self.everything = np.arange(self.units)
        self.events = np.empty_like(self.everything), np.empty_like(self.thresholds)

    def step(self, fed: Tensor) -> Tensor:
        """Emitted values [B, H] from what the input makes of the gates' arguments [B, 3H]."""
        units, every = self.units, self.everything
        given, back, c, y, scaled = (
            tensor.numpy() for tensor in (fed, self.back, self.c, self.y, self.scaled)
        )
        lanes = range(len(given))
        if self.paper:
            torch.mm(self.y, self.recurrent[0], out=self.back[:, : 2 * units])
            for b in lanes:
                kernels.scale_by_reset(given[b], back[b], every, y[b], units, scaled[b], units)
            torch.mm(self.scaled, self.recurrent[1], out=self.back[:, 2 * units :])
        else:
            assert self.back_bias is not None
            torch.addmm(self.back_bias, self.y, self.recurrent[0], out=self.back)
        for b in lanes:
            if self.paper:
                kernels.update_paper(given[b], back[b], c[b], y[b], units)
            else:
                kernels.update_evnn(given[b], back[b], c[b], units)
            kernels.emit(c[b], y[b], self.thresholds, *self.events, units, not self.paper)
        return self.y


class GRUPath:
    """Stacked torch.nn.GRU of the same widths with a tied decoder, one token at a time."""

    def __init__(
        self, layer_sizes: Sequence[tuple[int, int]], vocabulary: int, *, batch: int = 1
    ) -> None:
        self.layers = [nn.GRU(inputs, units).eval() for inputs, units in layer_sizes]
        self.embedding = torch.randn(vocabulary, layer_sizes[0][0]) * 0.1
        self.bias = torch.zeros(vocabulary)
        self.state = [torch.zeros(1, batch, units) for _, units in layer_sizes]

    @torch.inference_mode()
    def step(self, token_ids: NDArray) -> Tensor:
        """Logits [B, V] after reading token_ids [B]."""
        x = self.embedding[torch.from_numpy(token_ids)][None]
        for k, layer in enumerate(self.layers):
            x, self.state[k] = layer(x, self.state[k])
        return functional.linear(x[0], self.embedding, self.bias)


# --- the race ------------------------------------------------------------------------------------


class Timing(NamedTuple):
    """Milliseconds per token: median and quartiles."""

    median: float
    low: float
    high: float


def race(
    contenders: Mapping[str, Stepper], tokens: NDArray, *, warm_up: int = 2 * BLOCK
) -> dict[str, Timing]:
    """Time every step of every contender on the same tokens [T, B].

    They take turns, `BLOCK` tokens each, so that a busy moment of the machine hits all alike; the
    first token of each turn, which finds the other's weights in the cache, is not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for step in contenders.values():
        for words in tokens[:warm_up]:
            step(words)
    for start in range(0, len(tokens), BLOCK):
        for name, step in contenders.items():
            for k, words in enumerate(tokens[start : start + BLOCK]):
                begin = time.perf_counter()
                step(words)
                if k:
                    taken[name].append(1e3 * (time.perf_counter() - begin))
    return {
        name: Timing(*(float(np.percentile(times, q)) for q in (50, 25, 75)))
        for name, times in taken.items()
    }


def measure_point(
    widths: Sequence[int],
    vocabulary: int,
    fraction: float,
    *,
    tokens: int,
    seed: int,
    threads: int = 1,
    variant: str = "paper",
) -> dict[str, float]:
    """One point of the curve speed against activity, at batch 1: a row of event_speed.csv."""
    model = model_with_activity(widths, vocabulary, fraction, seed=seed, variant=variant)
    engine = EventEngine(model, threads=threads)
    contenders = {
        "engine": engine.step,
        "dense": DensePath(model).step,
        "gru": GRUPath(model.layer_sizes, vocabulary).step,
    }
    text = np.random.default_rng(seed).integers(vocabulary, size=(tokens, 1))
    times = race(contenders, text)
    events, steps = sum(engine.activity.events), sum(engine.activity.steps)
    return {
        "active": events / steps,
        "engine_ms": times["engine"].median,
        "engine_low_ms": times["engine"].low,
        "engine_high_ms": times["engine"].high,
        "dense_ms": times["dense"].median,
        "gru_ms": times["gru"].median,
        "macs": engine.macs * sum(widths) / steps,
    }


def break_even(active: ArrayLike, engine_ms: ArrayLike, other_ms: ArrayLike) -> float | None:
    """Active fraction at which the engine takes as long as another, interpolated linearly.

    None if it is faster at every fraction measured; 0 if at none. `active` must ascend.
    """
    ahead = np.asarray(engine_ms) - np.asarray(other_ms)  # negative: the engine is faster
    at = np.asarray(active)
    for k in range(len(ahead)):
        if ahead[k] >= 0:
            if k == 0:
                return 0.0
            share = -ahead[k - 1] / (ahead[k] - ahead[k - 1])
            return float(at[k - 1] + share * (at[k] - at[k - 1]))
    return None
