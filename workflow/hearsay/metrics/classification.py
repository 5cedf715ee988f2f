"""Scores of a classifier: recall, precision and F1, their intervals, and a test of two classifiers.

Equal to scikit-learn's with ``zero_division=0`` and the labels given: a class that is never
predicted has precision 0, one that never occurs recall 0, and macro averages are over all labels.
The *weighted* recall is the accuracy, always: each class's recall weighs as much as the class.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

from hearsay.errors import InputError

_CHUNK = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class ClassScores:
    """Scores of one classifier on one set.

    Attributes
    ----------
    labels : classes.
    confusion : int64 [classes, classes], true by predicted.
    precision, recall, f1 : float64 [classes].
    averages : ``macro`` and ``weighted`` ``precision``, ``recall``, ``f1`` by name, and
        ``accuracy``.
    """

    labels: tuple[Any, ...]
    confusion: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    averages: dict[str, float]

    @property
    def n(self) -> int:
        """Items."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of items that are right; equal to the weighted recall."""
        return self.averages["accuracy"]


def class_scores(
    truth: Sequence[Any], predicted: Sequence[Any], labels: Sequence[Any]
) -> ClassScores:
    """Score predictions.

    Raises
    ------
    InputError
        for no items, other numbers of predictions, and a label outside the set; it names the item.
    """
    confusion = confusion_matrix(truth, predicted, labels)
    per_class, averages = _scores(confusion[None].astype(float))
    found = {name: float(values[0]) for name, values in averages.items()}
    assert math.isclose(found["weighted recall"], found["accuracy"], rel_tol=1e-12)
    precision, recall, f1 = (values[0] for values in per_class)
    return ClassScores(tuple(labels), confusion, precision, recall, f1, found)


def confusion_matrix(
    truth: Sequence[Any], predicted: Sequence[Any], labels: Sequence[Any]
) -> np.ndarray:
    """How many of each class were taken for each: int64 [true, predicted]; errors as above."""
    rows, columns = _coded(truth, predicted, labels)
    count = len(labels)
    return np.bincount(rows * count + columns, minlength=count**2).reshape(count, count)


def majority_predictions(
    truth: Sequence[Any], labels: Sequence[Any], training: Sequence[Any] | None = None
) -> list[Any]:
    """The commonest class for every item: the row that each table of a skewed set must have.

    Parameters
    ----------
    training : labels that tell which class is the commonest; `truth` itself if None. Of equally
        common ones the first of `labels`.
    """
    source = list(truth if training is None else training)
    if not source:
        raise InputError("there are no labels of which one could be the commonest")
    commonest = max(labels, key=source.count)
    return [commonest] * len(truth)


def bootstrap_interval(
    truth: Sequence[Any],
    predicted: Sequence[Any],
    labels: Sequence[Any],
    measure: str = "accuracy",
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a measure, items (or groups of them) drawn anew.

    Parameters
    ----------
    measure : a name of `ClassScores.averages`.
    groups : of each item, such as its speaker; then groups are drawn, since items of one are alike.

    Returns
    -------
    Lower and upper limit; NaN for fewer than two items or groups.
    """
    rows, columns = _coded(truth, predicted, labels)
    cells = len(labels) ** 2
    kinds = rows * len(labels) + columns
    if groups is None:
        units = np.eye(cells, dtype=np.int64)  # an item is its cell
        share = np.bincount(kinds, minlength=cells) / len(kinds)
        n = len(kinds)
    else:
        if len(groups) != len(kinds):
            raise InputError(f"{len(groups)} groups of {len(kinds)} items; give one an item")
        names = {name: place for place, name in enumerate(dict.fromkeys(groups))}
        units = np.zeros((len(names), cells), dtype=np.int64)
        np.add.at(units, ([names[group] for group in groups], kinds), 1)
        n = len(names)
        share = np.full(n, 1 / n)
    if n < 2:
        return math.nan, math.nan
    draw = np.random.default_rng(seed)
    found = []
    size = max(_CHUNK // max(len(units), cells), 1)
    for start in range(0, resamples, size):
        times = draw.multinomial(n, share, size=min(size, resamples - start))
        drawn = (times @ units).reshape(-1, len(labels), len(labels)).astype(float)
        found.append(_scores(drawn)[1][measure])
    low, high = np.quantile(np.concatenate(found), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class McNemar:
    """Items that only the first or only the second classifier has right; two-sided probability."""

    only_first: int
    only_second: int
    p: float


def mcnemar(truth: Sequence[Any], first: Sequence[Any], second: Sequence[Any]) -> McNemar:
    """McNemar's exact test: is one of two classifiers right more often on the same items?

    Raises
    ------
    InputError
        for other numbers of predictions.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions", Psychometrika 12, 1947; exact by the binomial distribution.
    """
    if not len(truth) == len(first) == len(second):
        raise InputError(
            f"{len(first)} and {len(second)} predictions of {len(truth)} items; predict the same "
            "ones with both"
        )
    right = [(a == label, b == label) for label, a, b in zip(truth, first, second, strict=True)]
    only_first, only_second = right.count((True, False)), right.count((False, True))
    differ = only_first + only_second
    p = 2 * binom.cdf(min(only_first, only_second), differ, 0.5) if differ else 1.0
    return McNemar(only_first, only_second, min(1.0, float(p)))


def _coded(
    truth: Sequence[Any], predicted: Sequence[Any], labels: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    if len(truth) != len(predicted):
        raise InputError(f"{len(predicted)} predictions of {len(truth)} items; give one an item")
    if not len(truth):
        raise InputError("there are no items to score")
    places = {label: place for place, label in enumerate(labels)}
    coded = []
    for what, values in (("label", truth), ("prediction", predicted)):
        for place, value in enumerate(values, start=1):
            if value not in places:
                raise InputError(
                    f"the {what} of item {place} is {value!r}, none of "
                    f"{', '.join(map(repr, labels))}; correct it"
                )
        coded.append(np.array([places[value] for value in values]))
    return coded[0], coded[1]


def _scores(
    confusion: np.ndarray,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Precision, recall, F1 [sets, classes], and averages [sets], of [sets, true, predicted]."""
    right = np.einsum("skk->sk", confusion)
    support, claimed = confusion.sum(2), confusion.sum(1)
    total = support.sum(1)
    per_class = {
        "precision": _ratio(right, claimed),
        "recall": _ratio(right, support),
        "f1": _ratio(2 * right, support + claimed),
    }
    averages = {"accuracy": right.sum(1) / total}
    for name, values in per_class.items():
        averages[f"macro {name}"] = values.mean(1)
        averages[f"weighted {name}"] = (values * support).sum(1) / total
    return (per_class["precision"], per_class["recall"], per_class["f1"]), averages


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
