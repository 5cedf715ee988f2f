"""The arrays of event-driven inference: weights as rows of what one unit sends, and the memory."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from hearsay.lm.language_model import LanguageModel


class Weights(NamedTuple):
    """A stack of L layers; arrays are padded to the widest layer, and padding is never read."""

    sizes: np.ndarray  # int64 [L, 2]: inputs and units
    words: np.ndarray  # [V, 3n_1] first layer's input product and bias, or word vectors [V, n_0]
    inputs: np.ndarray  # [L, I, 3N]
    recurrent: np.ndarray  # [L, N, 3N]
    bias: np.ndarray  # [L, 3N]
    recurrent_bias: np.ndarray  # [L, 3N]; zeros in the paper's variant
    thresholds: np.ndarray  # [L, N]
    decoder: np.ndarray  # [n_L, V]
    decoder_bias: np.ndarray  # [V]


class Memory(NamedTuple):
    """What changes from token to token; B sequences.

    Events have L + 1 levels: what the first layer reads, and what each layer has emitted. M is the
    widest of these.
    """

    c: np.ndarray  # [L, B, N] cell state
    y: np.ndarray  # [L, B, N] emitted values
    active: np.ndarray  # int64 [L + 1, B, M] the active units, ascending
    value: np.ndarray  # [L + 1, B, M] their values
    counts: np.ndarray  # int64 [L + 1, B] how many they are
    executed: np.ndarray  # int64 [4] multiply-accumulates: words, between, recurrent, decoder
    events: np.ndarray  # int64 [L]
    fed: np.ndarray  # [B, 3N] gates' arguments from below
    fed_back: np.ndarray  # [B, 3N] gates' arguments from the layer itself
    scaled: np.ndarray  # [B, M] values of the active units times their reset gates


@torch.no_grad()
def gather_weights(model: LanguageModel, *, lookup: bool) -> Weights:
    """A copy of an EGRU model's weights, in float64 if they are, else in float32.

    With `lookup`, word vectors are multiplied by the first layer's input weights, for all words.
    """
    double = model.embedding.weight.dtype == torch.float64
    dtype = np.float64 if double else np.float32

    def array(tensor: Tensor) -> NDArray:
        return tensor.detach().to("cpu", torch.float64 if double else torch.float32).numpy()

    sizes = np.array(model.layer_sizes, np.int64)
    layers, (widest_input, widest) = len(sizes), sizes.max(0)
    inputs = np.empty((layers, widest_input, 3 * widest), dtype)
    recurrent = np.empty((layers, widest, 3 * widest), dtype)
    bias = np.zeros((layers, 3 * widest), dtype)
    recurrent_bias = np.zeros((layers, 3 * widest), dtype)
    thresholds = np.zeros((layers, widest), dtype)
    for k, (layer, (below, units)) in enumerate(zip(model.egru_layers, sizes, strict=True)):
        inputs[k, :below, : 3 * units] = array(layer.weight_ih_l0).T
        recurrent[k, :units, : 3 * units] = array(layer.weight_hh_l0).T
        bias[k, : 3 * units] = array(layer.bias_l0)
        if layer.variant == "evnn":
            recurrent_bias[k, : 3 * units] = array(layer.bias_hh_l0)
        thresholds[k, :units] = array(layer.thresholds(0))
    embedding = array(model.embedding.weight)
    decoder, decoder_bias = model.sparse_decoder()
    words = embedding.copy()
    if lookup:
        words = embedding @ inputs[0, : sizes[0, 0], : 3 * sizes[0, 1]]
        words += bias[0, : 3 * sizes[0, 1]]
    return Weights(
        sizes=sizes,
        words=words,
        inputs=inputs,
        recurrent=recurrent,
        bias=bias,
        recurrent_bias=recurrent_bias,
        thresholds=thresholds,
        decoder=np.array(array(decoder).T, dtype, order="C"),
        decoder_bias=array(decoder_bias).copy(),
    )


def zero_memory(layer_sizes: Sequence[tuple[int, int]], batch: int, dtype: DTypeLike) -> Memory:
    """The zero state of `batch` sequences, with all counts at zero."""
    layers, inputs = len(layer_sizes), layer_sizes[0][0]
    width = max(hidden for _, hidden in layer_sizes)
    widest = max(width, inputs)
    memory = Memory(
        c=np.zeros((layers, batch, width), dtype),
        y=np.zeros((layers, batch, width), dtype),
        active=np.zeros((layers + 1, batch, widest), np.int64),
        value=np.zeros((layers + 1, batch, widest), dtype),
        counts=np.zeros((layers + 1, batch), np.int64),
        executed=np.zeros(4, np.int64),
        events=np.zeros(layers, np.int64),
        fed=np.empty((batch, 3 * width), dtype),
        fed_back=np.empty((batch, 3 * width), dtype),
        scaled=np.empty((batch, widest), dtype),
    )
    memory.active[0, :, :inputs] = np.arange(inputs)  # word vectors have no silent units
    memory.counts[0] = inputs
    return memory
