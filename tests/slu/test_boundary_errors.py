"""Errors of boundaries: counted as NeuFA counts them, and compared over utterances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.corpora.word_times import WordTime
from hearsay.errors import InputError
from hearsay.slu.boundary_errors import boundary_errors, merge_pieces
from hearsay.slu.compare_aligners import bootstrap_interval, paired_difference

SECONDS = st.floats(0, 100, allow_nan=False).map(lambda s: round(s, 4))
WORDS = st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=8).map(np.array)


def of(*errors_ms):
    """One word an utterance, whose left boundary is so many ms late."""
    gold = [[[1.0, 2.0]] for _ in errors_ms]
    return boundary_errors(gold, [[[1 + ms / 1000, 2.0]] for ms in errors_ms])


def random_aligners(utterances=40, seed=0, better=0.7):
    draw = np.random.default_rng(seed)
    gold = {str(k): np.sort(draw.uniform(0, 9, (5, 2))) for k in range(utterances)}
    noise = {name: draw.normal(scale=0.1, size=(5, 2)) for name in gold}
    first = {
        n: g + better * noise[n] + draw.normal(scale=0.01, size=(5, 2)) for n, g in gold.items()
    }
    second = {n: g + noise[n] for n, g in gold.items()}
    return boundary_errors(gold, first), boundary_errors(gold, second)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_gold_in_is_perfect(utterances):
    found = boundary_errors(utterances, utterances).summary()
    assert found["mae"] == found["median"] == found["bias"] == 0
    assert all(found[f"accuracy {k}"] == 1 for k in (50, 100, 500, 1000))


@given(st.sampled_from([50, 100, 500, 1000]), st.integers(0, 10_000), st.sampled_from([1, -1]))
def test_below_a_tolerance_counts_and_at_it_does_not(tolerance, start_ms, sign):
    gold = [[[20.0, 40.0]] if sign < 0 else [[start_ms / 1000, 40.0]]]
    for error, share in ((tolerance - 0.1, 1.0), (tolerance, 0.5), (tolerance + 0.1, 0.5)):
        late = gold[0][0][0] + sign * error / 1000
        assert boundary_errors(gold, [[[late, 40.0]]]).accuracy(tolerance) == share


def test_49_9_ms_counts_at_50_and_50_0_does_not():
    assert of(49.9).accuracy(50) == 1
    assert of(50.0).accuracy(50) == 0.5
    assert boundary_errors([[[0.3, 1.0]]], [[[0.35, 1.0]]]).accuracy(50) == 0.5


def test_truncation_cuts_mean_and_median_and_no_accuracy():
    found = of(10.9, 49.9, 999.9)
    summary = found.summary()
    assert summary["mae"] == pytest.approx((10.9 + 49.9 + 999.9) / 6)
    assert summary["mae truncated"] == pytest.approx((10 + 49 + 999) / 6)
    cut = np.floor(found.absolute)
    for k in (50, 100, 500, 1000):
        assert summary[f"accuracy {k}"] == np.mean(cut < k)


def test_left_and_right_are_pooled_and_given_apart():
    gold = {"a": [[1, 2], [2, 3]], "b": [[0, 1]]}
    late = {"a": [[1.01, 2.1], [2.02, 2.9]], "b": [[0.0, 1.0]]}
    found = boundary_errors(gold, late)
    summary = found.summary()
    assert summary["mae"] == pytest.approx((10 + 100 + 20 + 100) / 6)
    assert summary["left mae"] == pytest.approx(10)
    assert summary["right mae"] == pytest.approx(200 / 3)
    assert summary["left bias"] == pytest.approx(10)
    assert summary["right bias"] == pytest.approx(0)
    assert summary["bias"] == pytest.approx(5)
    assert summary["median"] == pytest.approx(15)
    each = found.per_utterance
    assert each.counts.tolist() == [4, 2]
    assert each.absolute.tolist() == pytest.approx([230, 0])
    assert each.within[50].tolist() == [2, 2]


def test_overlaps_and_gaps_are_kept_and_words_may_be_objects():
    gold = [[WordTime("had", 0.3, 0.54), WordTime("your", 0.5, 0.6), WordTime("suit", 0.9, 1.0)]]
    assert boundary_errors(gold, [[[0.3, 0.54], [0.5, 0.6], [0.9, 1.0]]]).mae == 0
    other = [[*gold[0][:2], WordTime("dress", 0.9, 1.0)]]
    with pytest.raises(InputError, match="'0': word 3 is 'dress' in the hypothesis, 'suit' in the"):
        boundary_errors(gold, other)


def test_unknown_times_are_left_out_and_counted():
    gold = {"a": [[0, 1], [math.nan, math.nan]], "b": []}
    found = boundary_errors(gold, {"a": [[0.1, math.nan], [1, 2]], "b": []})
    assert found.missing == 1
    assert found.signed.tolist() == [100.0]
    assert found.per_utterance.counts.tolist() == [1, 0]


@given(WORDS, st.floats(-3, 3).map(lambda s: round(s, 3)))
def test_a_shift_is_a_bias(words, shift):
    found = boundary_errors([words], [words + shift])
    assert found.bias == pytest.approx(1000 * shift, abs=1e-3)
    assert found.mae == pytest.approx(abs(1000 * shift), abs=1e-3)


def test_pieces_are_merged_to_words():
    pieces = [[0, 0.1], [0.1, 0.3], [0.3, 0.5], [0.5, 0.6], [0.6, 0.9]]
    merged = merge_pieces(pieces, [None, 0, 0, 1, None], ["gin", "or"])
    assert merged.tolist() == [[0.1, 0.5], [0.5, 0.6]]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=9))
def test_pieces_nest_in_words_and_words_tile(counts):
    edges = np.linspace(0, 1, sum(counts) + 1)
    pieces = np.stack([edges[:-1], edges[1:]], axis=1)
    owner = np.repeat(np.arange(len(counts)), counts)
    merged = merge_pieces(pieces, owner.tolist(), ["w"] * len(counts))
    assert (merged[1:, 0] == merged[:-1, 1]).all()
    assert (merged[owner, 0] <= pieces[:, 0]).all()
    assert (merged[owner, 1] >= pieces[:, 1]).all()


def test_a_better_aligner_is_told_from_a_worse_one():
    first, second = random_aligners()
    found = paired_difference(first, second)
    assert found.value == pytest.approx(first.mae - second.mae)
    assert found.low < found.value < found.high < 0
    assert found.p < 0.001
    assert found.p_sign < 0.001
    turned = paired_difference(second, first)
    assert turned.value == -found.value
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert turned.p == found.p
    assert turned.p_sign > 0.99
    gain = paired_difference(first, second, "accuracy 100")
    assert gain.value > 0
    assert gain.p < 0.05
    assert gain.p_sign < 0.05


def test_an_aligner_is_not_better_than_itself():
    first, _ = random_aligners()
    for measure in ("mae", "median", "bias", "accuracy 50"):
        found = paired_difference(first, first, measure)
        assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert paired_difference(first, first).p_sign == 1


def test_chance_is_rarely_called_a_difference():
    low = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        gold = [np.zeros((3, 2))] * 20
        pair = [boundary_errors(gold, draw.normal(size=(20, 3, 2))) for _ in range(2)]
        low += paired_difference(*pair, resamples=400, seed=seed).p < 0.05
    assert low <= 14


def test_the_median_of_draws_is_the_median_of_what_is_drawn():
    first, second = random_aligners(utterances=6)
    found = paired_difference(first, second, "median", resamples=50, seed=3)
    draw = np.random.default_rng(3)
    times = draw.multinomial(6, np.full(6, 1 / 6), size=50)

    def median(errors, row):
        sides = zip(errors.left, errors.right, row, strict=True)
        drawn = [np.tile(np.abs([*left, *right]), count) for left, right, count in sides]
        return np.median(np.concatenate(drawn))

    drawn = [median(first, row) - median(second, row) for row in times]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


@settings(deadline=None)
@given(st.integers(0, 5))
def test_intervals_are_around_their_measure(seed):
    first, _ = random_aligners(seed=seed)
    summary = first.summary()
    for measure in ("mae", "median", "accuracy 100"):
        low, high = bootstrap_interval(first, measure, resamples=300)
        assert low <= summary[measure] <= high
    assert np.isnan(bootstrap_interval(of(1.0))).all()


def test_only_what_both_know_is_compared():
    gold = [[[0, 1]], [[0, 1]]]
    first = boundary_errors(gold, [[[0.1, 1]], [[math.nan, 1]]])
    second = boundary_errors(gold, [[[0.2, 1]], [[9, 1]]])
    assert paired_difference(first, second).value == pytest.approx(100 / 3 - 200 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: boundary_errors({"a": [[0, 1]]}, {}), "no hypothesis for 1 of 1 .* as 'a'; align"),
        (lambda: boundary_errors([[[0, 1]]], []), "0 hypotheses for 1 utterances"),
        (lambda: boundary_errors({"a": []}, []), "both by id, or both in order"),
        (
            lambda: boundary_errors({"a": [[0, 1]]}, {"a": [[0, 1], [1, 2]]}),
            "'a': the hypothesis has 2 words, the reference 1; align the words of",
        ),
        (
            lambda: boundary_errors({"a": []}, {"a": []}),
            "of 1 utterances no word has times on",
        ),
        (lambda: boundary_errors([[[0, math.inf]]], [[[0, 1]]]), "'0': a time is infinite"),
        (
            lambda: merge_pieces([[0, 1]], [1], ["an", "oyster"]),
            "word 1, 'an', of 'an oyster' has no word pieces; leave out",
        ),
        (lambda: merge_pieces([[0, 1], [1, 2]], [1, 0], ["a", "b"]), "they must be in order"),
        (lambda: merge_pieces([[0, 1]], [2], ["a", "b"]), r"belong to words \[2\], of 2"),
        (lambda: merge_pieces([[0, 1]], [0, 1], ["a", "b"]), "2 word pieces, but times of shape"),
        (lambda: paired_difference(of(1), of(1, 2)), "errors of different words are compared"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        call()
