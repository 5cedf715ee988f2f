"""How many words were heard in each TR, from the responses that follow: ridge regression.

J. Tang et al., "Semantic reconstruction of continuous language from non-invasive brain recordings",
Nature Neuroscience 2023: the rate is the words' Lanczos-filtered number, and the model sees the
responses of the next 4 TRs, since BOLD lags behind. Their code chooses the penalty among squares,
by blocks of 40 TRs left out at random; here a penalty is what is added to the eigenvalues of the
responses' products, and whole stories are left out.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hearsay.brain.stories import FIRST_ROW, TR, Story
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError

DELAYS = (-4, -3, -2, -1)
LOBES = 3


def lanczos(t: np.ndarray, lobes: int = LOBES) -> np.ndarray:
    """Lanczos's kernel sinc(t) sinc(t / lobes), 0 beyond `lobes`; t in units of 1 / cutoff."""
    return np.where(np.abs(t) <= lobes, np.sinc(t) * np.sinc(t / lobes), 0.0)


def word_rate(words: Sequence[Word], rows: int) -> np.ndarray:
    """Words per TR at the middle of each row, low-passed below 1 / TR; [rows].

    Words stand at their midpoints; the cutoff is one word-count sample a TR, so that a kernel spans
    three TRs to either side and the sum over rows is about the number of words.
    """
    centres = FIRST_ROW + TR * (np.arange(rows) + 0.5)
    middles = np.array([(word.onset + word.offset) / 2 for word in words])
    return lanczos((centres[:, None] - middles[None, :]) / TR).sum(axis=1)


def words_heard(words: Sequence[Word], rows: int) -> np.ndarray:
    """How many words begin within each row; int64 [rows]."""
    row = np.floor((np.array([word.onset for word in words]) - FIRST_ROW) / TR).astype(np.int64)
    return np.bincount(row[(row >= 0) & (row < rows)], minlength=rows)


def delayed(x: np.ndarray, delays: Sequence[int] = DELAYS) -> np.ndarray:
    """Row j beside rows j - d for every delay d, zeros where the story has none.

    Maps [rows, V] to [rows, V len(delays)]; a negative delay looks ahead.
    """
    return np.concatenate([_shifted(x, delay) for delay in delays], axis=1)


def _shifted(x: np.ndarray, delay: int) -> np.ndarray:
    out = np.zeros_like(x)
    if abs(delay) < len(x):
        out[max(delay, 0) : len(x) + min(delay, 0)] = x[max(-delay, 0) : len(x) - max(delay, 0)]
    return out


@dataclass(frozen=True)
class WordRate:
    """A fitted model.

    Attributes
    ----------
    delays : in TRs.
    weights : [V len(delays)].
    mean : words per TR of the training stories.
    alpha : ridge penalty, chosen by the error in stories left out.
    errors : mean squared error in stories left out, by penalty.
    """

    delays: tuple[int, ...]
    weights: np.ndarray
    mean: float
    alpha: float
    errors: dict[float, float]

    def __call__(self, responses: np.ndarray) -> np.ndarray:
        """Words per TR, never below 0, from the responses [rows, V] of one story."""
        x = delayed(responses.astype(np.float64), self.delays)
        return np.maximum(x @ self.weights + self.mean, 0.0)


def fit_word_rate(
    training: Sequence[Story],
    alphas: Sequence[float],
    delays: Sequence[int] = DELAYS,
    folds: int = 5,
) -> WordRate:
    """Fit to training stories; the penalty is chosen by leaving whole stories out.

    The normal equations are solved in whichever space is smaller: of the delayed voxels, or of the
    rows. The mean rate is not penalised.

    Raises
    ------
    InputError
        for fewer than two stories or folds, and for no penalty or one that is not above 0.
    """
    if len(training) < 2 or folds < 2:
        raise InputError(
            f"word rate: {len(training)} training stories in {folds} folds; two of both are "
            "needed to choose a penalty"
        )
    if not alphas or min(alphas) <= 0:
        raise InputError("word rate: alphas must be numbers above 0; give one at least")
    ordered = sorted(training, key=lambda story: story.name)
    rates = [word_rate(story.words, len(story.responses)) for story in ordered]
    fold = [k % min(folds, len(ordered)) for k in range(len(ordered))]
    rows = sum(map(len, rates))
    features = ordered[0].responses.shape[1] * len(delays)
    solver = _Voxels if features <= rows else _Rows
    problem = solver([story.responses for story in ordered], rates, fold, delays)

    errors = np.zeros(len(alphas))
    for left_out in sorted(set(fold)):
        inside = [k for k in range(len(ordered)) if fold[k] != left_out]
        outside = [k for k in range(len(ordered)) if fold[k] == left_out]
        mean = float(np.concatenate([rates[k] for k in inside]).mean())
        predict = problem.path(left_out, mean)
        truth = np.concatenate([rates[k] for k in outside])
        errors += [((predict(alpha) + mean - truth) ** 2).sum() for alpha in alphas]
    errors /= rows
    best = float(alphas[int(np.argmin(errors))])
    mean = float(np.concatenate(rates).mean())
    return WordRate(
        delays=tuple(delays),
        weights=problem.weights(best, mean),
        mean=mean,
        alpha=best,
        errors={float(a): float(e) for a, e in zip(alphas, errors, strict=True)},
    )


