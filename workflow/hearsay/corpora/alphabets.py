"""The alphabets of the languages, and how a transcript is brought into one.

A text becomes NFC and lower case; punctuation goes, hyphens part words. What is then still outside
the alphabet (letters of other languages, digits, signs that are read aloud) is dealt with by a
policy, and every character that goes is counted. The paper drops the characters, so that *garçon*
becomes *garon*; Huang et al. 2020, Section 3.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hearsay.errors import InputError

_LATIN = "abcdefghijklmnopqrstuvwxyz"

ALPHABETS: dict[str, str] = {
    "en": f" {_LATIN}'",
    "de": f" {_LATIN}äöüß",
    "es": f" {_LATIN}'áéíóúñü",
    "ru": " абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
}
"""Characters by language, in the order of a model's outputs; the blank of CTC comes behind them.

Those of other languages are settings, `languages` in the configuration.
"""

POLICIES = ("drop-character", "drop-utterance", "transliterate")

# Written for an apostrophe; the modifier letters among them stand in names and dialects.
_APOSTROPHES = dict.fromkeys("’‘‛ʼʻʹ′`´＇", "'")
# Single quotation marks of two shapes around words; straight ones cannot be told from apostrophes.
_QUOTED = re.compile(r"(?<!\w)[‘‚][^‘’‚]*(?:\b’\b[^‘’‚]*)*[’‘](?!\w)")
_HYPHENS = frozenset("-‐‑‒–—―−﹣－⁃")
_ALONE = re.compile(r"(?<!\w)'(?!\w)")
# Signs that a reader says aloud: to leave them out is to change what was said.
_SPOKEN = frozenset("%‰&@#§")
# Between two letters these part nothing: Kolleg(inn)en, geht's.
_JOINED = ("Ps", "Pe", "Pi", "Pf", "Sk", "Lm", "Mn", "Me", "Cf")
_MARKS = frozenset(["'", '"', *_APOSTROPHES])
# No decomposition leads from these letters to plain ones.
_PLAIN = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i",
    "ħ": "h", "ŋ": "ng", "ə": "e", "і": "и", "ї": "и", "є": "е", "ґ": "г", "ў": "у", "ѣ": "е",
}  # fmt: skip
# Over Russian vowels, in dictionaries and to tell words apart.
_STRESS = {"ru": ("\u0300", "\u0301")}


@dataclass(frozen=True)
class Alphabet:
    """How a language is written.

    Attributes
    ----------
    letters : its characters in the order of a model's outputs, the space first.
    capitals : lower case of capitals whose lower case is not Unicode's, such as I: ı in Turkish.
    replace : letters, in lower case, that are written in others of the alphabet, such as œ: oe.
    stress : combining marks that are left out of whatever they stand on, as punctuation is.
    """

    letters: str
    capitals: Mapping[str, str] = field(default_factory=dict)
    replace: Mapping[str, str] = field(default_factory=dict)
    stress: tuple[str, ...] = ()


def alphabet_of(language: str, options: Mapping[str, Any] | None = None) -> Alphabet:
    """How a language is written: as a step is handed it, or else as `ALPHABETS` has it.

    Parameters
    ----------
    options : settings of a step; ``alphabet`` holds letters (without the space), capitals and
        replace, as the configuration's `languages` has them.

    Raises
    ------
    InputError
        for a language without an alphabet.
    """
    own = (options or {}).get("alphabet")
    if own is not None:
        return Alphabet(f" {own['letters']}", own["capitals"], own["replace"])
    if language not in ALPHABETS:
        raise InputError(
            f"language {language!r}: no alphabet; there are {', '.join(ALPHABETS)}, and those that "
            "the configuration defines under languages"
        )
    return Alphabet(ALPHABETS[language], stress=_STRESS.get(language, ()))


@dataclass
class Normalised:
    """A text in an alphabet, and what became of the rest.

    Attributes
    ----------
    text : only characters of the alphabet; words parted by one space.
    removed : letters, digits and spoken signs outside the alphabet, as often as they went (or
        stand in a text that is dropped).
    punctuation : marks that are not read aloud, as often as they went; hyphens and stress marks
        among them.
    replaced : characters that were transliterated, or written in others as the alphabet says.
    dropped : is the whole utterance to be left out, by the policy ``drop-utterance``?
    """

    text: str
    removed: Counter[str] = field(default_factory=Counter)
    punctuation: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    dropped: bool = False


def labels_of(language: str, options: Mapping[str, Any] | None = None) -> list[str]:
    """A language's characters in order, the space first; without the blank. As `alphabet_of`."""
    return list(alphabet_of(language, options).letters)


