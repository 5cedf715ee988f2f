"""Word vectors from counts, the start that lets a tiny language model learn in seconds.

Positive pointwise mutual information of tokens and their neighbours, factorised (Levy and Goldberg
2014, "Neural word embedding as implicit matrix factorization"). One half of a vector comes from the
tokens next to it on either side, and so tells the word class; the other from those 2 to 12 tokens
away in either direction, and so tells the scene.
"""

import torch
from torch import Tensor

NEXT = (1, 1)
AROUND = (2, 12)
RARE = 5  # tokens that come less often get no vector


def token_vectors(ids: Tensor, vocabulary: int, width: int) -> Tensor:
    """Vectors [vocabulary, width] of standard deviation 1; zero for rare tokens.

    Parameters
    ----------
    ids : [tokens], the text.
    vocabulary, width : number of tokens, and length of a vector; at most twice as long as there
        are tokens that are not rare.
    """
    kept = torch.nonzero(torch.bincount(ids, minlength=vocabulary) >= RARE).flatten()
    numbers = torch.full((vocabulary,), -1)
    numbers[kept] = torch.arange(len(kept))
    text = numbers[ids]
    following = _counts(text, len(kept), NEXT)
    around = _counts(text, len(kept), AROUND)
    halves = [
        _factor(torch.cat([following, following.T], dim=1), width // 2),
        _factor(around + around.T, width - width // 2),
    ]
    vectors = torch.zeros(vocabulary, width)
    vectors[kept] = torch.cat(halves, dim=1).float()
    return vectors


def _counts(text: Tensor, size: int, distances: tuple[int, int]) -> Tensor:
    """How often token j follows token i at one of the distances: [size, size]."""
    counts = torch.zeros(size * size, dtype=torch.float64)
    for distance in range(distances[0], distances[1] + 1):
        before, after = text[:-distance], text[distance:]
        known = (before >= 0) & (after >= 0)
        counts += torch.bincount(before[known] * size + after[known], minlength=size * size)
    return counts.view(size, size)


def _factor(counts: Tensor, width: int) -> Tensor:
    """Left singular vectors times the root of their singular values, centred and scaled."""
    expected = counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True) / counts.sum()
    information = torch.log((counts / expected.clamp(min=1e-9)).clamp(min=1))
    values, vectors = torch.linalg.eigh(information @ information.T)
    left = vectors[:, -width:] * values[-width:].clamp(min=0) ** 0.25
    left = left - left.mean(0)
    return left / left.std()
