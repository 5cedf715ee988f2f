"""Short sentences in English, German, Spanish and Russian for the demo's speech.

Each language has some sixty words that use every letter of its alphabet, and a few patterns of two
to four words. Nouns, adjectives and articles are listed by gender, so that all sentences are
grammatical, if not always wise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random

from hearsay.errors import InputError


@dataclass(frozen=True)
class Grammar:
    """Words of one language by class, and sentences as series of classes."""

    classes: dict[str, tuple[str, ...]]
    patterns: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> set[str]:
        """All words."""
        return {word for words in self.classes.values() for word in words}

    def sentences(self) -> Iterator[str]:
        """Every sentence once."""
        seen = set()
        for pattern in self.patterns:
            for words in product(*(self.classes[name] for name in pattern)):
                sentence = " ".join(words)
                if sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def _grammar(patterns: str, **classes: str) -> Grammar:
    return Grammar(
        {name: tuple(words.split()) for name, words in classes.items()},
        tuple(tuple(line.split()) for line in patterns.strip().splitlines()),
    )


GRAMMARS = {
    "en": _grammar(
        """
        the noun does when
        the quality noun does
        who acts the noun
        who negation do when
        where the quality noun
        the noun does
        """,
        the="the my this every",
        noun="dog house garden river child fox queen horse bridge village zebra jacket",
        quality="small yellow old quick brave quiet",
        does="sleeps waits jumps sings moves works",
        when="here today again slowly outside alone",
        who="she he nobody everyone",
        acts="sees finds takes loves reaches",
        negation="can't won't doesn't",
        do="sleep wait jump sing move work",
        where="near behind under",
    ),
    "de": _grammar(
        """
        der hund läuft heute
        die straße läuft heute
        das haus läuft heute
        der hund ist groß
        die straße ist groß
        das haus ist groß
        wer öffnet den hund
        wer öffnet die straße
        wer öffnet das haus
        wer läuft heute
        """,
        der="der dieser",
        den="den diesen",
        die="die diese",
        das="das dieses",
        hund="hund könig fluss vogel schlüssel zug",
        straße="straße tür größe brücke quelle jacke",
        haus="haus mädchen pferd schloss taxi pony",
        läuft="läuft schläft wartet bleibt fällt",
        heute="heute hier draußen später plötzlich allein",
        ist="ist war",
        groß="groß schön weiß müde klein süß",
        wer="wer sie er jemand niemand",
        öffnet="öffnet sucht findet hört grüßt",
    ),
    "es": _grammar(
        """
        el niño canta aquí
        la niña canta aquí
        el niño pequeño canta
        la niña pequeña canta
        el niño está lejos
        la niña está lejos
        quién busca el árbol
        quién busca la casa
        quién canta aquí
        """,
        el="el un este",
        la="la una esta",
        niño="niño perro pingüino tío kiwi",
        niña="niña cigüeña mujer reina abuela",
        árbol="árbol jardín queso zapato taxi menú",
        casa="casa montaña canción llave flor música",
        pequeño="pequeño viejo rápido tímido",
        pequeña="pequeña vieja rápida tímida",
        canta="canta duerme corre espera vuelve",
        aquí="aquí hoy mañana también después ahora",
        está="está sigue",
        lejos="lejos cerca bien",
        quién="quién nadie alguien ella él",
        busca="busca mira encuentra quiere",
    ),
    "ru": _grammar(
        """
        этот ёж стоит здесь
        эта щука стоит здесь
        это окно стоит здесь
        большой ёж стоит
        большая щука стоит
        большое окно стоит
        кто видит этот дом
        кто видит эту ёлку
        кто видит большое окно
        кто стоит здесь
        """,
        этот="этот мой",
        эта="эта моя",
        эту="эту мою",
        это="это моё",
        ёж="ёж мальчик фонарь цветок подъезд",
        щука="щука девочка семья бабушка ёлка",
        окно="окно яблоко озеро море",
        большой="большой старый тёплый жёлтый",
        большая="большая старая тёплая жёлтая",
        большое="большое старое тёплое жёлтое",
        дом="дом хлеб фонарь цветок подъезд",
        ёлку="ёлку щуку площадь цифру",
        стоит="стоит спит ждёт поёт растёт",
        здесь="здесь сегодня опять ещё рядом",
        кто="кто она он мама",
        видит="видит ищет любит берёт",
    ),
}


def as_written(language: str, sentence: str) -> str:
    """A sentence with its capital letters, those of German nouns included."""
    nouns: set[str] = set()
    if language == "de":
        classes = GRAMMARS[language].classes
        nouns.update(*(classes[name] for name in ("hund", "straße", "haus")))
    first, *others = sentence.split()
    return " ".join(
        [first[0].upper() + first[1:], *(w[0].upper() + w[1:] if w in nouns else w for w in others)]
    )


def make_sentences(language: str, counts: Mapping[str, int], seed: int) -> dict[str, list[str]]:
    """So many sentences for each part, in lower case without signs; none comes twice.

    Parameters
    ----------
    language : ``en``, ``de``, ``es`` or ``ru``.
    counts : number of sentences by name of the part; parts share no sentence.
    seed : equal seeds give equal sentences.

    Raises
    ------
    InputError
        for a language without a grammar, and for more sentences than it has.
    """
    if language not in GRAMMARS:
        raise InputError(
            f"generated.language: no grammar for {language!r}; there are {', '.join(GRAMMARS)}"
        )
    grammar = GRAMMARS[language]
    # Sentences of each pattern in a random order; patterns take turns, so that long ones, of which
    # there are many more, do not crowd out the others.
    random = Random(f"sentences {language} {seed}")
    waiting = [list(Grammar(grammar.classes, (p,)).sentences()) for p in grammar.patterns]
    for sentences in waiting:
        random.shuffle(sentences)
    wanted, there = sum(counts.values()), len(list(grammar.sentences()))
    if wanted > there:
        raise InputError(
            f"generated.utterances: {wanted} sentences, but {language!r} has only {there}; "
            "ask for fewer"
        )
    drawn: dict[str, None] = {}
    while len(drawn) < wanted:
        for sentences in waiting:
            if sentences and len(drawn) < wanted:
                drawn[sentences.pop()] = None
    order = list(drawn)
    random.shuffle(order)
    parts = {}
    for part, count in counts.items():
        parts[part], order = order[:count], order[count:]
    return parts
