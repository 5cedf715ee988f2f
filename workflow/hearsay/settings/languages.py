"""Languages besides the built-in ones: the letters that transcripts are written in."""

import unicodedata

from pydantic import Field, field_validator, model_validator

from hearsay.settings.closed import Closed


def _one(character: str) -> str:
    """A character in NFC; more than one is an error."""
    composed = unicodedata.normalize("NFC", character)
    if len(composed) != 1:
        raise ValueError(f"{character!r} is not one character: give each its own line")
    return composed


class Language(Closed):
    """How a language is written; a transcript is NFC and in lower case when it is compared."""

    letters: str = Field(
        min_length=1,
        description="its letters in lower case, without spaces, in the order of a model's outputs "
        "(the space comes first by itself), and an apostrophe if words hold one",
    )
    name: str = Field(
        "",
        pattern="^[^,=\n]*$",
        description="what tables and figures call it, such as `French`; its code if not set",
    )
    capitals: dict[str, str] = Field(
        {},
        description="capitals whose lower case is not Unicode's, and the letters for them, such as "
        "`{I: ı, İ: i}` in Turkish",
    )
    replace: dict[str, str] = Field(
        {},
        description="lower-case characters that are written in letters of the alphabet, such as "
        "`{œ: oe}`; what else is outside follows the corpus's policy",
    )

    @field_validator("letters")
    @classmethod
    def _are_letters(cls, letters: str) -> str:
        letters = unicodedata.normalize("NFC", letters)
        for letter in letters:
            name = f"{letter!r} ({unicodedata.name(letter, 'unnamed')})"
            if letter.isspace():
                raise ValueError(f"holds {name}: leave it out, the space comes first by itself")
            if unicodedata.category(letter)[0] not in "LM" and letter != "'":
                raise ValueError(
                    f"holds {name}, which is neither a letter nor a mark on one nor an apostrophe "
                    "': leave it out"
                )
            if (lower := unicodedata.normalize("NFC", letter.lower())) != letter:
                raise ValueError(f"holds {name}, a capital: write {lower!r}")
            if letters.count(letter) > 1:
                raise ValueError(f"holds {name} twice: remove one")
        return letters

    @field_validator("capitals", "replace")
    @classmethod
    def _characters(cls, characters: dict[str, str]) -> dict[str, str]:
        return {_one(key): unicodedata.normalize("NFC", v) for key, v in characters.items()}

    @model_validator(mode="after")
    def _lead_into_the_alphabet(self) -> "Language":
        for key, others in (("capitals", self.capitals), ("replace", self.replace)):
            for character, text in others.items():
                outside = [c for c in text if c not in self.letters]
                if outside:
                    raise ValueError(
                        f"{key}: {character!r} becomes {text!r}, but {outside[0]!r} is not among "
                        "letters: add it there, or write others"
                    )
        for character in self.replace:
            if character in self.letters:
                raise ValueError(
                    f"replace: {character!r} is among letters, too, and would never be heard: "
                    "remove it from one of them"
                )
            if unicodedata.normalize("NFC", character.lower()) != character:
                raise ValueError(
                    f"replace: {character!r} is a capital, but texts are in lower case by then: "
                    f"write {character.lower()!r}"
                )
        return self
