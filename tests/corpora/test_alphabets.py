"""Alphabets: what a transcript becomes in each of them, and that nothing goes uncounted."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.corpora.alphabets import (
    ALPHABETS,
    POLICIES,
    Alphabet,
    alphabet_of,
    decode,
    encode,
    labels_of,
    normalise,
)
from hearsay.errors import InputError

TEXTS = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("aäößẞñéёЁйЙ' ’‘-–\u00a0\u00ad\u0301\u0308\u0306.,!?%3ß"),
    ),
    max_size=40,
)
LANGUAGES = st.sampled_from(sorted(ALPHABETS))


def text_of(text, language, policy="drop-character"):
    return normalise(text, alphabet_of(language), policy).text


@pytest.mark.parametrize(("language", "size"), [("en", 28), ("de", 31), ("es", 35), ("ru", 34)])
def test_sizes_are_those_of_the_papers_models(language, size):
    labels = labels_of(language)
    assert len(labels) == len(set(labels)) == size
    assert labels[0] == " "
    assert all(len(label) == 1 for label in labels)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Größe über alles", "größe über alles"),
        ("de", "STRAẞE und Straße", "straße und straße"),
        ("de", "Hals-Nasen–Arzt", "hals nasen arzt"),
        ("de", "„Geht’s?“ ‚Na gut‘", "gehts na gut"),
        ("de", "Kolleg(inn)en, Vor\u00adteil\u00a0da", "kolleginnen vorteil da"),
        ("es", "¿Qué pingüino, señor?", "qué pingüino señor"),
        ("es", "AÑO É Í", "año é í"),
        ("ru", "Ёлка и йод", "ёлка и йод"),
        ("ru", "за\u0301мок, замо\u0301к", "замок замок"),
        ("ru", "все\u0300 и\u0300", "все и"),
        ("en", "“Don’t,” he said—it's ok…", "don't he said it's ok"),
        ("en", "‘Hello there, I don’t’ `tis", "hello there i don't 'tis"),
        ("en", "a ' b  \t\n c", "a b c"),
        ("en", "a'''b '' ´?", "a' 'b"),
        ("en", "U.S.A.", "u s a"),
        ("en", "", ""),
        ("en", "?!", ""),
    ],
)
def test_texts_in_any_normal_form(language, text, expected, form):
    found = normalise(unicodedata.normalize(form, text), alphabet_of(language))
    assert found.text == expected
    assert not found.removed


def test_sharp_s_is_not_folded_and_no_letter_of_groesse_is_lost():
    assert text_of("größe über straße", "de") == "größe über straße"
    assert text_of("größe", "en") == "gre"  # what the paper's policy does to another language
    assert normalise("größe", alphabet_of("en")).removed == {"ö": 1, "ß": 1}


@pytest.mark.parametrize(
    ("policy", "text", "removed", "replaced"),
    [
        ("drop-character", "garon la la", "çàł3%", ""),
        ("drop-utterance", "garon la la", "çàł3%", ""),
        ("transliterate", "garcon a la lla", "3%", "çàł"),
    ],
)
def test_policies_for_characters_outside(policy, text, removed, replaced):
    found = normalise("garçon à la łla 3 %", alphabet_of("de"), policy)
    assert found.text == text
    assert found.removed == Counter(removed)
    assert found.replaced == Counter(replaced)
    assert found.dropped is (policy == "drop-utterance")


def test_an_utterance_of_the_alphabet_and_punctuation_is_not_dropped():
    found = normalise("Ja, «gut» – so\u00ad.", alphabet_of("de"), "drop-utterance")
    assert (found.text, found.dropped) == ("ja gut so", False)
    assert found.punctuation == {",": 1, "«": 1, "»": 1, "–": 1, "\u00ad": 1, ".": 1}


def test_an_apostrophe_beside_a_letter_that_goes_is_none():
    found = normalise("´À b", alphabet_of("en"))
    assert (found.text, found.removed, found.punctuation) == ("b", {"à": 1}, {"'": 1})


def test_yo_is_no_ye():
    assert text_of("всё все", "ru", "transliterate") == "всё все"


@settings(deadline=None)
@given(TEXTS, LANGUAGES, st.sampled_from(POLICIES))
def test_a_normalised_text_is_of_the_alphabet_and_stays_as_it_is(text, language, policy):
    found = normalise(text, alphabet_of(language), policy)
    assert set(found.text) <= set(ALPHABETS[language])
    assert found.text == " ".join(found.text.split())
    again = normalise(found.text, alphabet_of(language), policy)
    assert again.text == found.text
    assert not again.removed
    assert not again.dropped


@settings(deadline=None)
@given(TEXTS, LANGUAGES, st.sampled_from(POLICIES))
def test_normal_forms_do_not_matter(text, language, policy):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    composed, decomposed = (normalise(form, alphabet_of(language), policy) for form in forms)
    assert composed == decomposed


@settings(deadline=None)
@given(TEXTS, LANGUAGES)
def test_every_letter_is_kept_or_counted(text, language):
    """What went in comes out or is counted: letters by letters, whatever the order."""
    found = normalise(text, alphabet_of(language))
    composed = unicodedata.normalize("NFC", text)
    if language == "ru":
        decomposed = unicodedata.normalize("NFD", text)
        composed = unicodedata.normalize(
            "NFC", decomposed.replace("\u0300", "").replace("\u0301", "")
        )
    lowered = unicodedata.normalize("NFC", composed.lower())
    letters = Counter(c for c in lowered if c.isalpha())
    told = Counter(c for c in found.text if c.isalpha()) + found.removed + found.punctuation
    assert letters <= told


@settings(deadline=None)
@given(LANGUAGES.flatmap(lambda k: st.tuples(st.just(k), st.text(ALPHABETS[k], max_size=60))))
def test_encode_and_decode_are_inverse(case):
    language, text = case
    labels = labels_of(language)
    assert decode(encode(text, labels), labels) == text


def test_a_permuted_alphabet_gives_other_ids_and_the_same_text():
    labels = labels_of("de")
    permuted = labels[::-1]
    assert encode("größe", labels) != encode("größe", permuted)
    assert decode(encode("größe", permuted), permuted) == "größe"


def test_what_is_refused():
    with pytest.raises(InputError, match=r"character 3, 'ö' \(LATIN SMALL LETTER O WITH DIAER"):
        encode("größe", labels_of("en"))
    with pytest.raises(InputError, match="index 28: is none of the 28 labels"):
        decode([28], labels_of("en"))
    with pytest.raises(InputError, match="language 'fr': no alphabet; there are en, de, es, ru"):
        labels_of("fr")
    with pytest.raises(InputError, match="policy 'drop': there is no such one; take drop-charac"):
        normalise("a", alphabet_of("en"), "drop")


FRENCH = {
    "letters": "abcdefghijklmnopqrstuvwxyz'àâçéèêëîïôûùüÿ",
    "capitals": {},
    "replace": {"œ": "oe", "æ": "ae"},
}
TURKISH = {
    "letters": "abcçdefgğhıijklmnoöprsştuüvyz",
    "capitals": {"I": "ı", "İ": "i"},
    "replace": {},
}


def test_a_built_in_language_is_handed_no_alphabet():
    assert alphabet_of("de", {"language": "de"}) == Alphabet(ALPHABETS["de"])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("own", "text", "expected"),
    [
        (FRENCH, "L’ŒUVRE, là-bas : garçon", "l'oeuvre là bas garçon"),
        (TURKISH, "IŞIK İyi", "ışık iyi"),
        ({**TURKISH, "capitals": {}}, "IŞIK", "işik"),
        # A letter that looks like an apostrophe; signs of vowels are marks.
        ({"letters": "aeiouhklmnpwʻ", "capitals": {}, "replace": {}}, "Hawaiʻi", "hawaiʻi"),
        ({"letters": "नमसत\u0947\u094d", "capitals": {}, "replace": {}}, "नमस्ते।", "नमस्ते"),
    ],
)
def test_an_alphabet_of_ones_own(own, text, expected, form):
    alphabet = alphabet_of("xx", {"alphabet": own})
    assert list(alphabet.letters) == [" ", *own["letters"]]
    found = normalise(unicodedata.normalize(form, text), alphabet)
    assert found.text == expected
    assert not found.removed
    assert normalise(found.text, alphabet).text == expected
    assert decode(encode(expected, alphabet.letters), alphabet.letters) == expected


def test_letters_written_in_others_are_counted():
    found = normalise("Œuf œuvre ß", alphabet_of("fr", {"alphabet": FRENCH}))
    assert found.replaced == {"œ": 2}
    assert found.removed == {"ß": 1}


@given(st.text(max_size=60), st.sampled_from(POLICIES), st.sampled_from([FRENCH, TURKISH]))
def test_any_text_ends_in_an_alphabet_of_ones_own(text, policy, own):
    alphabet = alphabet_of("xx", {"alphabet": own})
    found = normalise(text, alphabet, policy)
    assert set(found.text) <= set(alphabet.letters)
    assert normalise(found.text, alphabet, policy).text == found.text
