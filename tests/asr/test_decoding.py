"""Greedy decoding against its definition and against NeMo's."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.asr.decoding import greedy_texts
from hearsay.asr.networks import quartznet

LABELS = list(" abc")


def one_hot(paths):
    longest = max(map(len, paths))
    padded = [[*path, *[0] * (longest - len(path))] for path in paths]
    return torch.nn.functional.one_hot(torch.tensor(padded), len(LABELS) + 1).float().log()


def by_definition(path):
    letters = [LABELS[k] for k, _ in itertools.groupby(path) if k < len(LABELS)]
    return " ".join("".join(letters).split())


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=20), min_size=1, max_size=5))
def test_repeats_are_merged_and_blanks_dropped(paths):
    texts = greedy_texts(one_hot(paths), torch.tensor([len(p) for p in paths]), LABELS)
    assert texts == [by_definition(path) for path in paths]


def test_a_blank_parts_equal_letters():
    assert greedy_texts(one_hot([[1, 1, 4, 1, 0, 0, 2]]), torch.tensor([7]), LABELS) == ["aa b"]


def test_frames_beyond_a_clips_end_say_nothing():
    assert greedy_texts(one_hot([[1, 4, 2, 2]]), torch.tensor([2]), LABELS) == ["a"]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_nemos_greedy_decoding(seed):
    torch.manual_seed(seed)
    model = quartznet("narrow", LABELS).eval()
    log_probs = (3 * torch.randn(6, 50, len(LABELS) + 1)).log_softmax(-1)
    lengths = torch.tensor([50, 40, 30, 20, 10, 1])
    theirs = model.decoding.ctc_decoder_predictions_tensor(log_probs, decoder_lengths=lengths)
    ours = greedy_texts(log_probs, lengths, LABELS)
    assert ours == [" ".join(each.text.split()) for each in theirs]
