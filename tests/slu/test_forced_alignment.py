"""Forced alignment: against all paths of small cases; times of words; refusals."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hearsay.errors import InputError
from hearsay.slu.forced_alignment import (
    Alignment,
    force_alignment,
    frames_needed,
    words_of_alignment,
)


def random_outputs(frames, labels, seed):
    scores = np.random.default_rng(seed).normal(size=(frames, labels))
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def reads(path, labels, blank):
    """CTC's collapse: repeats become one, blanks go."""
    return [k for k, _ in itertools.groupby(path) if k != blank] == list(labels)


@st.composite
def cases(draw):
    frames, size = draw(st.integers(1, 6)), draw(st.integers(2, 3))
    blank = draw(st.integers(0, size - 1))
    others = [k for k in range(size) if k != blank]
    labels = draw(st.lists(st.sampled_from(others), min_size=1, max_size=frames))
    while frames_needed(labels) > frames:
        labels = labels[:-1]
    return random_outputs(frames, size, draw(st.integers(0, 2**32 - 1))), labels, blank


@settings(deadline=None)
@given(cases())
def test_the_best_of_all_paths_is_found(case):
    scores, labels, blank = case
    found = force_alignment(scores, labels, blank)
    frames, size = scores.shape
    every = [p for p in itertools.product(range(size), repeat=frames) if reads(p, labels, blank)]
    best = max(sum(scores[t, k] for t, k in enumerate(path)) for path in every)
    assert found.score == pytest.approx(best)
    path = [blank if place < 0 else labels[place] for place in found.path]
    assert reads(path, labels, blank)
    assert sum(scores[t, k] for t, k in enumerate(path)) == pytest.approx(best)
    for place in range(len(labels)):
        (at,) = np.nonzero(found.path == place)
        assert (found.first[place], found.last[place]) == (at[0], at[-1])
        assert len(at) == at[-1] - at[0] + 1


@given(cases())
@settings(deadline=None)
def test_no_path_is_likelier_than_all_together(case):
    scores, labels, blank = case
    loss = functional.ctc_loss(
        torch.tensor(scores)[:, None],
        torch.tensor([labels]),
        torch.tensor([len(scores)]),
        torch.tensor([len(labels)]),
        blank=blank,
        reduction="sum",
    )
    assert force_alignment(scores, labels, blank).score <= -loss.item() + 1e-9


def test_a_long_utterance_in_which_all_is_clear():
    draw = np.random.default_rng(0)
    labels = draw.integers(1, 29, size=120)
    path = np.concatenate([[0] * draw.integers(1, 9) + [k] * draw.integers(1, 9) for k in labels])
    scores = np.full((len(path), 29), -9.0)
    scores[np.arange(len(path)), path] = -0.1
    found = force_alignment(scores, labels, 0)
    np.testing.assert_array_equal(np.where(found.path < 0, 0, labels[found.path]), path)
    assert found.score == pytest.approx(-0.1 * len(path))


def test_words_from_their_labels():
    # a b _ c with three labels to the first word, at 20 ms
    at = np.array([2, 3, 5, 8, 12])
    found = Alignment(np.zeros(15, int), at, at, 0.0)
    times = words_of_alignment(found, [3, 1], 0.02)
    np.testing.assert_allclose(times, [[0.04, 0.12], [0.24, 0.26]])
    times = words_of_alignment(found, [3, 1], 0.02, offset=0.0025, share_blanks=0.2)
    np.testing.assert_allclose(times, [[0.0425, 0.1825], [0.1825, 0.2625]])
    apart = words_of_alignment(found, [3, 1], 0.02, share_blanks=0.1)
    np.testing.assert_allclose(apart, [[0.04, 0.12], [0.24, 0.26]])


def refused(scores, labels, blank, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        force_alignment(scores, labels, blank)


def test_bad_input_is_one_line():
    scores = random_outputs(4, 3, 0)
    refused(scores, [], 0, "the transcript is empty: there is nothing to align; leave it out")
    refused(scores, [1, 2, 1, 2, 1], 0, "needs 5 frames, the audio has 4; it is not what is said")
    refused(scores, [1, 1, 1], 0, "needs 5 frames, the audio has 4")
    refused(scores, [3], 0, "label 3: the recogniser has 3 with the blank at 0; encode the")
    refused(scores, [0], 0, "label 0: the recogniser has 3 with the blank at 0")
    refused(scores, [1], 3, "label 3: the recogniser has 3 with the blank at 3")
    refused(scores[0], [1], 0, r"shape \(3,\); give \[frames, labels\]")
    refused(np.full((4, 3), np.nan), [1], 0, "values that are no numbers; look at the audio")
    scores[:, 1] = -np.inf
    refused(scores, [1], 0, r"holds the transcript impossible \(probability 0\)")
    one = Alignment(np.zeros(3, int), np.arange(3), np.arange(3), 0.0)
    with pytest.raises(InputError, match="a word without labels cannot be aligned"):
        words_of_alignment(one, [2, 0], 0.02)
    with pytest.raises(InputError, match=r"2 words with 3 labels and a space .* 3 labels were"):
        words_of_alignment(one, [2, 1], 0.02)
