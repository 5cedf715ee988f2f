"""A lexicon of invented words with English endings, as large as asked for.

Nouns have a plural in ``-s``, verbs end in ``-s`` after singulars and in ``-ed`` in the past, names
in ``-a`` or ``-o`` by the pronoun that stands for them. Content words belong to topics; within a
topic and a word class the k-th word is drawn in proportion to 1 / (k + 1).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

TOPICS = 8

_ONSETS, _VOWELS, _CODAS = (
    letters.split()
    for letters in (
        "b br d dr f fl g gl gr h k kr l m n p pl pr r sk sl sp st t th tr v w",
        "a e i o u ai ea oo",
        "b ck d g l ll m n nd nk nt p r rk rn st t v",
    )
)

T = TypeVar("T")


@dataclass(frozen=True)
class Verb:
    """A verb and the nouns that it likes as objects."""

    stem: str
    objects: tuple[str, ...]

    def form(self, *, plural: bool, past: bool) -> str:
        """The form after a singular or plural subject."""
        return self.stem + ("ed" if past else "" if plural else "s")


@dataclass(frozen=True)
class Topic:
    """Content words that come together; in every class the common ones first."""

    nouns: tuple[str, ...]
    verbs: tuple[Verb, ...]
    qualities: tuple[str, ...]
    names: tuple[str, ...]


def zipf(random: Random, words: Sequence[T]) -> T:
    """One of `words`; the k-th (from 0) in proportion to 1 / (k + 1)."""
    return random.choices(words, [1 / (k + 1) for k in range(len(words))])[0]


def make_topics(random: Random, forms: int) -> list[Topic]:
    """Topics with about that many forms of words together, none of them twice."""
    stems = _stems(random)

    def some(count: float) -> tuple[str, ...]:
        return tuple(itertools.islice(stems, max(3, round(count))))

    topics = []
    for _ in range(TOPICS):
        here = forms / TOPICS
        nouns = some(0.44 * here / 2)
        verbs = tuple(Verb(stem, tuple(random.sample(nouns, 3))) for stem in some(0.34 * here / 3))
        names = tuple(stem + "ao"[k % 2] for k, stem in enumerate(some(0.07 * here)))
        topics.append(Topic(nouns, verbs, some(0.15 * here), names))
    return topics


def _stems(random: Random) -> Iterator[str]:
    """Different stems without end; none is another one with an ending."""
    used: set[str] = set()
    while True:
        syllables = random.choice((1, 2, 2))
        stem = "".join(random.choice(_ONSETS) + random.choice(_VOWELS) for _ in range(syllables))
        stem += random.choice(_CODAS)
        if len(stem) > 3 and stem not in used:
            used.add(stem)
            yield stem
