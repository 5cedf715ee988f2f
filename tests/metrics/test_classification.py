"""Scores of classifiers: equal to scikit-learn's; intervals that cover; McNemar's exact test."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from hearsay.errors import InputError
from hearsay.metrics.classification import (
    bootstrap_interval,
    class_scores,
    majority_predictions,
    mcnemar,
)

LABELS = ["Negative", "Neutral", "Positive"]
ITEMS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=60
)


@given(ITEMS, st.sampled_from([LABELS, LABELS[::-1]]))
def test_equal_to_scikit_learn(items, labels):
    truth, predicted = zip(*items, strict=True)
    found = class_scores(truth, predicted, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = metrics.confusion_matrix(truth, predicted, labels=labels)
        np.testing.assert_array_equal(found.confusion, expected)
        for average in (None, "macro", "weighted"):
            scores = metrics.precision_recall_fscore_support(
                truth, predicted, labels=labels, average=average, zero_division=0
            )
            for name, value in zip(("precision", "recall", "f1"), scores, strict=False):
                own = (
                    getattr(found, name) if average is None else found.averages[f"{average} {name}"]
                )
                np.testing.assert_allclose(own, value, atol=1e-12)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted), abs=1e-12)
    assert found.averages["weighted recall"] == pytest.approx(found.accuracy, abs=1e-12)
    assert found.n == len(items)


def test_the_majority_of_slue():
    truth = ["Negative"] * 51 + ["Neutral"] * 1124 + ["Positive"] * 262
    row = class_scores(truth, majority_predictions(truth, LABELS), LABELS)
    assert 100 * row.averages["weighted recall"] == pytest.approx(78.22, abs=0.005)
    assert 100 * row.averages["weighted f1"] == pytest.approx(68.66, abs=0.005)
    assert row.averages["macro recall"] == pytest.approx(1 / 3)
    assert majority_predictions(truth, LABELS, ["Positive"]) == ["Positive"] * 1437
    assert majority_predictions(["a"], ["b", "a"], ["a", "b"]) == ["b"]


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw = np.random.default_rng(1)
    held = 0
    for k in range(200):
        truth = draw.integers(2, size=80)
        predicted = np.where(draw.random(80) < 0.8, truth, 1 - truth)
        low, high = bootstrap_interval(truth, predicted, [0, 1], resamples=500, seed=k)
        held += low <= 0.8 <= high
    assert 175 <= held <= 198


def test_an_interval_of_the_accuracy_is_that_of_a_mean():
    truth, predicted = np.zeros(400, int), np.arange(400) % 4 // 3
    low, high = bootstrap_interval(truth, predicted, [0, 1])
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.005)


def test_groups_are_drawn_whole():
    truth = np.zeros(200, int)
    predicted = np.repeat(np.arange(10) % 2, 20)  # each of ten speakers all right or all wrong
    groups = np.repeat(np.arange(10), 20)
    narrow = np.diff(bootstrap_interval(truth, predicted, [0, 1]))
    wide = np.diff(bootstrap_interval(truth, predicted, [0, 1], groups=groups))
    assert wide > 3 * narrow
    alone = bootstrap_interval(truth, predicted, [0, 1], groups=np.arange(200))
    assert alone == pytest.approx(bootstrap_interval(truth, predicted, [0, 1]), abs=0.01)
    assert np.isnan(bootstrap_interval([1], [1], [0, 1])).all()
    assert np.isnan(bootstrap_interval([1, 1], [1, 1], [0, 1], groups=["a", "a"])).all()


@pytest.mark.parametrize("measure", ["accuracy", "macro f1", "weighted f1", "macro recall"])
def test_every_measure_has_an_interval_around_it(measure):
    draw = np.random.default_rng(0)
    truth = draw.choice(3, size=300, p=[0.04, 0.74, 0.22])
    predicted = np.where(draw.random(300) < 0.7, truth, draw.integers(3, size=300))
    low, high = bootstrap_interval(truth, predicted, [0, 1, 2], measure)
    assert low < class_scores(truth, predicted, [0, 1, 2]).averages[measure] < high
    assert (low, high) == bootstrap_interval(truth, predicted, [0, 1, 2], measure)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=50))
def test_mcnemar_is_the_binomial_test(items):
    truth, first, second = zip(*items, strict=True) if items else ((), (), ())
    found = mcnemar(truth, first, second)
    differ = found.only_first + found.only_second
    if differ:
        assert found.p == pytest.approx(binomtest(found.only_first, differ).pvalue)
    else:
        assert found.p == 1
    turned = mcnemar(truth, second, first)
    assert (turned.only_first, turned.p) == (found.only_second, found.p)


def test_mcnemar_of_six_to_none():
    assert mcnemar([1] * 6, [1] * 6, [0] * 6).p == pytest.approx(2 / 64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_scores([], [], LABELS), "there are no items to score"),
        (lambda: class_scores(["Neutral"], [], LABELS), "0 predictions of 1 items"),
        (
            lambda: class_scores(["Neutral", "Angry"], ["Neutral"] * 2, LABELS),
            "the label of item 2 is 'Angry', none of 'Negative', 'Neutral', 'Positive'; correct",
        ),
        (lambda: class_scores(["Neutral"], [1], LABELS), "the prediction of item 1 is 1, none of"),
        (lambda: mcnemar([1], [1], []), "1 and 0 predictions of 1 items"),
        (lambda: bootstrap_interval([1], [1], [1], groups=[]), "0 groups of 1 items"),
        (lambda: majority_predictions([], LABELS), "no labels of which one could be"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        call()
