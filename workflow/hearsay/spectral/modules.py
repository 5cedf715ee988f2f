"""The weights of a torch module, with what its classes tell about their layout."""

import copy
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn
from torch.nn.utils import parametrize

from hearsay.spectral.layouts import (
    STORED_AS_CONVOLUTION,
    layout_by_name,
    no_values,
    packed_attention,
    recurrent,
    with_products,
)
from hearsay.spectral.weights import Layout, StoredTensor, Weight, stored

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
CELL_GATES = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCell: 1}


def weights_of_module(module: nn.Module) -> list[Weight]:
    """Every parameter and buffer of two dimensions or more, in the order of the module tree.

    The module is only read: nothing is called on it that could change it. A parametrised weight
    (`torch.nn.utils.parametrizations`) is computed from a copy of its factors in evaluation mode,
    and the factors are listed as parts of it. Buffers are listed as skipped. A module wrapped for
    data-parallel training is read without its wrapper.
    """
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        module = module.module
    owners = dict(module.named_modules(remove_duplicate=False))
    tensors: dict[str, StoredTensor] = {}
    buffers: set[str] = set()
    for prefix, owner in owners.items():
        tensors |= {tensor.name: tensor for tensor in _parametrised(prefix, owner)}
        own = {"prefix": prefix, "recurse": False, "remove_duplicate": False}
        tensors |= {name: stored(name, value) for name, value in owner.named_parameters(**own)}
        tensors |= {name: stored(name, value) for name, value in owner.named_buffers(**own)}
        buffers |= {name for name, _ in owner.named_buffers(**own)}
    tensors = with_products(tensors)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    weights = []
    for name, tensor in tensors.items():
        if len(tensor.shape) < 2 and not tensor.problem:
            continue
        if name in buffers:
            layout = Layout("buffer", skip="a buffer, not a parameter")
        elif reason := no_values(tensor, shapes):
            layout = Layout("parameter", skip=reason)
        else:
            owner, _, attribute = name.rpartition(".")
            layout = _layout_by_class(owners[owner], attribute, tensor) or layout_by_name(
                tensor, shapes
            )
        weights.append(Weight(tensor, layout))
    return weights


def _layout_by_class(owner: nn.Module, attribute: str, tensor: StoredTensor) -> Layout | None:
    name, shape = tensor.name, tensor.shape
    if isinstance(owner, nn.RNNBase):
        return recurrent(GATES[owner.mode], attribute.split("_l")[0])
    if isinstance(owner, nn.RNNCellBase):
        gates = next((n for cell, n in CELL_GATES.items() if isinstance(owner, cell)), 1)
        return recurrent(gates, attribute)
    if isinstance(owner, nn.MultiheadAttention):
        if attribute == "in_proj_weight":
            return packed_attention(name, shape)
        return Layout("attention") if attribute.endswith("_proj_weight") else None
    if attribute != "weight" or STORED_AS_CONVOLUTION.search(name):
        return None
    if isinstance(owner, CONVOLUTIONS):
        return Layout(f"conv{len(shape) - 2}d", "convolution", groups=owner.groups)
    if isinstance(owner, TRANSPOSED):
        return Layout(f"conv_transpose{len(shape) - 2}d", "transposed", groups=owner.groups)
    if isinstance(owner, nn.Bilinear):
        return Layout("bilinear", "stack")
    if isinstance(owner, nn.Embedding | nn.EmbeddingBag):
        return Layout("embedding")
    # GPT-2's Conv1D, a class of transformers, is a Linear whose weight is stored as (in, out).
    if len(shape) == 2 and (isinstance(owner, nn.Linear) or type(owner).__name__ == "Conv1D"):
        return packed_attention(name, shape) or Layout("linear")
    return None


def _parametrised(prefix: str, owner: nn.Module) -> Iterator[StoredTensor]:
    """The weights that `owner` computes from factors at each use."""
    if not parametrize.is_parametrized(owner):
        return
    parametrizations = owner.parametrizations
    assert isinstance(parametrizations, nn.ModuleDict)
    for attribute, factors in parametrizations.items():
        name = f"{prefix}.{attribute}" if prefix else attribute
        value = _computed(factors)
        problem = "on the meta device, so without values" if value.is_meta else ""
        yield StoredTensor(
            name,
            tuple(value.shape),
            value.dtype,
            partial(_computed, factors),
            id(factors),
            problem,
        )


def _computed(factors: nn.Module) -> torch.Tensor:
    # Some parametrisations update their buffers when called in training mode: call a copy.
    with torch.no_grad():
        return copy.deepcopy(factors).eval()().detach()
