"""Words with their times from Praat TextGrids, in every text form that Praat has written.

Praat reads its text files by looking for the next free-standing number, text in double quotes or
flag in angle brackets, and passes over anything else. So does this reader, which is why one way of
reading serves the long form (``xmin = 0``), the short one (``0``) and the chronological one. See
"TextGrid file formats" in Praat's manual.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hearsay.corpora.annex import check_present
from hearsay.errors import InputError

# What the aligners of the Huth lab's stories wrote for silence, noise and breath.
MARKERS = frozenset(
    ["", "sentence_start", "sentence_end", "br", "lg", "ls", "ns", "sp", "cg", "sl"]
)

_HEADER = re.compile(
    r'\s*(?:File\s+type\s*=\s*)?"(?:ooTextFile[^"]*|Praat chronological TextGrid text file)"'
)
_MOST = 1 << 40  # of anything that a file counts
_TOKEN = re.compile(
    r"""
      (?P<space>   \s++ | ![^\n]*+ )                      # a comment goes on to the line's end
    | (?P<text>    "(?:[^"]++|"")*+" (?=\s|\Z) )
    | (?P<broken>  " )
    | (?P<flag>    <\w++> (?=\s|\Z) )
    | (?P<number>  [-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?+ (?=\s|\Z) )
    | (?P<other>   [^\s"=]++ | = )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Interval:
    """A stretch of an interval tier: its label as in the file, and times in seconds."""

    text: str
    onset: float
    offset: float


@dataclass(frozen=True)
class Word:
    """A word in lower case, and its times in seconds from the start of the sound."""

    text: str
    onset: float
    offset: float


def read_words(path: Path | str, tier: str = "word") -> list[Word]:
    """Words of a TextGrid in the order of their onsets, without markers such as ``{NS}`` or ``sp``.

    The tier is found by its name, singular or plural, upper or lower case. Only in a file whose
    tiers have no names is it taken by place: the second of two (phones, then words).

    Raises
    ------
    InputError
        as `read_textgrid`, and for a file without the tier; the message lists those it has.
    """
    tiers = _read_tiers(Path(path))
    wanted = {tier.lower(), tier.lower() + "s"}
    found = [intervals for name, intervals in tiers if name.strip().lower() in wanted]
    if not found and len(tiers) == 2 and not any(name.strip() for name, _ in tiers):
        found = [tiers[1][1]]
    if not found:
        names = ", ".join(repr(name) for name, _ in tiers) or "none"
        raise InputError(f"{path}: no interval tier {tier!r}; its interval tiers: {names}")
    words = [Word(_word(i.text), i.onset, i.offset) for i in found[0]]
    kept = [word for word in words if word.text not in MARKERS]
    return sorted(kept, key=lambda word: (word.onset, word.offset))


def read_textgrid(path: Path | str) -> dict[str, list[Interval]]:
    """Interval tiers of a TextGrid by name, in the file's order; point tiers are passed over.

    A name that comes again gets its place added: ``word (3)``. Overlapping intervals are kept.
    Files may be UTF-8 or UTF-16, with a byte order mark or without (then UTF-8, or else Latin-1).

    Raises
    ------
    InputError
        for content that was not fetched (see `hearsay.corpora.annex`), for what is no TextGrid,
        and for one that ends too early or breaks off in between; the message names the line.
    """
    tiers: dict[str, list[Interval]] = {}
    for place, (name, intervals) in enumerate(_read_tiers(Path(path)), start=1):
        tiers[f"{name} ({place})".strip() if name in tiers else name] = intervals
    return tiers


def _word(label: str) -> str:
    return " ".join(label.lower().strip().strip("{}").split())


class _Tokens:
    """Numbers, texts and flags of a file, one after the other."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.at = 0
        self.tokens = self._scan()
        self.waiting: re.Match[str] | None = None

    def _scan(self) -> Iterator[re.Match[str]]:
        for match in _TOKEN.finditer(self.text):
            if match.lastgroup == "broken":
                self.at = match.start()
                raise self.error('a label without its closing quote, or with " not doubled')
            if match.lastgroup in ("text", "number", "flag"):
                yield match

    def error(self, what: str) -> InputError:
        line = self.text.count("\n", 0, self.at) + 1
        return InputError(f"{self.path}: line {line}: {what}; fetch or export the file again")

    def peek(self) -> re.Match[str] | None:
        if self.waiting is None:
            self.waiting = next(self.tokens, None)
        return self.waiting

    def take(self, kind: str, what: str) -> str:
        match = self.peek()
        if match is None:
            self.at = len(self.text)
            raise self.error(f"the TextGrid ends where {what} should come")
        self.at = match.start()
        if match.lastgroup != kind:
            raise self.error(f"{match.group()[:40]} where {what} should come")
        self.waiting = None
        return match.group()

    def string(self, what: str) -> str:
        return self.take("text", what)[1:-1].replace('""', '"')

    def number(self, what: str) -> float:
        return float(self.take("number", what))

    def count(self, what: str) -> int:
        value = self.number(what)
        if not (0 <= value < _MOST and value == int(value)):
            raise self.error(f"{value} where {what} should come")
        return int(value)

    def interval(self) -> Interval:
        onset, offset = self.number("an interval's start"), self.number("an interval's end")
        return Interval(self.string("an interval's label"), onset, offset)

    def point(self) -> None:
        self.number("a point's time")
        self.string("a point's label")


def _read_tiers(path: Path) -> list[tuple[str, list[Interval]]]:
    check_present(path)
    text = _decode(path.read_bytes())
    if text.startswith("ooBinaryFile"):
        raise InputError(f"{path}: a binary TextGrid; save it as a text file in Praat")
    if not _HEADER.match(text):
        raise InputError(f"{path}: line 1: not a Praat TextGrid")
    tokens = _Tokens(path, text)
    if not tokens.string("the file type").startswith("ooTextFile"):
        return _by_time(tokens)
    kind = tokens.string("the object class")
    if kind != "TextGrid":
        raise tokens.error(f"Praat's {kind[:40]!r}, not a TextGrid")
    return _by_tier(tokens)


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _span(tokens: _Tokens) -> None:
    tokens.number("the start time")
    tokens.number("the end time")


def _tier_kind(tokens: _Tokens) -> str:
    kind = tokens.string("a tier's class")
    if kind not in ("IntervalTier", "TextTier"):
        raise tokens.error(f"{kind!r} where IntervalTier or TextTier should come")
    return kind


def _by_tier(tokens: _Tokens) -> list[tuple[str, list[Interval]]]:
    """Long and short form: one tier after the other, each with its number of intervals."""
    _span(tokens)
    if tokens.take("flag", "<exists>") != "<exists>":
        return []
    tiers = []
    for _ in range(tokens.count("the number of tiers")):
        kind, name = _tier_kind(tokens), tokens.string("a tier's name")
        _span(tokens)
        size = tokens.count("a tier's size")
        if kind == "IntervalTier":
            tiers.append((name, [tokens.interval() for _ in range(size)]))
        else:
            for _ in range(size):
                tokens.point()
    return tiers


def _by_time(tokens: _Tokens) -> list[tuple[str, list[Interval]]]:
    """Chronological form: all tiers' names, then intervals and points in the order of time."""
    _span(tokens)
    tiers: list[tuple[str, list[Interval]] | None] = []
    for _ in range(tokens.count("the number of tiers")):
        kind, name = _tier_kind(tokens), tokens.string("a tier's name")
        _span(tokens)
        tiers.append((name, []) if kind == "IntervalTier" else None)
    while tokens.peek():
        place = tokens.count("a tier's number")
        if not 1 <= place <= len(tiers):
            raise tokens.error(f"tier {place} of {len(tiers)}")
        tier = tiers[place - 1]
        if tier is None:
            tokens.point()
        else:
            tier[1].append(tokens.interval())
    return [tier for tier in tiers if tier is not None]
