"""The generated texts: sizes as asked for, and structure that neighbouring words do not show."""

import json
import math
import time
from collections import Counter
from random import Random

import numpy as np
import pytest

from hearsay.corpora.prepare_text import find_passages, read_corpus
from hearsay.demo import write_text_corpus
from hearsay.demo.invented_words import make_topics
from hearsay.demo.write_text_corpus import make_texts
from hearsay.errors import InputError
from hearsay.files import sha256_of

PLAIN = {"files": {}, "vocabulary": None, "max_vocabulary": None, "min_count": None}


def options(**changes):
    sizes = {"train": 60_000, "valid": 6_000, "test": 6_000}
    return {"vocabulary": 400, "seed": 0, **sizes, **changes}


def write(folder, **changes):
    write_text_corpus.main("tales", json.dumps(options(**changes)), folder, folder / "../r.json")
    return folder


@pytest.fixture(scope="module")
def texts():
    return {size: make_texts(options(vocabulary=size)) for size in (400, 900)}


@pytest.mark.parametrize("size", [400, 900])
def test_sizes_are_those_asked_for(tmp_path, size):
    started = time.thread_time()  # of CPU, and of no other thread
    folder = write(tmp_path / "tales", vocabulary=size)
    assert time.thread_time() - started < 30
    corpus, facts = read_corpus(find_passages(folder, PLAIN), PLAIN)
    assert len(corpus.words) == size
    for split, least in (("train", 60_000), ("valid", 6_000), ("test", 6_000)):
        assert least <= facts[split]["tokens"] < least + 60
        assert facts[split]["replaced"]["tokens"] == 0
    unknown = np.mean(corpus.train == corpus.words.index("<unk>"))
    assert 0.001 < unknown < 0.03


def test_equal_seeds_give_equal_files(tmp_path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert sha256_of(first) == sha256_of(second)
    assert sha256_of(write(tmp_path / "c", seed=1)) != sha256_of(first)


def test_the_bytes_do_not_change_from_version_to_version(tmp_path):
    folder = write(tmp_path / "tales", train=5_000, valid=500, test=500, vocabulary=250)
    assert sha256_of(folder / "test.txt").startswith("6050664c559b2d15")


def test_no_line_of_the_test_text_is_learned_by_heart(texts):
    for text in texts.values():
        long = [line for line in text["test"] if len(line.split()) > 12]
        assert np.mean([line in set(text["train"]) for line in long]) < 0.01


def test_words_follow_zipf(texts):
    for text in texts.values():
        counts = Counter(word for line in text["train"] for word in line.split())
        ranked = np.array(sorted(counts.values(), reverse=True), dtype=float)
        ranks = np.arange(1, len(ranked) + 1)
        slope = np.polyfit(np.log(ranks[10:]), np.log(ranked[10:]), 1)[0]
        assert -1.6 < slope < -0.6


def test_how_a_sentence_ends_is_told_by_how_it_begins(texts):
    for line in texts[900]["train"]:
        first, last = line.split()[0], line.split()[-1]
        expected = "?" if first in ("does", "do", "did") else "!" if first == "how" else "."
        assert last == expected
        assert ("if" in line.split()) == ("then" in line.split()[1:])
        assert ("either" in line.split()) == ("or" in line.split())


def test_the_first_word_tells_the_tense(texts):
    now, before = {"today", "now", "often"}, {"yesterday", "once"}
    for line in texts[900]["train"]:
        words = set(line.split())
        if now & words:
            assert not {"was", "were", "said", "did"} & words
        if before & words:
            assert not {"is", "are", "says", "do", "does"} & words


def test_pronouns_go_with_names(texts):
    for line in texts[900]["train"]:
        words = line.split()
        for she, he in (("she", "he"), ("herself", "himself")):
            if she in words or he in words:
                name = next(w for w in words if w not in ("then", *opening()))
                if name != "<unk>":
                    assert (she in words) == name.endswith("a")


def opening():
    return ("yesterday", "once", "today", "now", "often")


def test_a_verb_agrees_with_its_subject_across_what_stands_between(texts):
    """``the N near these Ns is``: the copula takes the number of the first noun."""
    crossed = 0
    for line in texts[900]["train"]:
        words = line.split()
        for at, word in enumerate(words):
            if word not in ("is", "are", "was", "were") or words[0] == "how":
                continue
            start = at
            while start > 0 and words[start - 1] not in ("if", "then", "either", "or", "that"):
                start -= 1
            if start and words[start - 1] == "that":
                continue  # in a relative clause, or the subject of one
            subject = words[start:at]
            places = [k for k, w in enumerate(subject) if w in write_text_corpus._PREPOSITIONS]
            if not places or "<unk>" in subject:
                continue
            noun, nearest = subject[places[0] - 1], subject[-1]
            assert noun.endswith("s") == (word in ("are", "were")), line
            crossed += noun.endswith("s") != nearest.endswith("s")
    assert crossed > 50


def perplexity(probabilities):
    return math.exp(-np.mean(np.log(probabilities)))


@pytest.mark.parametrize("size", [400, 900])
def test_a_topic_lasts_for_a_paragraph(texts, size):
    """All content words of a line are of one topic, and mostly so are those of the next line."""
    forms = round(write_text_corpus.SPARE * size) - write_text_corpus.FUNCTION_FORMS
    topic_of = {}
    for number, topic in enumerate(make_topics(Random("lexicon 0"), forms)):
        stems = [verb.stem for verb in topic.verbs]
        words = [*topic.nouns, *(f"{noun}s" for noun in topic.nouns), *topic.qualities]
        words += [*topic.names, *(f"{stem}{end}" for stem in stems for end in ("", "s", "ed"))]
        assert not topic_of.keys() & set(words)
        topic_of |= dict.fromkeys(words, number)
    found = []
    for line in texts[size]["train"]:
        topics = {topic_of[word] for word in line.split() if word in topic_of}
        assert len(topics) <= 1
        found += topics
    assert 0.8 < np.mean(np.array(found[1:]) == np.array(found[:-1])) < 0.95


@pytest.mark.parametrize("size", [400, 900])
def test_a_third_word_back_still_helps(texts, size):
    """Trigrams better bigrams although the text is short; bigrams better single words."""
    train, test = (
        [word for line in texts[size][split] for word in (*line.split(), "<eos>")]
        for split in ("train", "test")
    )
    counts = [Counter(zip(*(train[k:] for k in range(n)), strict=False)) for n in (1, 2, 3)]

    def probability(words):
        """Of the last of `words` after the others, smoothed by fewer of these."""
        if not words:
            return 1 / size
        n = len(words)
        behind = counts[n - 2][words[:-1]] if n > 1 else len(train)
        weight = (0, 1, 15, 50)[n]
        shorter = probability(words[1:]) if n > 1 else 1 / size
        return (counts[n - 1][words] + weight * shorter) / (behind + weight)

    found = [
        perplexity([probability(tuple(test[k - n + 1 : k + 1])) for k in range(2, len(test))])
        for n in (1, 2, 3)
    ]
    assert found[1] < 0.3 * found[0]
    assert found[2] < 0.95 * found[1]


def test_too_short_a_text_for_its_vocabulary_is_refused():
    with pytest.raises(InputError, match=r"5000 tokens.*set a larger train, or a smaller"):
        make_texts(options(train=5_000, vocabulary=2_000))
