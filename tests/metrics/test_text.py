"""Scores of words equal those of nltk, jiwer and the formulas they stand for."""

import math
import random
from collections import Counter

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem.porter import PorterStemmer
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.bleu_score import sentence_bleu
from nltk.translate.meteor_score import single_meteor_score

from hearsay.errors import InputError
from hearsay.metrics import wordnet as wordnet_module
from hearsay.metrics.text import (
    Meteor,
    WordErrors,
    bleu1,
    character_errors,
    distinct_share,
    length_ratio,
    nltk_tokens,
    word_error_rate,
    word_errors,
)
from hearsay.metrics.wordnet import READ_FILES, WordNet, find_wordnet, lexnames

TEXT = """i was walking down the road when she walked up to me and said that the houses were burning
and i didn't know what to do so we ran running runs home car automobile dog dogs happy glad big
large couldn't i'm they're it's going gonna house father dad talked speaking began started children
kids was were be buy purchase quickly fast small little"""
STORY = TEXT.split()


class NoSynonyms:
    def synsets(self, word: str) -> list:
        return []


def windows(count: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Pairs of windows with some words in common, of many lengths."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        reference = draw.choices(STORY, k=draw.randint(1, 60))
        hypothesis = [w if draw.random() < 0.4 else draw.choice(STORY) for w in reference]
        pairs.append((reference, hypothesis[: draw.randint(1, 60)] + draw.choices(STORY, k=3)))
    return pairs


PAIRS = windows(120, seed=1)


@pytest.fixture(scope="module")
def debian_wordnet() -> WordNet:
    folder = find_wordnet()
    if folder is None:
        pytest.skip("no WordNet in /usr/share/wordnet (Debian's package wordnet-base)")
    return WordNet(folder)


@pytest.mark.filterwarnings(r"ignore:\s*The hypothesis contains 0 counts:UserWarning")
def test_bleu_is_that_of_nltk_and_of_hugging_face():
    for r, h in PAIRS:
        assert bleu1(r, h) == pytest.approx(sentence_bleu([r], h, weights=(1, 0, 0, 0)), abs=1e-12)
        matches = sum(min(n, Counter(r)[w]) for w, n in Counter(h).items())
        ratio = len(h) / len(r)
        brevity = 1.0 if ratio > 1 else math.exp(1 - 1 / ratio)
        assert bleu1(r, h) == pytest.approx(brevity * matches / len(h), abs=1e-12)
    assert bleu1(["a"], ["b"]) == 0
    assert bleu1(["a", "b"], ["a"]) == pytest.approx(math.exp(-1))


def test_empty_windows_are_defined():
    meteor = Meteor()
    for score in (bleu1, meteor):
        assert score([], []) == score([], ["a"]) == score(["a"], []) == 0
    assert word_error_rate([], []) == 0
    assert word_error_rate([], ["a", "b"]) == 1
    assert word_error_rate(["a", "b"], []) == 1
    assert word_errors([], ["a", "b"]) == WordErrors(0, 0, 0, 2)
    assert nltk_tokens([]) == []
    assert math.isnan(length_ratio([[]], [["a"]]))
    assert math.isnan(distinct_share([]))


def test_meteor_without_synonyms_is_that_of_nltk():
    meteor = Meteor()
    assert meteor.name == "meteor-no-synonyms"
    for r, h in PAIRS:
        theirs = single_meteor_score(r, h, wordnet=NoSynonyms(), stemmer=PorterStemmer())
        assert meteor(r, h) == pytest.approx(theirs, abs=1e-12)
    assert meteor(["running"], ["runs"]) == pytest.approx(0.5)  # a stem, one chunk of one word
    assert meteor(["child"], ["kids"]) == 0


def test_meteor_with_synonyms_is_that_of_nltk(debian_wordnet):
    meteor = Meteor(debian_wordnet)
    assert meteor.name == "meteor"
    for r, h in PAIRS:
        r, h = nltk_tokens(r), nltk_tokens(h)
        assert meteor(r, h) == pytest.approx(
            single_meteor_score(r, h, wordnet=debian_wordnet.reader), abs=1e-12
        )
    assert meteor(["child"], ["kids"]) > 0


def test_meteor_of_nltk_s_own_example(debian_wordnet):
    h = "It is a guide to action which ensures that the military always obeys the commands of the"
    r = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert round(Meteor(debian_wordnet)(r.split(), [*h.split(), "party"]), 4) == 0.6944


def test_lexnames_are_those_of_the_manual(debian_wordnet):
    lines = [line.split("\t") for line in lexnames().splitlines()]
    assert [int(number) for number, _, _ in lines] == list(range(45))
    named = {name: (int(number), int(part)) for number, name, part in lines}
    assert named["noun.Tops"] == (3, 1)
    assert named["verb.weather"] == (43, 2)
    assert named["adj.ppl"] == (44, 3)
    assert isinstance(debian_wordnet.reader, WordNetCorpusReader)
    assert debian_wordnet.reader.synset("dog.n.01").lexname() == "noun.animal"


def test_wordnet_is_found_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet_module, "SYSTEM_FOLDER", tmp_path / "nothing")
    assert find_wordnet() is None
    assert find_wordnet("none") is None
    with pytest.raises(InputError, match=r"empty: no WordNet database, index\.noun is missing"):
        find_wordnet(str(tmp_path / "empty"))
    for name in READ_FILES:
        (tmp_path / name).touch()
    assert find_wordnet(str(tmp_path)) == tmp_path


def test_word_errors_are_those_of_jiwer():
    for r, h in PAIRS:
        theirs = jiwer.process_words(" ".join(r), " ".join(h))
        mine = word_errors(r, h)
        assert mine.rate == pytest.approx(theirs.wer, abs=1e-12)
        assert mine.hits == theirs.hits
        assert mine.hits + mine.substitutions + mine.deletions == len(r)
        assert mine.hits + mine.substitutions + mine.insertions == len(h)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*STORY, "cannot", "wanna", "'em", "dogs'", "mr.", "$", "gim"])))
def test_tokens_are_those_of_nltk(words):
    assert nltk_tokens(words) == NLTKWordTokenizer().tokenize(" ".join(words))


def test_contractions_are_split():
    assert nltk_tokens(["i", "don't"]) == ["i", "do", "n't"]


def test_lengths_and_distinct_texts():
    assert length_ratio([["a", "b"], []], [["a"], ["b", "c"]]) == 1.5
    assert distinct_share(["a", "a", "b", "a"]) == 0.5


@settings(deadline=None)
@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_character_errors_are_jiwers(reference, hypothesis):
    errors, length = character_errors(reference, hypothesis)
    assert length == len(reference)
    if reference and reference == reference.strip() and hypothesis == hypothesis.strip():
        assert errors / length == pytest.approx(jiwer.cer(reference, hypothesis))
    if not (reference and hypothesis):
        assert errors == len(reference) + len(hypothesis)


@settings(deadline=None)
@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_character_errors_count_spaces_at_the_ends(reference, hypothesis):
    # jiwer's rates leave them out; an edit distance by definition does not.
    assert character_errors(reference, hypothesis)[0] == edit_distance(reference, hypothesis)
    assert character_errors(" ", "") == (1, 1)


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance by its recurrence."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]
