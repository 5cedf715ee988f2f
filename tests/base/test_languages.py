"""Languages of the configuration: what is wrong with one is told by file, line and key."""

import pytest
import yaml

from hearsay import config
from hearsay.corpora.alphabets import ALPHABETS
from hearsay.errors import InputError
from hearsay.settings.speech import BUILT_IN

FR = "languages: {fr: {letters: abcé}}\n"
CORPUS = "speech_corpora: {c: {kind: table, language: fr, path: data/c}}\n"


def load(tmp_path, text):
    file = tmp_path / "my.yaml"
    file.write_text(text, encoding="utf-8")
    return config.load(yaml.safe_load(text), [file], {})


def test_the_built_in_languages_are_those_with_an_alphabet():
    assert tuple(ALPHABETS) == BUILT_IN


def test_a_language_takes_its_letters_alone(tmp_path):
    settings = load(tmp_path, FR.replace("é", "e\u0301") + CORPUS)
    expected = {"letters": "abcé", "name": "", "capitals": {}, "replace": {}}
    assert settings.languages["fr"].model_dump() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "languages:\n  fr: {letters: a b}\n",
            "line 2: languages.fr.letters = \"a b\": holds ' ' (SPACE): leave it out",
        ),
        ("languages: {fr: {letters: aBc}}", "'B' (LATIN CAPITAL LETTER B), a capital: write 'b'"),
        ("languages: {fr: {letters: abca}}", "'a' (LATIN SMALL LETTER A) twice: remove one"),
        ("languages: {fr: {letters: ab-}}", "'-' (HYPHEN-MINUS), which is neither a letter"),
        ("languages: {fr: {letters: ''}}", "at least 1 character"),
        ("languages: {fr: {letters: ab, name: 'French, old'}}", "languages.fr.name"),
        ("languages: {fr: {}}", "languages.fr.letters = {}: field required"),
        (
            "languages: {fr: {letters: ab, replaces: {}}}",
            "no such setting; did you mean 'replace'?",
        ),
        ("languages: {fr: {letters: ab, capitals: {AB: a}}}", "'AB' is not one character"),
        ("languages: {fr: {letters: ab, replace: {'': a}}}", "'' is not one character"),
        ("languages: {fr: {letters: ab, capitals: {I: ı}}}", "'I' becomes 'ı', but 'ı' is not"),
        ("languages: {fr: {letters: ab, replace: {œ: oe}}}", "'œ' becomes 'oe', but 'o' is not"),
        ("languages: {fr: {letters: ab, replace: {a: b}}}", "'a' is among letters, too"),
        ("languages: {fr: {letters: ab, replace: {É: a}}}", "'É' is a capital"),
        (
            "languages: {de: {letters: ab}}",
            "languages.de: is built in; call yours by another name",
        ),
        (
            CORPUS,
            'speech_corpora.c.language = "fr": has no alphabet (there are: en, de, es, ru); define '
            "it as languages.fr",
        ),
        ("asr: {languages: [fr]}", "asr.languages[0]"),
        ("asr: {figures: {'2': []}, figure_languages: {'2': fr}}", "asr.figure_languages.2"),
        (
            "asr: {tables: {'6': {WER: {fr: c/dev}}}}\n" + CORPUS.replace("fr", "de"),
            "asr.tables.6.WER.fr",
        ),
        (
            FR + "speech_corpora: {c: {kind: common_voice, language: fr, generated: {}}}",
            "generated speech is in en, de, es, ru only; name a path or archives",
        ),
    ],
)
def test_a_fault_is_told(tmp_path, text, expected):
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    head, line = str(caught.value).splitlines()
    assert head == "the configuration is not valid"
    assert expected in line
    assert line.strip().startswith(str(tmp_path / "my.yaml"))