class _Voxels:
    """Ridge regression through the products of features, [p, p], kept by fold."""

    def __init__(
        self,
        responses: Sequence[np.ndarray],
        rates: Sequence[np.ndarray],
        fold: Sequence[int],
        delays: Sequence[int],
    ) -> None:
        self.responses, self.fold, self.delays = responses, fold, delays
        width, folds = responses[0].shape[1] * len(delays), max(fold) + 1
        self.xx = np.zeros((folds, width, width))
        self.xy = np.zeros((folds, width))
        self.x = np.zeros((folds, width))
        for k, rate in enumerate(rates):
            x = self._delayed(k)
            self.xx[fold[k]] += x.T @ x
            self.xy[fold[k]] += x.T @ rate
            self.x[fold[k]] += x.sum(axis=0)

    def _delayed(self, k: int) -> np.ndarray:
        return delayed(self.responses[k].astype(np.float64), self.delays)

    def path(self, left_out: int, mean: float) -> Callable[[float], np.ndarray]:
        inside = np.arange(len(self.xx)) != left_out
        eigenvalues, axes = np.linalg.eigh(sum(self.xx[inside]))
        seen = axes.T @ (self.xy[inside] - mean * self.x[inside]).sum(axis=0)
        outside = [self._delayed(k) for k in range(len(self.fold)) if self.fold[k] == left_out]
        x = np.concatenate(outside) @ axes
        return lambda alpha: x @ (seen / (np.maximum(eigenvalues, 0.0) + alpha))

    def weights(self, alpha: float, mean: float) -> np.ndarray:
        xx = sum(self.xx) + alpha * np.eye(self.xx.shape[1])
        return np.linalg.solve(xx, (self.xy - mean * self.x).sum(axis=0))


class _Rows:
    """Ridge regression through the products of rows, [n, n], for more features than rows."""

    def __init__(
        self,
        responses: Sequence[np.ndarray],
        rates: Sequence[np.ndarray],
        fold: Sequence[int],
        delays: Sequence[int],
    ) -> None:
        self.responses, self.delays = responses, delays
        self.y = np.concatenate(rates)
        self.fold = np.repeat(fold, [len(rate) for rate in rates])  # of each row
        starts = np.cumsum([0, *map(len, rates)])
        self.rows = [slice(a, b) for a, b in itertools.pairwise(starts)]  # of each story
        self.products = np.empty((starts[-1], starts[-1]))
        for j, one in enumerate(responses):
            for k, other in enumerate(responses[: j + 1]):
                block = _delayed_products(one, other, delays)
                self.products[self.rows[j], self.rows[k]] = block
                self.products[self.rows[k], self.rows[j]] = block.T

    def path(self, left_out: int, mean: float) -> Callable[[float], np.ndarray]:
        inside, outside = self.fold != left_out, self.fold == left_out
        eigenvalues, axes = np.linalg.eigh(self.products[np.ix_(inside, inside)])
        y = axes.T @ (self.y[inside] - mean)
        x = self.products[np.ix_(outside, inside)] @ axes
        return lambda alpha: x @ (y / (np.maximum(eigenvalues, 0.0) + alpha))

    def weights(self, alpha: float, mean: float) -> np.ndarray:
        penalised = self.products + alpha * np.eye(len(self.products))
        dual = np.linalg.solve(penalised, self.y - mean)
        return sum(
            delayed(x.astype(np.float64), self.delays).T @ dual[rows]
            for x, rows in zip(self.responses, self.rows, strict=True)
        )


def _delayed_products(one: np.ndarray, other: np.ndarray, delays: Sequence[int]) -> np.ndarray:
    """``delayed(one) @ delayed(other).T`` without making either."""
    plain = one.astype(np.float64) @ other.T.astype(np.float64)
    return np.asarray(sum(_shifted(_shifted(plain, delay).T, delay).T for delay in delays))
