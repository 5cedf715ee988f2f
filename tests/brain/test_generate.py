"""Batched, cached decoding is what one window decoded alone would be, token for token."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from hearsay.brain.aligned_text import AlignedText
from hearsay.brain.generate import generate
from hearsay.brain.language_model import load_causal, with_lora

PROMPTS, LONGEST = 12, 40


class Case:
    """A random GPT-2, prompts for it, and its texts."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        draw = torch.Generator().manual_seed(3)
        self.prompts = torch.randn(PROMPTS, 4, model.config.n_embd, generator=draw)

    def text(self, stop="tokens", **options):
        return AlignedText(self.tokenizer, stop=stop, **({"max_tokens": LONGEST} | options))

    def decode(self, stop, limits, chosen=slice(None), **options):
        return generate(self.model, self.prompts[chosen], self.text(stop), limits, **options)


@pytest.fixture(scope="module")
def case(small_gpt2, byte_level):
    """Few tokens, so that a random model writes alignment tokens and words of several tokens."""
    lines = [" the boat saw $ a sea $ the light and $ $ wind rope = \n was", "\n$=$"] * 9
    tokenizer = byte_level(lines, 60)
    torch.manual_seed(2)
    options = {"n_layer": 2, "initializer_range": 0.5, "tie_word_embeddings": False}
    model = small_gpt2(tokenizer, **options)
    model.lm_head.weight.data[AlignedText(tokenizer).mark] *= 2  # written more often
    return Case(model, tokenizer)


@torch.no_grad()
def greedy_alone(case, stop, prompt, limit, most):
    """One window, one token at a time, the whole sequence anew for each."""
    text, ids = case.text(stop), []
    embed = case.model.get_input_embeddings()
    while len(ids) < text.max_tokens:
        seen = torch.cat([prompt, embed(torch.tensor(ids, dtype=torch.long))])
        logits = case.model(inputs_embeds=seen[None], use_cache=False).logits[0, -1]
        logits[case.tokenizer.all_special_ids] = -torch.inf
        token = int(logits.argmax())
        if stop == "tokens" and most is not None and token != text.mark:
            row = ids[len(ids) - ids[::-1].index(text.mark) :] if text.mark in ids else ids
            had, has = len(text.words(row)), len(text.words([*row, token]))
            token = text.mark if had >= most and has > had else token
        if stop == "words" and len(text.words([*ids, token])) > limit:
            return ids, "words"
        ids.append(token)
        if stop == "tokens" and ids.count(text.mark) == limit:
            return ids, "tokens"
    return ids, "cap"


@pytest.mark.parametrize("stop", ["tokens", "words"])
@pytest.mark.parametrize("most", [None, 1, 3])
def test_a_cached_batch_equals_an_uncached_loop_token_for_token(case, stop, most):
    limits = [1 + k % 6 for k in range(PROMPTS)]
    if stop == "words":
        limits = [limit + 3 * (limit > 3) for limit in limits]
    made = case.decode(stop, limits, words_per_tr=most)
    ends = set()
    for k, (one, limit) in enumerate(zip(made, limits, strict=True)):
        assert (one.ids, one.ended) == greedy_alone(case, stop, case.prompts[k], limit, most), k
        ends.add(one.ended)
    assert ends >= ({"tokens", "cap"} if stop == "tokens" and most is None else {stop})
    assert len({len(one.ids) for one in made}) > 3  # else rows would not need stops of their own


@pytest.mark.parametrize("stop", ["tokens", "words"])
def test_rows_do_not_depend_on_their_companions(case, stop):
    limits = [2, 5, 1, 4, 3, 2, 1, 6, 2, 3, 4, 5]
    together = case.decode(stop, limits)
    for k in range(PROMPTS):
        assert case.decode(stop, [limits[k]], slice(k, k + 1)) == [together[k]]
    backwards = torch.arange(PROMPTS - 1, -1, -1)
    assert case.decode(stop, limits[::-1], backwards) == together[::-1]


@pytest.mark.parametrize("method", ["greedy", "beam", "nucleus"])
def test_stops_right_after_the_w_th_mark_or_at_the_cap(case, method):
    limits = [1, 2, 3, 4] * 3
    text = case.text()
    made = case.decode("tokens", limits, method=method, beams=3, words_per_tr=2)
    for one, limit in zip(made, limits, strict=True):
        if one.ended == "tokens":
            assert one.ids.count(text.mark) == limit
            assert one.ids[-1] == text.mark
            assert len(text.decode(one.ids)) == limit
        else:
            assert one.ended == "cap"
            assert one.ids.count(text.mark) < limit
            assert len(one.ids) == text.max_tokens
    assert any(one.ended == "tokens" for one in made)


@pytest.mark.parametrize("method", ["greedy", "beam", "nucleus"])
def test_stops_at_the_number_of_words_and_never_within_one(case, method):
    limits = [1, 4, 7] * 4
    text = case.text("words", max_tokens=80)
    made = generate(case.model, case.prompts, text, limits, method=method, beams=3)
    assert any(one.ended == "words" for one in made)
    for one, limit in zip(made, limits, strict=True):
        if one.ended == "words":
            assert len(text.words(one.ids)) == limit
        else:
            assert len(text.words(one.ids)) <= limit
    # With more words asked for, the same text goes on: its first words are whole.
    more = generate(case.model, case.prompts, text, [2 * n for n in limits], method="greedy")
    if method == "greedy":
        for one, longer, limit in zip(made, more, limits, strict=True):
            assert text.words(longer.ids)[:limit] == text.words(one.ids)


