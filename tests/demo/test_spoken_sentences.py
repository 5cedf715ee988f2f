"""Sentences to be spoken: letters, parts that share nothing, and grammar."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.corpora.alphabets import ALPHABETS
from hearsay.demo.spoken_sentences import GRAMMARS, as_written, make_sentences
from hearsay.errors import InputError

LANGUAGES = sorted(GRAMMARS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_letter_of_the_alphabet_is_used_and_no_other(language):
    letters = set("".join(GRAMMARS[language].words))
    # Spanish has no apostrophe; the public model's alphabet, which we share, does.
    assert set(ALPHABETS[language]) - letters <= {" ", "'"} - (letters & {"'"})
    assert letters <= set(ALPHABETS[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_vocabularies_are_small_and_sentences_many(language):
    grammar = GRAMMARS[language]
    assert 40 <= len(grammar.words) <= 80
    sentences = list(grammar.sentences())
    assert len(sentences) == len(set(sentences)) > 1_000
    assert {len(sentence.split()) for sentence in sentences} <= {2, 3, 4}


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(LANGUAGES),
    st.dictionaries(st.sampled_from(["train", "dev", "test"]), st.integers(0, 300), min_size=1),
    st.integers(0, 5),
)
def test_parts_share_no_sentence_and_have_as_many_as_asked_for(language, counts, seed):
    parts = make_sentences(language, counts, seed)
    assert {part: len(sentences) for part, sentences in parts.items()} == counts
    together = [sentence for sentences in parts.values() for sentence in sentences]
    assert len(together) == len(set(together))
    assert set(together) <= set(GRAMMARS[language].sentences())
    assert make_sentences(language, counts, seed) == parts


@pytest.mark.parametrize("language", LANGUAGES)
def test_training_sentences_hold_all_words(language):
    parts = make_sentences(language, {"train": 240, "dev": 60}, 0)
    seen = {word for sentence in parts["train"] for word in sentence.split()}
    assert seen == GRAMMARS[language].words
    assert make_sentences(language, {"train": 240, "dev": 60}, 1) != parts


def test_articles_agree_with_their_nouns():
    wrong = {"de": ["die hund", "der haus", "das tür", "ist läuft"], "es": ["el niña", "un casa"]}
    wrong["ru"] = ["эта ёж", "большой река", "мой окно"]
    for language, pairs in wrong.items():
        text = "\n".join(GRAMMARS[language].sentences())
        assert not [pair for pair in pairs if pair in text]
    assert "der hund ist groß" in set(GRAMMARS["de"].sentences())


def test_sentences_are_written_with_capitals():
    assert as_written("de", "niemand öffnet die tür") == "Niemand öffnet die Tür"
    assert as_written("es", "él vuelve mañana") == "Él vuelve mañana"
    assert as_written("en", "the house waits") == "The house waits"


def test_a_language_without_a_grammar_is_refused():
    with pytest.raises(InputError, match="no grammar for 'fr'; there are en, de, es, ru"):
        make_sentences("fr", {"train": 1}, 0)


def test_more_sentences_than_there_are_are_refused():
    with pytest.raises(InputError, match=r"utterances: 9001 sentences, but 'ru' has only \d+; ask"):
        make_sentences("ru", {"train": 9_000, "dev": 1}, 0)
