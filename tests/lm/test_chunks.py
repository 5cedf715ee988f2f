"""How texts are cut, and perplexity over every word whatever the cut."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.lm.chunks import (
    chunks_of,
    epoch_batches,
    negative_log_likelihood,
    perplexity,
    streams,
)
from hearsay.lm.language_model import LanguageModel

WORDS = 23


@pytest.fixture(params=["egru", "gru", "lstm"])
def model(request):
    torch.manual_seed(1)
    options = {"variant": "paper", "threshold_mean": -1.0} if request.param == "egru" else {}
    made = LanguageModel(WORDS, 6, 9, 3, cell=request.param, dropout_output=0.5, **options)
    return made.double().eval()


@pytest.fixture
def ids():
    return np.random.default_rng(0).integers(0, WORDS, 401).astype(np.int32)


def plain_loop(model, ids):
    """Word by word, by the definition: log-softmax of the logits, from zeros."""
    state, total = None, 0.0
    for word, following in pairwise(ids):
        hidden, state = model(torch.tensor([[int(word)]]), state)
        total -= model.logits(hidden)[0, 0].log_softmax(-1)[int(following)].item()
    return total


@given(
    rows=st.integers(2, 400),
    bptt=st.integers(1, 80),
    variable=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_chunks_predict_every_row_but_the_first_once(rows, bptt, variable, epoch):
    chunks = chunks_of(rows, bptt, variable=variable, seed=3, epoch=epoch)
    predicted = [c.start + 1 + k for c in chunks for k in range(c.length)]
    assert predicted == list(range(1, rows))
    assert chunks == chunks_of(rows, bptt, variable=variable, seed=3, epoch=epoch)


def test_variable_lengths_are_of_awd_lstm():
    lengths = [c.length for c in chunks_of(10**6, 70, variable=True, seed=0, epoch=0)][:-1]
    short = [length for length in lengths if length < 52]
    assert 0.03 < len(short) / len(lengths) < 0.07
    assert abs(np.mean(short) - 34.5) < 1
    assert abs(np.std([n for n in lengths if n >= 52]) - 5) < 0.3
    other = [c.length for c in chunks_of(10**6, 70, variable=True, seed=0, epoch=1)]
    assert other[:20] != lengths[:20]


@given(batch=st.integers(1, 7), count=st.integers(20, 60))
def test_streams_are_consecutive_words(batch, count):
    text = streams(np.arange(count), batch)
    assert text.shape == (count // batch, batch)
    assert (text[1:] - text[:-1] == 1).all()
    assert text[0].tolist() == [k * (count // batch) for k in range(batch)]


def test_perplexity_is_of_all_words_and_the_same_whatever_the_chunk(model, ids):
    expected = plain_loop(model, ids)
    for bptt in (1, 35, 70, 1000):
        total, count = negative_log_likelihood(model, ids, bptt=bptt)
        assert count == len(ids) - 1
        assert total == pytest.approx(expected, rel=1e-12)


def test_streams_are_judged_as_texts_of_their_own(model, ids):
    """With several streams: as each alone from zeros, and the words left over as one more."""
    total, count = negative_log_likelihood(model, ids, batch_size=6, bptt=13)
    parts = [*np.split(ids[:396], 6), ids[396:]]
    alone = [negative_log_likelihood(model, part) for part in parts]
    assert total == pytest.approx(sum(a for a, _ in alone), rel=1e-12)
    assert count == sum(n for _, n in alone) == 401 - 7


@pytest.mark.parametrize("words", [2, 9, 10, 11, 19])
def test_a_text_shorter_than_its_streams_is_judged_all_the_same(model, ids, words):
    total, count = negative_log_likelihood(model, ids[:words], batch_size=10)
    assert count >= words // 2
    assert 0 < total < math.inf


def test_an_untrained_model_knows_nothing():
    model = LanguageModel(WORDS, 6, 9, cell="gru").double().eval()
    torch.nn.init.zeros_(model.embedding.weight)
    ids = np.arange(WORDS, dtype=np.int32)
    assert perplexity(*negative_log_likelihood(model, ids)) == pytest.approx(WORDS)


def test_perplexity_of_a_broken_model_is_infinite_and_no_crash():
    assert perplexity(1e6, 10) == math.inf


@settings(max_examples=5, deadline=None)
@given(epoch=st.integers(0, 5))
def test_batches_are_the_same_whenever_asked(epoch):
    batches = epoch_batches(streams(np.arange(500), 4), 20, variable=True, seed=2)
    first, again = list(batches(epoch)), list(batches(epoch))
    assert all(torch.equal(a, b) and c == d for (a, c), (b, d) in zip(first, again, strict=True))
    assert all(len(piece) == chunk.length + 1 for piece, chunk in first)
