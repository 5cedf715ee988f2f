"""Write the demo's corpora of text: three files in which there is something to learn.

A line is a sentence. What a model must carry to predict it well, and no pair of neighbours tells:

* the topic, kept for a paragraph of lines with its few protagonists;
* the number of a subject, which its verb takes on across a relative clause or a phrase in between;
* the tense, set by the first word; pairs such as ``if … then``; the sign that ends a sentence, set
  by how it began; the pronoun of a name; the objects that a verb likes, after their adjective.

As in the corpora of the papers, rare words are ``<unk>``: the vocabulary is exactly of the size
asked for.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import typer

from hearsay.corpora.text_corpus import SPLITS
from hearsay.corpora.word_ids import UNKNOWN
from hearsay.demo.invented_words import Topic, Verb, make_topics, zipf
from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.provenance import Run

STEP = "hearsay.demo.write_text_corpus"
FUNCTION_FORMS = 50  # about how many function words the sentences below have
SPARE = 1.12  # words of the lexicon for each word of the vocabulary; the rest becomes <unk>

_TIMES = {True: ("yesterday", "once", "then"), False: ("today", "now", "often")}
_PREPOSITIONS = ("near", "behind", "under", "with", "of")


class Paragraph:
    """Sentences of one topic about the same few nouns and one name."""

    def __init__(self, random: Random, topic: Topic) -> None:
        self.random = random
        self.topic = topic
        self.nouns = [zipf(random, topic.nouns) for _ in range(3)]
        self.name = zipf(random, topic.names)

    def sentence(self) -> str:
        """One sentence, its sign at the end included."""
        past = self.random.random() < 0.5
        kind = self.random.choices(
            (self._statement, self._question, self._condition, self._choice, self._exclamation),
            (10, 3, 3, 2, 2),
        )[0]
        return kind(past)

    # --- sentences -------------------------------------------------------------------------------

    def _statement(self, past: bool) -> str:
        opened = f"{self.random.choice(_TIMES[past])} " if self.random.random() < 0.6 else ""
        draw = self.random.random()
        if draw < 0.25:
            return f"{opened}{self._about_name(past)} ."
        if draw < 0.4:
            said = "said" if past else "says"
            return f"{opened}{self.name} {said} that {self._clause(past)} ."
        return f"{opened}{self._clause(past)} ."

    def _question(self, past: bool) -> str:
        plural = self.random.random() < 0.5
        did = "did" if past else "do" if plural else "does"
        verb = self._verb()
        return f"{did} {self._subject(plural, past)} {verb.stem} {self._object(verb)} ?"

    def _condition(self, past: bool) -> str:
        return f"if {self._clause(past)} then {self._clause(past)} ."

    def _choice(self, past: bool) -> str:
        return f"either {self._clause(past)} or {self._clause(past)} ."

    def _exclamation(self, past: bool) -> str:
        plural = self.random.random() < 0.5
        return f"how {self._quality()} {self._subject(plural, past)} {_be(plural, past)} !"

    # --- clauses and phrases ---------------------------------------------------------------------

    def _clause(self, past: bool) -> str:
        plural = self.random.random() < 0.5
        subject = self._subject(plural, past)
        if self.random.random() < 0.2:
            return f"{subject} {_be(plural, past)} {self._quality()}"
        verb = self._verb()
        words = f"{subject} {verb.form(plural=plural, past=past)} {self._object(verb)}"
        if self.random.random() < 0.25:
            words += f" {self._place()}"
        return words

    def _about_name(self, past: bool) -> str:
        """A name, and later the pronoun that stands for it."""
        she = self.name.endswith("a")
        verb, other = self._verb(), self._verb()
        first = f"{self.name} {verb.form(plural=False, past=past)} {self._object(verb)}"
        if self.random.random() < 0.5:
            return f"{first} by {'herself' if she else 'himself'}"
        again = f"{other.form(plural=False, past=past)} {self._object(other)}"
        return f"{first} because {'she' if she else 'he'} {again}"

    def _subject(self, plural: bool, past: bool) -> str:
        """Determiner, adjective, noun, and often something that parts it from its verb."""
        noun = self.random.choice(self.nouns)
        words = f"{self._determiner(plural)} {noun}{'s' if plural else ''}"
        if self.random.random() < 0.3:
            words = f"{self._determiner(plural)} {self._quality()} {noun}{'s' if plural else ''}"
        draw = self.random.random()
        if draw < 0.3:
            words += f" {self._place()}"
        elif draw < 0.5:
            verb, other = self._verb(), self.random.random() < 0.5
            form = verb.form(plural=other, past=past)
            words += f" that {self._determiner(other)} {self._noun(other)} {form}"
        return words

    def _object(self, verb: Verb) -> str:
        liked = self.random.random() < 0.85
        noun = zipf(self.random, verb.objects) if liked else self.random.choice(self.nouns)
        quality = f"{self._quality()} " if self.random.random() < 0.35 else ""
        return f"the {quality}{noun}"

    def _place(self) -> str:
        plural = self.random.random() < 0.5
        preposition = self.random.choice(_PREPOSITIONS)
        return f"{preposition} {self._determiner(plural)} {self._noun(plural)}"

    def _determiner(self, plural: bool) -> str:
        return self.random.choice(("the", "these", "many") if plural else ("the", "this", "every"))

    def _noun(self, plural: bool) -> str:
        return f"{zipf(self.random, self.topic.nouns)}{'s' if plural else ''}"

    def _quality(self) -> str:
        return zipf(self.random, self.topic.qualities)

    def _verb(self) -> Verb:
        return zipf(self.random, self.topic.verbs)


def _be(plural: bool, past: bool) -> str:
    return ("were" if plural else "was") if past else ("are" if plural else "is")


def _sentences(random: Random, topics: list[Topic]) -> Iterator[str]:
    while True:
        for topic in random.sample(topics, len(topics)):
            paragraph = Paragraph(random, topic)
            for _ in range(random.randint(5, 10)):
                yield paragraph.sentence()


def make_texts(options: dict[str, Any]) -> dict[str, list[str]]:
    """Lines of the three texts.

    Parameters
    ----------
    options : vocabulary (words, ``<unk>`` and ``<eos>`` counted), train, valid, test (tokens,
        reached with the last line) and seed, as in the settings of a generated text. Equal ones
        give equal texts, on every machine.

    Raises
    ------
    InputError
        for a training text that is too short for so many words.
    """
    seed, size = options["seed"], options["vocabulary"]
    topics = make_topics(Random(f"lexicon {seed}"), round(SPARE * size) - FUNCTION_FORMS)
    texts = {}
    for split in SPLITS:
        lines, tokens = [], 0
        for line in _sentences(Random(f"{split} {seed}"), topics):
            lines.append(line)
            tokens += len(line.split()) + 1
            if tokens >= options[split]:
                break
        texts[split] = lines
    counts = Counter(word for line in texts["train"] for word in line.split())
    if len(counts) <= size - 2:
        raise InputError(
            f"generated: {options['train']} tokens of training text have only {len(counts)} words; "
            "set a larger train, or a smaller vocabulary"
        )
    kept = {word for word, _ in counts.most_common(size - 2)}
    return {
        split: [
            " ".join(word if word in kept else UNKNOWN for word in line.split()) for line in lines
        ]
        for split, lines in texts.items()
    }


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    settings: str = typer.Option(help="vocabulary, train, valid, test and seed as JSON"),
    out: Path = typer.Option(help="folder to write: train.txt, valid.txt, test.txt"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Generate the three texts and write them as plain files."""
    options = json.loads(settings)
    run = Run(STEP, settings=options, seed=options["seed"])
    texts = make_texts(options)
    with whole_folder(out) as folder:
        for split, lines in texts.items():
            (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run.write(record, lines={split: len(lines) for split, lines in texts.items()})
    print(
        f"{corpus}: " + ", ".join(f"{len(t):,} lines {s}" for s, t in texts.items()),
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