def normalise(text: str, alphabet: Alphabet, policy: str = "drop-character") -> Normalised:
    """Bring a transcript into the alphabet of a language.

    Parameters
    ----------
    text : as the corpus has it, in any normal form.
    alphabet : of its language, by `alphabet_of`.
    policy : ``drop-character`` as the paper does, ``drop-utterance`` to leave the whole utterance
        out, or ``transliterate`` (é becomes e where é is outside; what has no plain form goes).

    Raises
    ------
    InputError
        for an unknown policy.
    """
    letters = frozenset(alphabet.letters)
    if policy not in POLICIES:
        raise InputError(f"policy {policy!r}: there is no such one; take {', '.join(POLICIES)}")
    found = Normalised("")
    text = _lowered(text, alphabet, found.punctuation)
    quotes = {place for m in _QUOTED.finditer(text) for place in (m.start(), m.end() - 1)}
    pieces: list[str] = []
    for position, character in enumerate(text):
        # A language's own letter may be one of those, as the one of Hawaiian is.
        plain = character if character in letters else _APOSTROPHES.get(character, character)
        if position in quotes:
            found.punctuation[character] += 1
            pieces.append(" ")
        elif character in alphabet.replace:
            found.replaced[character] += 1
            pieces.append(alphabet.replace[character])
        elif plain in letters:
            pieces.append(plain)
        else:
            pieces.append(_outside(character, letters, policy, found))
    # What stands beside no letter, now that others are gone, is no apostrophe.
    joined, count = _ALONE.subn(" ", "".join(pieces))
    if count:
        found.punctuation["'"] += count
    found.text = " ".join(joined.split())
    found.dropped = policy == "drop-utterance" and bool(found.removed)
    return found


def _lowered(text: str, alphabet: Alphabet, punctuation: Counter[str]) -> str:
    """NFC and lower case; `casefold` would turn ß into ss. Marks of stress go."""
    if alphabet.stress:
        text = unicodedata.normalize("NFD", text)
        for mark in alphabet.stress:
            if count := text.count(mark):
                punctuation[mark] += count
                text = text.replace(mark, "")
    # Before lower(), which makes two characters of İ; after it, so that they may compose.
    text = unicodedata.normalize("NFC", text)
    text = text.translate({ord(letter): small for letter, small in alphabet.capitals.items()})
    text = text.lower()
    return unicodedata.normalize("NFC", text)


def _outside(character: str, letters: frozenset[str], policy: str, found: Normalised) -> str:
    """What stands for a character outside the alphabet; counts it."""
    kind = unicodedata.category(character)
    if kind[0] == "Z" or character in "\t\n\r\v\f\x1c\x1d\x1e\x1f\x85":
        return " "
    if character in _HYPHENS:
        found.punctuation[character] += 1
        return " "
    if _is_punctuation(character, kind):
        found.punctuation[character] += 1
        return "" if kind in _JOINED or character in _MARKS else " "
    if policy == "transliterate" and (plain := _plain(character, letters)):
        found.replaced[character] += 1
        return plain
    found.removed[character] += 1
    return "" if kind[0] in "LN" else " "


def _is_punctuation(character: str, kind: str) -> bool:
    if character in _SPOKEN:
        return False
    return kind[0] in "PC" or kind in ("Sk", "Lm", "Mn", "Me")


@cache
def _plain(character: str, letters: frozenset[str]) -> str:
    """The character in letters of the alphabet, or nothing."""
    decomposed = unicodedata.normalize("NFKD", _PLAIN.get(character, character)).lower()
    bases = "".join(c for c in decomposed if not unicodedata.combining(c))
    return bases if bases and set(bases) <= letters - {" "} else ""


def encode(text: str, labels: Sequence[str]) -> list[int]:
    """Indices of a normalised text's characters.

    Raises
    ------
    InputError
        for a character that the labels lack.
    """
    places = {label: index for index, label in enumerate(labels)}
    try:
        return [places[character] for character in text]
    except KeyError as error:
        character = error.args[0]
        name = unicodedata.name(character, "unnamed")
        raise InputError(
            f"{text!r}: character {text.index(character) + 1}, {character!r} ({name}), is outside "
            f"the alphabet {''.join(labels)!r}; normalise the text for the language of the model"
        ) from None


def decode(ids: Sequence[int], labels: Sequence[str]) -> str:
    """The text that `encode` made `ids` from; without collapsing, and no blank may be among them.

    Raises
    ------
    InputError
        for an index that is none of the labels.
    """
    for index in ids:
        if not 0 <= index < len(labels):
            raise InputError(f"index {index}: is none of the {len(labels)} labels")
    return "".join(labels[index] for index in ids)
