"""English stories from a small grammar, with the times at which their words are spoken.

A story is a chain of paragraphs. Each stays in one scene (`hearsay.demo.vocabulary`) for 20 to
40 s, with one or two people who do things there, are referred to by pronouns afterwards, and speak
(quoted speech in the present tense, without marks, as in a transcript). Verbs agree with their
subjects; main clauses are in the past tense. Words are lower-case, without punctuation other than
the apostrophe of ``didn't``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from hearsay.corpora.textgrid import Word
from hearsay.demo.vocabulary import SCENES, Scene, plural

PARAGRAPH = (20.0, 40.0)  # seconds of a scene
PACE = (0.8, 1.25)  # factor of a paragraph's word durations: some are told faster
WORD = (0.10, 0.055)  # seconds a word, and a letter of it
LONG_PAUSE = 0.06  # share of the pauses between sentences that last 2 to 4 s
FIRST_WORD = 0.8  # seconds of story time

_PREPOSITIONS = ("in", "near", "behind", "under", "beside", "by")
_CONJUNCTIONS = ("when", "while", "before", "after", "although", "because")
_TIMES = (
    "one day",
    "one morning",
    "one evening",
    "one night",
    "later",
    "soon after",
    "suddenly",
    "slowly",
    "quickly",
    "finally",
)


@dataclass(frozen=True)
class _Person:
    """Someone in a paragraph, with the pronouns that stand for them."""

    noun: str
    quality: str
    subject: str
    object: str
    possessive: str

    @property
    def plural(self) -> bool:
        return self.subject in ("they", "we")


class _Paragraph:
    """Sentences of one scene about a few people and things."""

    def __init__(self, random: Random, scene: Scene) -> None:
        self.random = random
        self.scene = scene
        self.things = random.sample(scene.things, 4)
        self.places = random.sample(scene.places, 2)
        nouns = random.sample(scene.people, 2)
        self.people = [self._person(noun) for noun in nouns]
        self.told = 0

    def _person(self, noun: str) -> _Person:
        quality = self.random.choice([*self.scene.qualities, "old", "young"])
        kind = self.random.random()
        if kind < 0.35:
            return _Person(noun, quality, "she", "her", "her")
        if kind < 0.7:
            return _Person(noun, quality, "he", "him", "his")
        return _Person(plural(noun), quality, "they", "them", "their")

    def sentence(self) -> str:
        """The next sentence; the first one moves to the scene."""
        self.told += 1
        if self.told == 1:
            return self._arrival()
        kinds = (
            (self._doing, 5),
            (self._moving, 3),
            (self._state, 2),
            (self._subordinate, 4),
            (self._relative, 2),
            (self._speech, 3),
            (self._there_was, 1),
            (self._memory, 1),
        )
        kind = self.random.choices([k for k, _ in kinds], [weight for _, weight in kinds])[0]
        words = kind()
        if kind in (self._doing, self._moving) and self.random.random() < 0.25:
            words = f"{self.random.choice(_TIMES)} {words}"
        return words

    # --- phrases ---------------------------------------------------------------------------------

    def _someone(self) -> _Person:
        return self.people[0] if self.random.random() < 0.7 else self.people[1]

    def _subject(self, person: _Person) -> str:
        draw = self.random.random()
        if self.told > 2 and draw < 0.4:
            return person.subject
        return f"the {person.quality} {person.noun}" if draw < 0.65 else f"the {person.noun}"

    def _thing(self, owner: _Person | None = None) -> str:
        thing = self.random.choice(self.things)
        draw = self.random.random()
        if owner is not None and draw < 0.2:
            return f"{owner.possessive} {thing}"
        return f"the {self._quality()} {thing}" if draw < 0.55 else f"the {thing}"

    def _quality(self) -> str:
        return self.random.choice(self.scene.qualities)

    def _place(self) -> str:
        return f"{self.random.choice(_PREPOSITIONS)} the {self.random.choice(self.places)}"

    def _act(self) -> str:
        if self.random.random() < 0.15:
            return self.random.choice(("found", "saw", "wanted", "needed", "loved"))
        return self.random.choice(self.scene.acts)

    # --- clauses and sentences -------------------------------------------------------------------

    def _arrival(self) -> str:
        who = self.people[0]
        return self.random.choice(
            (
                f"{self.random.choice(_TIMES[:5])} we went to the {self.scene.name}",
                f"{self.random.choice(_TIMES[:5])} the {who.quality} {who.noun} came to the "
                f"{self.scene.name}",
                f"then i went back to the {self.scene.name} with the {who.noun}",
                f"the {who.noun} {_was(who)} in the {self.scene.name} again",
            )
        )

    def _doing(self) -> str:
        who = self._someone()
        words = f"{self._subject(who)} {self._act()} {self._thing(who)}"
        draw = self.random.random()
        if draw < 0.35:
            words += f" {self._place()}"
        elif draw < 0.55:
            words += f" and {self._act()} {self._thing(who)}"
        return words

    def _moving(self) -> str:
        who = self._someone()
        return f"{self._subject(who)} {self.random.choice(self.scene.moves)} {self._place()}"

    def _state(self) -> str:
        if self.random.random() < 0.5:
            return f"{self._thing()} was {self._degree()}{self._quality()}"
        who = self._someone()
        return f"{self._subject(who)} {_was(who)} {self._degree()}{self._quality()}"

    def _degree(self) -> str:
        return self.random.choice(("", "", "very ", "too ", "still "))

    def _clause(self) -> str:
        draw = self.random.random()
        if draw < 0.5:
            who = self._someone()
            return f"{self._subject(who)} {self._act()} {self._thing(who)}"
        return self._moving() if draw < 0.8 else self._state()

    def _subordinate(self) -> str:
        conjunction = self.random.choice(_CONJUNCTIONS)
        first, second = self._clause(), self._clause()
        if self.random.random() < 0.4:
            return f"{conjunction} {first} {second}"
        return f"{first} {conjunction} {second}"

    def _relative(self) -> str:
        who = self._someone()
        if self.random.random() < 0.5:
            move = self.random.choice(self.scene.moves)
            return f"the {who.noun} who {move} {self._place()} {self._act()} {self._thing()}"
        return f"{self._thing()} that the {who.noun} {self._act()} was {self._quality()}"

    def _speech(self) -> str:
        who = self._someone()
        thing = self.random.choice(self.things)
        verb, quote = self.random.choice(
            (
                ("said", f"the {thing} is {self._quality()}"),
                ("said", f"please look {self._place()}"),
                ("said", f"we need the {thing} now"),
                ("asked", f"where is the {thing}"),
                ("said", f"my {thing} is not {self._quality()}"),
                ("asked", f"why are they so {self._quality()}"),
                ("asked", f"can you see the {thing} {self._place()}"),
                ("answered", f"i can find the {self._quality()} {thing}"),
                ("answered", f"there is nothing {self._place()}"),
                ("whispered", f"i know what the {self._other(who).noun} {self._act()}"),
            )
        )
        return f"{self._subject(who)} {verb} {quote}"

    def _other(self, person: _Person) -> _Person:
        return self.people[1] if person is self.people[0] else self.people[0]

    def _there_was(self) -> str:
        thing = self.random.choice(self.things)
        quality = self._quality()
        article = "an" if quality[0] in "aeiou" else "a"
        return f"there was {article} {quality} {thing} {self._place()}"

    def _memory(self) -> str:
        who = self._someone()
        return self.random.choice(
            (
                f"i remembered the {who.noun} and {self._thing()}",
                f"i never saw {self._thing()} again",
                f"we couldn't find {self._thing()} {self._place()}",
                f"i knew that {self._clause()}",
                f"{self._subject(who)} didn't want {self._thing(who)}",
                f"i thought about {self._thing()} all day",
                f"{self._subject(who)} came back from the {self.random.choice(self.places)}",
                f"our {self.random.choice(self.things)} was not {self._quality()} but "
                f"{self._quality()}",
                f"the {self._other(who).noun} saw {who.object}",
                f"the {who.noun} gave us {self._thing()}",
                f"did the {who.noun} know it",
            )
        )


def _was(person: _Person) -> str:
    return "were" if person.plural else "was"


def _paragraphs(random: Random) -> Iterator[_Paragraph]:
    """Paragraphs without end; every scene comes once before any comes again."""
    before: Scene | None = None
    while True:
        order = random.sample(SCENES, len(SCENES))
        if order[0] is before:
            order.append(order.pop(0))
        for scene in order:
            yield _Paragraph(random, scene)
        before = order[-1]


def story(seed: int | str, seconds: float) -> list[Word]:
    """Words of a story that fills `seconds`, about 2.2 of them a second.

    Parameters
    ----------
    seed : equal seeds give equal stories, on every machine.
    seconds : length of the sound; the last word ends before it.

    Returns
    -------
    Words with onset and offset in seconds, to the millisecond, in order and without overlap.
    Words last longer the more letters they have; sentences are parted by pauses, a few of them so
    long that a TR of 2 s stays empty.
    """
    random = Random(f"story {seed}")
    words: list[Word] = []
    now = FIRST_WORD
    for paragraph in _paragraphs(random):
        pace = random.uniform(*PACE)
        end = now + random.uniform(*PARAGRAPH)
        while now < end:
            for text in paragraph.sentence().split():
                lasts = pace * random.uniform(0.85, 1.15) * (WORD[0] + WORD[1] * len(text))
                onset, offset = round(now, 3), round(now + lasts, 3)
                if offset > seconds - 0.1:
                    return words
                words.append(Word(text, onset, offset))
                now = offset + (random.uniform(0.02, 0.15) if random.random() < 0.3 else 0.0)
            now += (
                random.uniform(2, 4) if random.random() < LONG_PAUSE else random.uniform(0.2, 0.7)
            )
    raise AssertionError("paragraphs do not end")


def corpus(seed: int | str, sentences: int) -> list[str]:
    """General text from the same grammar, one sentence an entry, in the order of telling.

    Its seeds are never those of a story, so no story's text is in it.
    """
    random = Random(f"corpus {seed}")
    lines: list[str] = []
    for paragraph in _paragraphs(random):
        for _ in range(random.randint(6, 12)):
            if len(lines) == sentences:
                return lines
            lines.append(paragraph.sentence())
    raise AssertionError("paragraphs do not end")