@pytest.mark.parametrize("method", ["greedy", "beam", "nucleus"])
@pytest.mark.parametrize("most", [1, 2])
def test_no_tr_has_more_words_than_asked_for(case, method, most):
    text = case.text()
    free = case.decode("tokens", [6] * PROMPTS, method=method, beams=3, words_per_tr=None)
    made = case.decode("tokens", [6] * PROMPTS, method=method, beams=3, words_per_tr=most)
    assert max(len(row) for one in free for row in text.decode(one.ids)) > most
    assert max(len(row) for one in made for row in text.decode(one.ids)) == most


@pytest.mark.parametrize("stop", ["tokens", "words"])
def test_a_limit_of_0_gives_no_text(case, stop):
    for limits in ([0] * PROMPTS, [0, 2] * (PROMPTS // 2)):
        for one, limit in zip(case.decode(stop, limits), limits, strict=True):
            assert bool(one.ids) == bool(limit)
            assert limit or one.ended == stop


def test_only_limits_end_a_row(case):
    special = set(case.tokenizer.all_special_ids)
    assert special
    made = case.decode("words", [30] * PROMPTS, method="nucleus", top_p=1.0)
    made += case.decode("tokens", [9] * PROMPTS)
    assert not any(special & set(one.ids) for one in made)
    assert {one.ended for one in made} <= {"tokens", "words", "cap"}


def test_a_model_s_own_sampling_and_ends_do_not_enter(case, tmp_path):
    plain = case.decode("tokens", [9] * PROMPTS)
    theirs = case.model.generation_config
    case.model.generation_config = GenerationConfig(
        eos_token_id=list(range(1, len(case.tokenizer))), repetition_penalty=5.0, min_new_tokens=9
    )
    case.model.save_pretrained(tmp_path)
    case.model.generation_config = theirs
    case.tokenizer.save_pretrained(tmp_path)
    model, tokenizer = load_causal(tmp_path)
    assert generate(model, case.prompts, case.text(), [9] * PROMPTS) == plain
    assert tokenizer.get_vocab() == case.tokenizer.get_vocab()


def test_nucleus_is_drawn_by_its_seed_and_leaves_torch_s_own_alone(case):
    limits = [3] * PROMPTS
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = case.decode("tokens", limits, method="nucleus", seed=1)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(12)
    assert case.decode("tokens", limits, method="nucleus", seed=1) == first
    assert case.decode("tokens", limits, method="nucleus", seed=2) != first
    assert len({tuple(one.ids) for one in first}) > 1


def test_nucleus_of_nearly_no_mass_is_greedy(case):
    limits = [3] * PROMPTS
    assert case.decode("tokens", limits, method="nucleus", top_p=1e-6) == case.decode(
        "tokens", limits
    )


@torch.no_grad()
def log_likelihood(case, prompt, ids):
    embedded = case.model.get_input_embeddings()(torch.tensor(ids))
    logits = case.model(inputs_embeds=torch.cat([prompt, embedded])[None]).logits[0]
    logits[:, case.tokenizer.all_special_ids] = -torch.inf
    scores = logits[len(prompt) - 1 : -1].log_softmax(1)
    return float(scores[torch.arange(len(ids)), torch.tensor(ids)].sum())


def test_one_beam_is_greedy_and_more_find_likelier_text(case):
    # All of one length, so that likelihoods compare: no row reaches so many marks.
    never = [LONGEST + 1] * PROMPTS
    greedy = case.decode("tokens", never, words_per_tr=None)
    one = case.decode("tokens", never, method="beam", beams=1, words_per_tr=None)
    assert one == greedy
    several = case.decode("tokens", never, method="beam", beams=5, words_per_tr=None)
    gains = [
        log_likelihood(case, prompt, b.ids) - log_likelihood(case, prompt, g.ids)
        for prompt, b, g in zip(case.prompts, several, greedy, strict=True)
    ]
    assert np.mean(gains) > 0.1
    assert sum(gain > -1e-3 for gain in gains) >= PROMPTS - 2


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.sampled_from(["tokens", "words"]))
@settings(deadline=None, max_examples=20)
def test_any_limits(case, limits, stop):
    text = case.text(stop)
    for one, limit in zip(case.decode(stop, limits, slice(len(limits))), limits, strict=True):
        found = one.ids.count(text.mark) if stop == "tokens" else len(text.words(one.ids))
        assert found == limit if one.ended == stop else found <= limit
        assert len(one.ids) <= text.max_tokens


def test_low_rank_adapters_decode_too(case):
    adapted = with_lora(copy.deepcopy(case.model), 2).eval()  # untrained adapters change nothing
    made = generate(adapted, case.prompts, case.text(), [3] * PROMPTS)
    assert made == case.decode("tokens", [3] * PROMPTS)
