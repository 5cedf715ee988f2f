"""Short English sentences with or without a word that tells a sentiment.

All have the same patterns, so that only the words of quality tell: *the queen was wonderful today*,
*the queen was quiet today*, *the queen was terrible today*.
"""

from itertools import product
from random import Random

from hearsay.demo.spoken_sentences import GRAMMARS
from hearsay.errors import InputError

_CLASSES = GRAMMARS["en"].classes

QUALITIES: dict[str, tuple[str, ...]] = {
    "Negative": ("terrible", "awful", "horrible", "nasty", "dreadful"),
    "Neutral": _CLASSES["quality"],
    "Positive": ("wonderful", "lovely", "brilliant", "great", "perfect"),
}
"""Words of quality by the sentiment that they tell."""

_PATTERNS = (
    "the noun was quality when",
    "the quality noun does when",
    "who acts the quality noun",
)


def words() -> set[str]:
    """All words of all sentences."""
    used = {name for pattern in _PATTERNS for name in pattern.split()} - {"quality", "was"}
    found = {word for name in used for word in _CLASSES[name]}
    return found.union({"was"}, *QUALITIES.values())


def make_sentiment_sentences(counts: dict[str, int], seed: int) -> dict[str, list[str]]:
    """So many sentences by the sentiment of their words, in lower case; none comes twice.

    Raises
    ------
    InputError
        for more sentences than there are.
    """
    found = {}
    for sentiment, count in counts.items():
        random = Random(f"sentiment {sentiment} {seed}")
        waiting = []
        for pattern in _PATTERNS:
            classes = [_class(name, sentiment) for name in pattern.split()]
            sentences = [" ".join(each) for each in product(*classes)]
            random.shuffle(sentences)
            waiting.append(sentences)
        there = sum(map(len, waiting))
        if count > there:
            raise InputError(
                f"utterances: {count} sentences with {sentiment.lower()} words, but there are only "
                f"{there}; ask for fewer"
            )
        drawn: list[str] = []
        while len(drawn) < count:
            drawn += [sentences.pop() for sentences in waiting if sentences]
        found[sentiment] = drawn[:count]
        random.shuffle(found[sentiment])
    return found


def _class(name: str, sentiment: str) -> tuple[str, ...]:
    if name == "was":
        return ("was",)
    return QUALITIES[sentiment] if name == "quality" else _CLASSES[name]
