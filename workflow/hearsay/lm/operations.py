"""Multiply-accumulates per token and parameters of the language models, by formula.

Element-wise work and biases are not counted. A stack of L layers has `layer_sizes`
[(n_0, n_1), …, (n_{L−1}, n_L)]: n_0 is the width of the embedding, and the tied decoder has
n_L rows of as many values as the vocabulary has words.
"""

from collections.abc import Sequence
from itertools import pairwise

from hearsay.errors import InputError

GATES = {"egru": 3, "gru": 3, "lstm": 4}
"""Rows of blocks that each cell's weights have: its gates and its candidate."""


def effective_macs(
    layer_sizes: Sequence[tuple[int, int]],
    vocabulary: int,
    active_fractions: Sequence[float],
    *,
    decoder: bool = True,
    lookup: bool = False,
) -> float:
    """Multiply-accumulates per token, batch 1, of an EGRU stack that computes for events only.

    3 n_0 n_1 + Σ_l 3 a_l n_l² + Σ_{l<L} 3 a_l n_l n_{l+1} + a_L n_L V: the first layer's input is
    an embedding, hence dense; everything else is multiplied by outputs of which only the share
    a_l is not zero.

    Parameters
    ----------
    layer_sizes : [(input, hidden)] of each layer.
    vocabulary : V, words.
    active_fractions : a_l of each layer, 0 to 1 (1 − its activity sparsity).
    decoder : with the last term.
    lookup : the first term is a table with one row per word, and costs nothing.
    """
    sizes = _checked(layer_sizes)
    if len(active_fractions) != len(sizes):
        raise InputError(
            f"{len(active_fractions)} active fractions for {len(sizes)} layers; give one of each"
        )
    if not all(0 <= fraction <= 1 for fraction in active_fractions):
        raise InputError(f"active fractions {list(active_fractions)} are not all between 0 and 1")
    inputs, first = sizes[0]
    macs = 0.0 if lookup else 3.0 * inputs * first
    targets = [hidden for _, hidden in sizes[1:]]
    for fraction, (_, hidden) in zip(active_fractions, sizes, strict=True):
        macs += 3 * fraction * hidden * hidden
    for fraction, (_, hidden), target in zip(active_fractions, sizes, targets, strict=False):
        macs += 3 * fraction * hidden * target
    if decoder:
        macs += active_fractions[-1] * sizes[-1][1] * vocabulary
    return macs


def dense_macs(
    layer_sizes: Sequence[tuple[int, int]],
    vocabulary: int,
    *,
    cell: str = "egru",
    decoder: bool = True,
    lookup: bool = False,
) -> int:
    """Multiply-accumulates per token of a stack that multiplies by every value, zero or not.

    As `effective_macs` with all fractions 1, for any of the cells "egru", "gru" and "lstm".
    """
    sizes = _checked(layer_sizes)
    macs = sum(_gates(cell) * (inputs + hidden) * hidden for inputs, hidden in sizes)
    if lookup:
        macs -= _gates(cell) * sizes[0][0] * sizes[0][1]
    return macs + (sizes[-1][1] * vocabulary if decoder else 0)


def parameter_count(
    layer_sizes: Sequence[tuple[int, int]],
    vocabulary: int,
    *,
    cell: str = "egru",
    variant: str = "paper",
) -> int:
    """Parameters of a model with tied decoder: embedding, layers, biases, thresholds.

    PyTorch's GRU and LSTM and the variant "evnn" have two biases per gate, the paper's EGRU one;
    an EGRU has a threshold per unit; the decoder has a bias per word.
    """
    gates, sizes = _gates(cell), _checked(layer_sizes)
    biases = 1 if (cell, variant) == ("egru", "paper") else 2
    units = sum(hidden for _, hidden in sizes)
    return (
        dense_macs(sizes, vocabulary, cell=cell, decoder=False)
        + vocabulary * sizes[0][0]
        + vocabulary
        + gates * biases * units
        + (units if cell == "egru" else 0)
    )


def _gates(cell: str) -> int:
    if cell not in GATES:
        raise InputError(f"unknown cell {cell!r}; choose from {', '.join(GATES)}")
    return GATES[cell]


def _checked(layer_sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    sizes = [(int(inputs), int(hidden)) for inputs, hidden in layer_sizes]
    for (_, hidden), (inputs, _) in pairwise(sizes):
        if hidden != inputs:
            raise InputError(f"layer sizes {sizes} do not fit each other: {hidden} is not {inputs}")
    if not sizes:
        raise InputError("no layer sizes given")
    return sizes
