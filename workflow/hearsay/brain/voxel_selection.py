"""Choose voxels that follow the words: those that an encoding model predicts best.

A ridge regression from the words of the last 8 s to every voxel, tested on training stories that it
was not fitted to; no other story enters. Each story's responses are read once: what is kept of them
are sums of products, one set a fold, from which models and held-out correlations follow exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hearsay.errors import InputError

FOLDS = 5
# In units of the mean eigenvalue of the features' covariance.
ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)
BLOCK_VOXELS = 4096


class Sums:
    """Sums over the rows of some stories: of features x [p], responses y [V] and their products."""

    def __init__(self, features: int, voxels: int) -> None:
        self.n = 0
        self.x = np.zeros(features)
        self.xx = np.zeros((features, features))
        self.xy = np.zeros((features, voxels))
        self.y = np.zeros(voxels)
        self.yy = np.zeros(voxels)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Count one story in: x [rows, p], y [rows, V] in float32 or float64."""
        self.n += len(x)
        self.x += x.sum(axis=0)
        self.xx += x.T @ x
        for block in _blocks(y.shape[1]):
            part = y[:, block].astype(np.float64)
            self.xy[:, block] += x.T @ part
            self.y[block] += part.sum(axis=0)
            self.yy[block] += (part**2).sum(axis=0)


@dataclass(frozen=True)
class Selection:
    """The voxels chosen and how well they were predicted.

    Attributes
    ----------
    voxels : int64 [count], ascending.
    correlations : [V] of every voxel, the mean over folds; 0 for a constant voxel.
    alpha : ridge penalty, in units of the features' mean eigenvalue.
    """

    voxels: np.ndarray
    correlations: np.ndarray
    alpha: float


def fold_of(names: Iterable[str], folds: int = FOLDS) -> dict[str, int]:
    """Fold of each story: whole stories, dealt out in the order of their names."""
    ordered = sorted(names)
    return {name: k % min(folds, len(ordered)) for k, name in enumerate(ordered)}


def select(folds: Sequence[Sums], count: int, alphas: Sequence[float] = ALPHAS) -> Selection:
    """The `count` voxels of the highest held-out correlation.

    One penalty serves all voxels: that with the highest mean correlation among its best `count`.
    Equal correlations go by column.

    Raises
    ------
    InputError
        for fewer than two folds, and where there are fewer voxels than asked for.
    """
    if len(folds) < 2:
        raise InputError(
            "voxels.method: 'select' needs two training stories at least; give more stories, or "
            "choose voxels by `indices` or `mask`"
        )
    columns = len(folds[0].y)
    if not 1 <= count <= columns:
        raise InputError(f"voxels.count: {count} voxels asked for, there are {columns}")
    correlations = np.mean([held_out(folds, k, alphas) for k in range(len(folds))], axis=0)
    best = np.argsort(-correlations, axis=1, kind="stable")[:, :count]
    means = np.take_along_axis(correlations, best, axis=1).mean(axis=1)
    winner = int(np.argmax(means))
    return Selection(
        np.sort(best[winner]).astype(np.int64), correlations[winner], float(alphas[winner])
    )


def held_out(folds: Sequence[Sums], test: int, alphas: Sequence[float]) -> np.ndarray:
    """Correlation of prediction and response in one fold, models fitted to the others.

    Returns [alphas, V].
    """
    others = [sums for k, sums in enumerate(folds) if k != test]
    n = sum(sums.n for sums in others)
    x = sum(sums.x for sums in others) / n
    covariance = sum(sums.xx for sums in others) - n * np.outer(x, x)
    eigenvalues, axes = np.linalg.eigh(covariance)
    unit = eigenvalues.mean()
    out = folds[test]
    mean = out.x / out.n
    spread = axes.T @ (out.xx - out.n * np.outer(mean, mean)) @ axes
    correlations = np.zeros((len(alphas), len(out.y)))
    for block in _blocks(len(out.y)):
        y = sum(sums.y[block] for sums in others) / n
        fit = axes.T @ (sum(sums.xy[:, block] for sums in others) - n * np.outer(x, y))
        there = out.y[block] / out.n
        cross = axes.T @ (out.xy[:, block] - out.n * np.outer(mean, there))
        variance = np.maximum(out.yy[block] - out.n * there**2, 0.0)
        for k, alpha in enumerate(alphas):
            weights = fit / (np.maximum(eigenvalues, 0.0) + alpha * unit)[:, None]
            scale = np.sqrt(np.maximum((weights * (spread @ weights)).sum(axis=0), 0) * variance)
            known = scale > 1e-9 * out.n
            products = (weights * cross).sum(axis=0)
            correlations[k, block] = np.where(known, products / np.where(known, scale, 1.0), 0.0)
    return correlations


def _blocks(voxels: int) -> list[slice]:
    return [slice(start, start + BLOCK_VOXELS) for start in range(0, voxels, BLOCK_VOXELS)]
