"""Trivial aligners: they tile their stretch; end points are heard; floors are floors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.errors import InputError
from hearsay.slu.boundary_errors import boundary_errors
from hearsay.slu.trivial_aligners import (
    constant_alpha,
    energy_end_points,
    oracle_span,
    perfect_tiling,
    proportional,
    rounded_to_frames,
    trivial_alignments,
    uniform_characters,
    uniform_words,
)

WEIGHTS = st.lists(st.integers(1, 20), min_size=1, max_size=12)
REFERENCE = st.lists(st.floats(0.01, 1), min_size=3, max_size=20).map(
    lambda steps: np.cumsum(steps)[: len(steps) // 2 * 2].reshape(-1, 2)
)


def speech(start, end, duration, noise=0.001, seed=0):
    """Noise that is loud from start to end."""
    draw = np.random.default_rng(seed)
    audio = noise * draw.standard_normal(round(16_000 * duration))
    loud = slice(round(16_000 * start), round(16_000 * end))
    audio[loud] += 0.2 * draw.standard_normal(len(audio[loud]))
    return audio.astype(np.float32)


@given(WEIGHTS, st.floats(0, 5), st.floats(0.1, 20))
def test_words_tile_the_span_by_their_weights(weights, start, length):
    times = proportional(weights, (start, start + length))
    assert times[0, 0] == start
    assert times[-1, 1] == start + length
    assert (times[1:, 0] == times[:-1, 1]).all()
    share = np.diff(times).ravel() / length
    np.testing.assert_allclose(share, np.array(weights) / sum(weights), atol=1e-9)


def test_by_hand():
    assert constant_alpha([1, 3], 2.0).tolist() == [[0, 0.5], [0.5, 2]]
    assert constant_alpha([1, 1], 2.0, edge_tokens=1).tolist() == [[0.5, 1], [1, 1.5]]
    assert uniform_words(2, (1, 2)).tolist() == [[1, 1.5], [1.5, 2]]
    assert uniform_characters(["a", "don't"], (0, 6)).tolist() == [[0, 1], [1, 6]]
    assert uniform_characters(["twenty one", "a"], (0, 10)).tolist() == [[0, 9], [9, 10]]


@pytest.mark.parametrize("noise", [0.0, 0.0005, 0.005])
def test_end_points_are_heard(noise):
    for seed, (start, end) in enumerate([(0.2, 1.7), (0.5, 0.9), (0.12, 2.9)]):
        found = energy_end_points(speech(start, end, 3.0, noise, seed))
        assert found == pytest.approx((start, end), abs=0.02)


def test_a_click_is_no_speech_and_silence_has_no_end_points():
    audio = speech(0.5, 1.5, 2.0)
    audio[1600] = 1
    assert energy_end_points(audio)[0] == pytest.approx(0.5, abs=0.02)
    assert energy_end_points(np.zeros(16_000)) == (0, 1)
    assert energy_end_points(np.zeros(100)) == (0, 100 / 16_000)


@given(REFERENCE, st.integers(0, 2**32 - 1))
def test_no_tiling_beats_the_floor(reference, seed):
    floor = boundary_errors([reference], [perfect_tiling(reference)]).mae
    draw = np.random.default_rng(seed)
    edges = np.sort(draw.uniform(0, reference[-1, 1] + 0.1, len(reference) + 1))
    near = np.array([reference[0, 0], *reference[1:, 0], reference[-1, 1]])  # each word's own start
    for other in (edges, near):
        times = np.stack([other[:-1], other[1:]], axis=1)
        assert boundary_errors([reference], [times]).mae >= floor - 1e-5


@given(REFERENCE)
def test_the_floor_is_half_of_the_gaps(reference):
    gaps = np.abs(reference[1:, 0] - reference[:-1, 1]).sum()
    found = boundary_errors([reference], [perfect_tiling(reference)])
    assert found.mae == pytest.approx(1000 * gaps / reference.size, abs=1e-3)
    whole = boundary_errors([reference], [perfect_tiling(reference, reference[-1, 1] + 1)])
    more = 1000 * (reference[0, 0] + 1) / reference.size
    assert whole.mae == pytest.approx(found.mae + more, abs=1e-3)
    assert oracle_span(reference) == (reference[0, 0], reference[-1, 1])


def test_frames_of_20_ms_cost_5_ms():
    reference = np.random.default_rng(0).uniform(0, 9, (5000, 2))
    found = boundary_errors([reference], [rounded_to_frames(reference)])
    assert found.mae == pytest.approx(5, abs=0.1)
    assert found.absolute.max() <= 10


def test_unknown_times_spread_no_further():
    reference = np.array([[0.1, 0.4], [np.nan, np.nan], [0.9, 1.0]])
    assert perfect_tiling(reference).tolist() == [[0.1, 0.4], [0.4, 0.9], [0.9, 1.0]]


def test_all_of_one_utterance():
    words, pieces = ["a", "clam", "liquors"], [1, 2, 2]
    reference = np.array([[0.3, 0.4], [0.4, 0.8], [0.9, 1.6]])
    audio = speech(0.3, 1.6, 2.0)
    found = trivial_alignments(words, pieces, audio, reference)
    assert list(found)[:5] == list(trivial_alignments(words, pieces, audio))
    assert len(found) == 9
    mae = {name: boundary_errors([reference], [times]).mae for name, times in found.items()}
    assert mae["characters, oracle span"] < mae["characters"] < mae["constant alpha"]
    assert mae["perfect tiling"] < mae["characters, energy"] < mae["characters"]
    for times in found.values():
        assert times.shape == (3, 2)
        assert all(a <= b for a, b in itertools.pairwise(times.ravel()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uniform_words(0, (0, 1)), "there are no words to align; leave out utterances"),
        (lambda: constant_alpha([1, 0], 1.0), "word 2 has the weight 0; every word needs a piece"),
        (lambda: uniform_characters(["a", ""], (0, 1)), "word 2 has the weight 0"),
        (lambda: uniform_words(1, (1, 1)), "speech from 1 to 1 s; it must end after its start"),
        (lambda: trivial_alignments(["a"], [], np.ones(9)), "1 words, but word pieces of 0"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        call()
