"""What the readers of models hand to the audit: tensors that load on demand, with their layout."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

REAL_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class StoredTensor:
    """A named tensor that stays where it is (file or module) until `load` is called.

    name : dotted, as in a state dict.
    shape : its dimensions.
    dtype : a torch dtype, or the name of a storage type that torch does not know.
    load : returns the tensor in its own dtype, on its own device.
    storage : equal for tensors that share memory; None where the source does not tell (a
        safetensors file), so that only the bytes can.
    problem : why it has no values to analyse; empty where it has.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | str
    load: Callable[[], torch.Tensor]
    storage: Hashable | None = None
    problem: str = ""


@dataclass(frozen=True)
class Layout:
    """How a tensor's axes are to be read as matrices.

    kind : the layer, for the report: linear, embedding, conv2d, conv_transpose2d, lstm, ...
    form : "matrix"; "convolution" (out, in / groups, kernel...); "transposed" convolution
        (in, out / groups, kernel...); "dense", a matrix stored as a convolution whose kernel
        covers its whole input; "stack" of matrices along the first axis.
    groups : of a convolution; None where unknown (a state dict does not hold them).
    parts : names of equal blocks packed along `part_axis`, such as q, k, v.
    skip : why the tensor holds no weights to analyse; empty for a weight.
    """

    kind: str
    form: Literal["matrix", "convolution", "transposed", "dense", "stack"] = "matrix"
    groups: int | None = 1
    parts: tuple[str, ...] = ()
    part_axis: int = 0
    skip: str = ""


@dataclass(frozen=True)
class Weight:
    """A tensor with its layout; `aliases` are further names of the same tensor."""

    tensor: StoredTensor
    layout: Layout
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.tensor.name


def stored(name: str, tensor: torch.Tensor) -> StoredTensor:
    """A tensor in memory (or mapped from a file) as a `StoredTensor`."""
    if torch.nn.parameter.is_lazy(tensor):
        problem = "not initialised: the lazy module has not seen an input yet"
        return StoredTensor(name, (), "unknown", lambda: tensor, id(tensor), problem)
    problem = ""
    if tensor.is_meta:
        problem = "on the meta device, so without values"
    elif tensor.layout is not torch.strided:
        layout = str(tensor.layout).removeprefix("torch.")
        problem = f"stored as {layout}, which is not supported"
    tensor = tensor.detach()
    if problem or not tensor.numel():
        storage: Hashable = id(tensor)
    else:
        storage = (str(tensor.device), tensor.data_ptr(), tensor.stride())
    shape = tuple(tensor.shape)
    return StoredTensor(name, shape, tensor.dtype, lambda: tensor, storage, problem)


def unusable_dtype(dtype: torch.dtype | str) -> str:
    """Why values of this dtype are no weights to analyse; empty if they are."""
    if dtype in REAL_DTYPES:
        return ""
    name = str(dtype).removeprefix("torch.")
    if isinstance(dtype, torch.dtype) and dtype.is_complex:
        return f"complex values ({name}), which are not supported"
    if "float" in name or name.startswith("F"):
        return f"quantised ({name}): the values mean nothing without their scales"
    return f"values of type {name}, not real numbers"


def without_common_prefix(
    tensors: Mapping[str, StoredTensor], prefix: str = "module."
) -> dict[str, StoredTensor]:
    """Drop DataParallel's `module.` where every name has it; otherwise leave all names alone."""
    if not all(name.startswith(prefix) for name in tensors):
        return dict(tensors)
    return {
        name.removeprefix(prefix): replace(tensor, name=name.removeprefix(prefix))
        for name, tensor in tensors.items()
    }


def merge_shared(weights: list[Weight]) -> list[Weight]:
    """Keep the first of the weights that share storage and shape; the others become its aliases.

    A skipped one never stands for an analysed one.
    """
    kept: dict[Hashable, Weight] = {}
    for weight in weights:
        tensor = weight.tensor
        key: Hashable = weight.name
        if tensor.storage is not None:
            key = (tensor.storage, tensor.shape, bool(weight.layout.skip))
        if key in kept:
            first = kept[key]
            kept[key] = replace(first, aliases=(*first.aliases, weight.name))
        else:
            kept[key] = weight
    return list(kept.values())
