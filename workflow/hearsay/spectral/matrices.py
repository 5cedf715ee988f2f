"""Conventions: how a weight tensor becomes matrices, and what of their spectra is fitted.

The literature has no single convention, and alpha_hat, unlike alpha, depends on the scale of the
eigenvalues. Four are named here; each field can be overridden (`hearsay.spectral.audit`).
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from hearsay.errors import InputError
from hearsay.spectral.weights import Layout


@dataclass(frozen=True)
class Convention:
    """How tensors become matrices and which eigenvalues are fitted.

    name : as given to `audit`.
    kernels : a convolution's weight is read as one matrix for each kernel position and group
        ("slices"), as one spectrum of all of those together ("pooled"), or as one matrix
        (out, in * kernel) for each group ("flattened").
    normalise : eigenvalues of X = W^T W / N (paper, Eq. 2) instead of squared singular values.
    drop_smallest : leave the smallest eigenvalue out of the fit.
    xmax : "lambda_max" compares the fit with a law that ends at the largest eigenvalue (the
        estimate of alpha stays the untruncated one, as in powerlaw 1.x); "none" does not.
    min_size : smallest M that is analysed; of a pooled spectrum, the fewest eigenvalues.
    split_packed : split attention's packed projections into q, k, v, and an RNN's into gates.
    """

    name: str
    kernels: Literal["slices", "pooled", "flattened"]
    normalise: bool
    drop_smallest: bool
    xmax: Literal["lambda_max", "none"]
    min_size: int
    split_packed: bool

    def __str__(self) -> str:
        kernels = {
            "slices": "one matrix for each kernel position",
            "pooled": "the eigenvalues of all kernel positions together",
            "flattened": "one matrix (out, in * kernel)",
        }[self.kernels]
        scale = "X = W^T W / N (Eq. 2)" if self.normalise else "W^T W, no 1/N and no rescaling"
        fitted = "all but the smallest" if self.drop_smallest else "all"
        end = "lambda_max" if self.xmax == "lambda_max" else "none"
        size = "eigenvalues" if self.kernels == "pooled" else "M"
        packed = "split" if self.split_packed else "whole"
        return (
            f"{self.name}: convolutions as {kernels}; eigenvalues of {scale}; fitted: {fitted}, "
            f"xmax {end}; {size} >= {self.min_size}; packed projections {packed}"
        )


CONVENTIONS = {
    convention.name: convention
    for convention in (
        # The published tables of 2019-2020 and the paper's Figure 4: WeightWatcher 0.1.2 with
        # powerlaw 1.4. It fitted all but the smallest eigenvalue, with xmax the largest.
        Convention("weightwatcher-2019", "slices", False, True, "lambda_max", 50, False),
        # The paper's text to the letter: Eq. 2, one matrix for each of the n_l = c * d positions.
        Convention("paper", "slices", True, False, "none", 10, True),
        # One alpha a layer, as WeightWatcher pools since 2020; here with no rescaling.
        Convention("pooled", "pooled", False, False, "none", 10, True),
        # The convolution as the linear map of one image patch.
        Convention("flattened", "flattened", False, False, "none", 10, True),
    )
}


def convention_of(convention: str | Convention, **overrides: Any) -> Convention:
    """A convention by name, with the fields that are not None in `overrides` replaced."""
    if isinstance(convention, str):
        if convention not in CONVENTIONS:
            raise InputError(
                f"no convention {convention!r}: choose one of {', '.join(CONVENTIONS)}"
            )
        convention = CONVENTIONS[convention]
    given = {field: value for field, value in overrides.items() if value is not None}
    if given.get("min_size", 2) < 2:
        raise InputError(f"min_size {given['min_size']}: a spectrum needs at least 2 eigenvalues")
    if given.get("xmax", "none") not in ("lambda_max", "none"):
        raise InputError(f"xmax {given['xmax']!r}: choose lambda_max or none")
    return replace(convention, **given)


@dataclass(frozen=True)
class Part:
    """One row of an audit: what its spectrum is made of.

    label : "" for a whole tensor, else kernel position, group, gate, ...
    matrices : one, or, pooled, several; views of the tensor wherever torch can give one.
    reason : why there is no matrix; empty where there is.
    """

    label: str
    matrices: tuple[torch.Tensor, ...] = ()
    reason: str = ""


def matrices_of(tensor: torch.Tensor, layout: Layout, convention: Convention) -> list[Part]:
    """Read a weight as matrices, by its layout and a convention.

    Every part's matrices have two dimensions of at least 2. A tensor that gives none returns one
    part with the reason.
    """
    if not tensor.numel():
        return [Part("", reason="without values")]
    if layout.form == "matrix":
        return _plain(tensor, layout, convention)
    if layout.form == "dense":
        return _plain(tensor.flatten(1), layout, convention)
    if layout.form == "stack":
        if min(tensor.shape[1:]) < 2:
            return [Part("", reason=f"vectors, not matrices: {_size(tensor)}")]
        return [Part(f"output {k}", (matrix,)) for k, matrix in enumerate(tensor)]
    return _convolution(tensor, layout, convention)


def _plain(tensor: torch.Tensor, layout: Layout, convention: Convention) -> list[Part]:
    matrix = tensor.squeeze()
    if matrix.ndim != 2:
        return [Part("", reason=f"not a matrix after squeezing: {_size(tensor)}")]
    if not (layout.parts and convention.split_packed):
        return [Part("", (matrix,))]
    blocks = matrix.chunk(len(layout.parts), layout.part_axis)
    if min(min(block.shape) for block in blocks) < 2:
        return [Part("", reason=f"packed vectors, not matrices: {_size(tensor)}")]
    return [Part(label, (block,)) for label, block in zip(layout.parts, blocks, strict=True)]


def _convolution(tensor: torch.Tensor, layout: Layout, convention: Convention) -> list[Part]:
    # (groups, out / groups, in / groups, kernel...); in and out change places if transposed.
    grouped = tensor.unflatten(0, (layout.groups or 1, -1))
    groups, first, second, *kernel = grouped.shape
    prefixes = [f"group {k} / " if groups > 1 else "" for k in range(groups)]
    if convention.kernels == "flattened":
        if layout.form == "transposed":
            grouped = grouped.transpose(1, 2)
        if layout.groups is None and second == 1:
            return [Part("", reason=_DEPTHWISE_OR_ONE_CHANNEL)]
        if min(grouped.shape[1], grouped[0, 0].numel()) < 2:
            return [Part("", reason=_vectors(layout, first, second))]
        return [
            Part(prefix.removesuffix(" / "), (group.flatten(1),))
            for prefix, group in zip(prefixes, grouped, strict=True)
        ]
    if min(first, second) < 2:
        return [Part("", reason=_vectors(layout, first, second))]
    positions = list(itertools.product(*map(range, kernel)))
    slices = [
        Part(prefix + ",".join(map(str, position)), (group[(..., *position)],))
        for prefix, group in zip(prefixes, grouped, strict=True)
        for position in positions
    ]
    if convention.kernels == "slices":
        return slices
    return [Part("", tuple(part.matrices[0] for part in slices))]


_DEPTHWISE_OR_ONE_CHANNEL = (
    "depthwise, or one input channel: a state dict does not hold the groups; audit the module"
)


def _vectors(layout: Layout, first: int, second: int) -> str:
    if layout.groups is None and second == 1:
        return "depthwise, or one input channel: each kernel position is a vector"
    if (layout.groups or 1) > 1:
        return f"depthwise ({layout.groups} groups): each kernel position is a vector"
    return f"one channel ({first} x {second}): each kernel position is a vector"


def _size(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape))
