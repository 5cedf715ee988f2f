"""Layouts of the tensors of a state dict, from nothing but their names and shapes.

What a state dict cannot tell: the groups of a convolution (a grouped one reads as a smaller
ordinary one; with one input channel a group it is taken for depthwise), whether a convolution is
transposed (matters only where kernels are flattened), and Bilinear's three axes (they read as
those of a Conv1d). Give the module itself where this matters.
"""

import operator
import re
from collections.abc import Callable, Mapping
from functools import partial

import torch

from hearsay.spectral.weights import Layout, StoredTensor, Weight, unusable_dtype

EMBEDDING = re.compile(r"embed[^.]*(\.weight)?$|(^|[._])(wte|wpe|emb)(\.weight)?$")
RECURRENT = re.compile(r"^(weight_(?:ih|hh|hr))(_l\d+)?(_reverse)?$")
# timm stores the first two dense layers of VGG as convolutions: fc1 is (4096, 512, 7, 7), which
# published analyses of torchvision's (4096, 25088) read as one matrix.
STORED_AS_CONVOLUTION = re.compile(r"(^|\.)pre_logits\.fc\d\.weight$")
GATED = {4: "lstm", 3: "gru", 1: "rnn"}
NO_WEIGHT = re.compile(r"(^|[._])(bias|mask|bias_k|bias_v)$")


def layouts_by_name(tensors: Mapping[str, StoredTensor]) -> list[Weight]:
    """The tensors of two dimensions or more, each with the layout that its name suggests."""
    tensors = with_products(tensors)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return [
        Weight(tensor, layout_by_name(tensor, shapes))
        for tensor in tensors.values()
        if len(tensor.shape) >= 2 or tensor.problem
    ]


def layout_by_name(tensor: StoredTensor, shapes: Mapping[str, tuple[int, ...]]) -> Layout:
    """Layout of one tensor; `shapes` are those of all tensors of the model, by name."""
    name, shape = tensor.name, tensor.shape
    owner, _, attribute = name.rpartition(".")
    if reason := no_values(tensor, shapes):
        return Layout("parameter", skip=reason)
    if NO_WEIGHT.search(name):
        return Layout("parameter", skip="a bias or a mask, not a weight matrix")
    if len(shape) == 2:
        if match := RECURRENT.match(attribute):
            return recurrent(_gates(owner, match, shapes), match[1])
        if EMBEDDING.search(name):
            return Layout("embedding")
        plain = Layout("linear" if attribute == "weight" else "parameter")
        return packed_attention(name, shape) or plain
    if len(shape) == 4 and STORED_AS_CONVOLUTION.search(name):
        return Layout("linear", "dense")
    if _reads_as_kernel(attribute, shape):
        return Layout(f"conv{len(shape) - 2}d", "convolution", groups=None)
    return Layout("parameter")


