"""TextGrids of the demo's stories, in the three text forms in which real ones are found.

Tiers as in ds003020: ``phone`` and ``word``, words in upper case, silences marked ``sp``, ``{NS}``
or left empty.
"""

from collections.abc import Callable, Sequence
from random import Random

from hearsay.corpora.textgrid import Interval, Word

START = 0.0125  # seconds; the tiers of real files do not begin at zero either
# A crude letter-to-sound table, enough for a tier that looks and parses like an aligner's.
_SOUNDS = "AE1 B K D EH1 F G HH IH0 JH K L M N AA1 P K R S T AH0 V W Z IY0 Z"
_PHONES = dict(zip("abcdefghijklmnopqrstuvwxyz", _SOUNDS.split(), strict=True))

Tiers = dict[str, list[Interval]]


def story_tiers(words: Sequence[Word], seconds: float, seed: object, *, overlap: bool) -> Tiers:
    """Tiers ``phone`` and ``word`` that cover [START, seconds], pauses included.

    With `overlap` a few phones reach into the next one, as in one of ds003020's files.
    """
    random = Random(f"pauses {seed}")
    phones: list[Interval] = []
    spoken: list[Interval] = []
    now = START
    for word in words:
        if word.onset > now:
            _pause(random, phones, spoken, now, word.onset)
        spoken.append(Interval(word.text.upper(), word.onset, word.offset))
        phones += _phones(word)
        now = word.offset
    if seconds > now:
        _pause(random, phones, spoken, now, seconds)
    if overlap:
        for at in range(40, len(phones) - 1, 400):
            phone, following = phones[at], phones[at + 1]
            middle = round((following.onset + following.offset) / 2, 4)
            phones[at] = Interval(phone.text, phone.onset, middle)
    return {"phone": phones, "word": spoken}


def _pause(
    random: Random, phones: list[Interval], words: list[Interval], onset: float, offset: float
) -> None:
    short = offset - onset < 0.18
    label = "sp" if short else random.choice(("", "sp", "{NS}"))
    phones.append(Interval("sp" if short else label.strip("{}").lower(), onset, offset))
    words.append(Interval(label, onset, offset))


def _phones(word: Word) -> list[Interval]:
    sounds = [_PHONES[letter] for letter in word.text if letter in _PHONES]
    width = (word.offset - word.onset) / len(sounds)
    edges = [round(word.onset + k * width, 4) for k in range(len(sounds))] + [word.offset]
    return [Interval(s, edges[k], edges[k + 1]) for k, s in enumerate(sounds)]


def _span(tiers: Tiers) -> tuple[float, float]:
    intervals = [interval for tier in tiers.values() for interval in tier]
    return min(i.onset for i in intervals), max(i.offset for i in intervals)


def long_form(tiers: Tiers) -> str:
    """Praat's text file, every value with its name."""
    start, end = _span(tiers)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        f"xmin = {start} ",
        f"xmax = {end} ",
        "tiers? <exists> ",
        f"size = {len(tiers)} ",
        "item []: ",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier" ',
            f'        name = "{name}" ',
            f"        xmin = {start} ",
            f"        xmax = {end} ",
            f"        intervals: size = {len(intervals)} ",
        ]
        for place, interval in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {interval.onset} ",
                f"            xmax = {interval.offset} ",
                f'            text = "{interval.text}" ',
            ]
    return "\n".join(lines) + "\n"


def short_form(tiers: Tiers) -> str:
    """Praat's short text file, the same values without names."""
    start, end = _span(tiers)
    lines: list[object] = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += [start, end, "<exists>", len(tiers)]
    for name, intervals in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', start, end, len(intervals)]
        for interval in intervals:
            lines += [interval.onset, interval.offset, f'"{interval.text}"']
    return "\n".join(map(str, lines)) + "\n"


def chronological_form(tiers: Tiers) -> str:
    """Praat's chronological text file: the intervals of all tiers in the order of time."""
    start, end = _span(tiers)
    lines = [
        '"Praat chronological TextGrid text file"',
        f"{start} {end}   ! Time domain.",
        f"{len(tiers)}   ! Number of tiers.",
        *(f'"IntervalTier" "{name}" {start} {end}' for name in tiers),
    ]
    rows = [
        (interval.onset, number, interval)
        for number, intervals in enumerate(tiers.values(), start=1)
        for interval in intervals
    ]
    for onset, number, interval in sorted(rows, key=lambda row: row[:2]):
        lines += ["", f"{number} {onset} {interval.offset}", f'"{interval.text}"']
    return "\n".join(lines) + "\n"


FORMS: tuple[Callable[[Tiers], str], ...] = (long_form, short_form, chronological_form)


def story_file(tiers: Tiers, number: int) -> bytes:
    """Content of the TextGrid of the story of that `number`.

    The form goes round with the number. In every twelve stories two have a byte order mark and two
    have lines that end in CRLF.
    """
    text = FORMS[number % len(FORMS)](tiers)
    if number % 6 == 4:
        text = text.replace("\n", "\r\n")
    return text.encode("utf-8-sig" if number % 6 == 2 else "utf-8")