def no_values(tensor: StoredTensor, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Why a tensor holds no weights by itself, whatever its layer; empty if it does."""
    return tensor.problem or _factor(tensor.name, shapes) or unusable_dtype(tensor.dtype)


def recurrent(gates: int, attribute: str) -> Layout:
    """Layout of an RNN's weight: `gates` blocks along the first axis, the projection has none."""
    split = gates > 1 and attribute != "weight_hr"
    return Layout(GATED[gates], parts=tuple(f"gate {k}" for k in range(gates)) if split else ())


def packed_attention(name: str, shape: tuple[int, ...]) -> Layout | None:
    """Layout of attention projections packed in one matrix; None if the name is of none.

    Split only where the blocks are known to be whole: `query_key_value` interleaves them head by
    head, and grouped-query attention makes k and v smaller than q.
    """
    owner, _, attribute = name.rpartition(".")
    layer = owner.rpartition(".")[2]
    rows, columns = shape
    if attribute == "in_proj_weight" or (attribute == "weight" and layer in ("qkv", "to_qkv")):
        return Layout("attention", parts=("q", "k", "v") if rows % 3 == 0 else ())
    if attribute != "weight":
        return None
    if layer in ("c_attn", "qkv_proj", "Wqkv"):
        if rows == 3 * columns:
            return Layout("attention", parts=("q", "k", "v"))
        if columns == 3 * rows:  # GPT-2 stores (in, out)
            return Layout("attention", parts=("q", "k", "v"), part_axis=1)
        if columns == 2 * rows and layer == "c_attn":  # GPT-2's cross-attention
            return Layout("attention", parts=("k", "v"), part_axis=1)
        return Layout("attention")
    if layer in ("kv", "to_kv", "kv_proj"):
        return Layout("attention", parts=("k", "v") if rows == 2 * columns else ())
    if layer in ("query_key_value", "q_attn"):
        return Layout("attention")
    return None


def with_products(tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Add the weights that are stored as factors: weight normalisation's and pruning's.

    Weight normalisation keeps w = g v / ||v|| as `weight_g`, `weight_v` or as
    `parametrizations.weight.original0`, `original1`; pruning keeps `weight_orig`, `weight_mask`.
    """
    completed: dict[str, StoredTensor] = {}
    for name, first in tensors.items():
        completed[name] = first
        product, other, multiply = _product(name)
        if not product or product in tensors or other not in tensors:
            continue
        second = tensors[other]
        match = _scales if multiply is norm_product else operator.eq
        if not match(first.shape, second.shape):
            continue
        if unusable_dtype(first.dtype) or unusable_dtype(second.dtype):
            continue
        known = first.storage is not None and second.storage is not None
        completed[product] = StoredTensor(
            product,
            second.shape,
            second.dtype,
            partial(_multiplied, multiply, first, second),
            (first.storage, second.storage) if known else None,
            first.problem or second.problem,
        )
    return completed


def _multiplied(
    multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    first: StoredTensor,
    second: StoredTensor,
) -> torch.Tensor:
    return multiply(first.load(), second.load())


def norm_product(g: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The weight g v / ||v|| in float64; the norm runs over the axes where g has length 1."""
    axes = [axis for axis, length in enumerate(g.shape) if length == 1] or None
    norm = torch.linalg.vector_norm(v, dim=axes, keepdim=axes is not None, dtype=torch.float64)
    return v.to(torch.float64, copy=True).mul_(g.double() / norm)


def masked(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A pruned weight: the product of the weight and its mask of zeros and ones."""
    return weight * mask


def _product(name: str) -> tuple[str, str, Callable[..., torch.Tensor]]:
    """For the name of a first factor: its product, the second factor and how they multiply."""
    attribute = name.rpartition(".")[2]
    if attribute.startswith("weight") and attribute.endswith("_g"):
        return name[:-2], name[:-2] + "_v", norm_product
    if match := re.fullmatch(r"(|.*\.)parametrizations\.(\w+)\.original0", name):
        return match[1] + match[2], name[:-1] + "1", norm_product
    if attribute.endswith("_orig"):
        return name[:-5], name[:-5] + "_mask", masked
    return "", "", norm_product


def _scales(g: tuple[int, ...], v: tuple[int, ...]) -> bool:
    """Whether g has one length per slice of v along one axis, or a single one."""
    if not g or set(g) == {1}:
        return True
    if len(g) != len(v) or sum(length != 1 for length in g) != 1:
        return False
    return all(a in (1, b) for a, b in zip(g, v, strict=True))


def _factor(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Why a tensor that is only a part of a parametrised weight is not analysed; else empty."""
    attribute = name.rpartition(".")[2]
    if match := re.search(r"(^|.*\.)parametrizations\.(\w+)\.", name):
        weight = match[1] + match[2]
    elif match := re.fullmatch(r"(weight.*)_(g|v|orig|mask)", attribute):
        weight = name.removesuffix(f"_{match[2]}")
        pair = {"g": "v", "v": "g", "orig": "mask", "mask": "orig"}[match[2]]
        if f"{weight}_{pair}" in shapes and weight in shapes:
            pass
        elif match[2] != "orig" or f"{weight}_u" not in shapes:  # spectral normalisation has a u
            return ""
    else:
        return ""
    if weight in shapes:
        return f"a factor of {weight}, which is analysed instead"
    return f"a factor of {weight}, which the file does not hold: audit the module itself"


def _gates(owner: str, match: re.Match, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many gates an RNN has, from its other weights; 1 where they are missing."""
    suffix = (match[2] or "") + (match[3] or "")
    prefix = f"{owner}." if owner else ""
    hidden = shapes.get(f"{prefix}weight_hh{suffix}")
    projection = shapes.get(f"{prefix}weight_hr{suffix}")
    if hidden is None:
        return 1
    size = projection[1] if projection else hidden[1]
    gates, rest = divmod(hidden[0], size)
    return gates if not rest and gates in GATED else 1


def _reads_as_kernel(attribute: str, shape: tuple[int, ...]) -> bool:
    # A leading 1 is the batch axis of a position table; three axes can be anything.
    if attribute == "weight":
        return len(shape) <= 5
    return len(shape) in (4, 5) and shape[0] > 1 and shape[1] > 1
