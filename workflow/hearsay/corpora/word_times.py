"""Words with their times, in the forms of TIMIT, Praat and pocketsphinx, and in a table of ours.

Times are seconds from the start of the audio. Gaps between words and words that overlap are kept as
they are: both occur in speech that was labelled by hand. A reader only reads; `check_times` tells
which times cannot be those of an audio file.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearsay.corpora.audio import RATE
from hearsay.corpora.speech_source import Rejected
from hearsay.corpora.textgrid import read_words
from hearsay.errors import InputError
from hearsay.files import whole_file

WORD_TIMES_COLUMNS = ("id", "word", "start_s", "end_s")
TOLERANCE = 0.001  # seconds that a time may lie beyond the audio's end by rounding

_VARIANT = re.compile(r"\(\d+\)$")  # "the(2)": the second pronunciation in a dictionary
_NO_WORD = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # <sil>, <s>, [NOISE], ++UM++


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word and when it is said, in seconds; both times are NaN where they are not known."""

    word: str
    start_s: float
    end_s: float

    @property
    def known(self) -> bool:
        """Are there times?"""
        return math.isfinite(self.start_s) and math.isfinite(self.end_s)


@dataclass
class WordListing:
    """Words by id of the utterance, in the order said, and utterances without any, with why."""

    words: dict[str, list[WordTime]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fault:
    """Times of a word (counted from 0) that cannot be: a code, and a sentence on it."""

    index: int
    reason: str
    detail: str


def read_alignment(path: Path | str, tier: str = "word") -> list[WordTime]:
    """Words of one utterance from a file, by its suffix: ``.wrd``, ``.TextGrid`` or ``.json``.

    Parameters
    ----------
    path : of TIMIT's, Praat's or pocketsphinx's form.
    tier : of a TextGrid, as `hearsay.corpora.textgrid.read_words` takes it.

    Raises
    ------
    InputError
        for a file that is missing, of another suffix, or not of its form; the message names the
        line where there is one.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".textgrid":
        return textgrid_words(path, tier)
    if suffix not in (".wrd", ".json"):
        raise InputError(f"{path}: word times are read from .wrd, .TextGrid and .json; convert it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return timit_words(data, str(path)) if suffix == ".wrd" else sphinx_words(data, str(path))


def timit_words(data: bytes, place: str) -> list[WordTime]:
    """Words of a file of TIMIT: lines ``first last word``, in samples at 16 kHz.

    Raises
    ------
    InputError
        for a line that is not so; it begins with `place`, the file's name.
    """
    words = []
    for number, line in enumerate(_text(data, place).splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.split()
        try:
            first, last, word = fields
            words.append(WordTime(word, int(first) / RATE, int(last) / RATE))
        except ValueError:
            raise InputError(
                f"{place}, line {number}: {line.strip()[:50]!r} is not `first last word` with two "
                "numbers of samples; get the file anew"
            ) from None
    return words


def textgrid_words(path: Path | str, tier: str = "word") -> list[WordTime]:
    """Words of a tier of a TextGrid; as `hearsay.corpora.textgrid.read_words`, which see."""
    return [WordTime(word.text, word.onset, word.offset) for word in read_words(path, tier)]


def sphinx_words(data: bytes, place: str) -> list[WordTime]:
    """Words of pocketsphinx's JSON: objects ``{"b": begin, "d": duration, "t": text}`` in ``w``.

    Its silences and noises (``<sil>``, ``[NOISE]``) are left out, and the numbers of pronunciations
    (``and(2)``) taken off. One object a line is read, too, as pocketsphinx writes of long audio.

    Raises
    ------
    InputError
        for what is no such JSON; it begins with `place`, the file's name.
    """
    words = []
    for number, line in enumerate(_documents(_text(data, place)), start=1):
        try:
            found = json.loads(line)["w"]
            for each in found:
                begin, text = float(each["b"]), str(each["t"])
                word = WordTime(_VARIANT.sub("", text), begin, begin + float(each["d"]))
                if not _NO_WORD.fullmatch(text):
                    words.append(_rounded(word))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise InputError(
                f"{place}, object {number}: not pocketsphinx's JSON with b, d and t in w ({what}); "
                "align the audio anew"
            ) from None
    return words


def _documents(text: str) -> list[str]:
    """The whole text if it is one JSON document, else its lines."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return [line for line in text.splitlines() if line.strip()] or [text]
    return [text]


def _rounded(word: WordTime) -> WordTime:
    """A sum of begin and duration without the noise of binary fractions, to a microsecond."""
    return WordTime(word.word, word.start_s, round(word.end_s, 6))


def _text(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: byte {error.start + 1} of it is not UTF-8; save it as UTF-8"
        ) from None


def csv_words(data: bytes, place: str) -> dict[str, list[WordTime]]:
    """Words by id of the utterance, from a table with the columns ``id, word, start_s, end_s``.

    Empty times are unknown ones. Times are not checked, see `check_times`.

    Raises
    ------
    InputError
        for another header, and for a row that is not so; it begins with `place`, the file's name.
    """
    reader = csv.reader(io.StringIO(_text(data, place), newline=""))
    rows = _rows(reader, place)
    header = next(rows, [])
    if tuple(header) != WORD_TIMES_COLUMNS:
        raise InputError(
            f"{place}: its first line is {','.join(header)[:80]!r}, not "
            f"{','.join(WORD_TIMES_COLUMNS)!r}; name the columns so"
        )
    words: dict[str, list[WordTime]] = {}
    for row in rows:
        if not row:
            continue
        try:
            name, word, *times = row
            start, end = (float(time) if time.strip() else math.nan for time in times)
        except ValueError:
            raise InputError(
                f"{place}, line {reader.line_num}: {','.join(row)[:60]!r} is not an id, a word and "
                "two times in seconds; correct it"
            ) from None
        words.setdefault(name, []).append(WordTime(word, start, end))
    return words


def check_times(
    words: Sequence[WordTime], duration: float, tolerance: float = TOLERANCE
) -> tuple[list[WordTime], list[Fault]]:
    """Take away the times that cannot be those of an audio file.

    Parameters
    ----------
    words : of one utterance.
    duration : of its audio, in seconds.
    tolerance : seconds beyond the end that are put down to rounding; such times become the end.

    Returns
    -------
    All words, those at fault with NaN for both times; and the faults: ``negative``, ``reversed``
    (the end is not after the start), ``beyond-end`` or ``unknown``, the first that applies.
    """
    checked, faults = [], []
    for index, word in enumerate(words):
        fault = _fault(word, duration, tolerance)
        if fault is None:
            checked.append(WordTime(word.word, word.start_s, min(word.end_s, duration)))
            continue
        said = f"word {index + 1}, {word.word!r}, {word.start_s:.6g} to {word.end_s:.6g} s: "
        faults.append(Fault(index, fault[0], said + fault[1]))
        checked.append(WordTime(word.word, math.nan, math.nan))
    return checked, faults


def _fault(word: WordTime, duration: float, tolerance: float) -> tuple[str, str] | None:
    if not word.known:
        return "unknown", "its times are no numbers"
    if word.start_s < 0:
        return "negative", "begins before the audio"
    if word.end_s <= word.start_s:
        return "reversed", "does not end after its start"
    if word.end_s > duration + tolerance or word.start_s >= duration:
        return "beyond-end", f"the audio lasts {duration:.6g} s"
    return None


def _rows(reader: Any, place: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:  # a cell of more than 128 kB
        raise InputError(f"{place}, line {reader.line_num}: {error}; correct it") from None


def write_word_times(path: Path | str, words: Mapping[str, Sequence[WordTime]]) -> None:
    """Write words by id of the utterance as CSV; unknown times stay empty."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(WORD_TIMES_COLUMNS)
        for name, each in words.items():
            for word in each:
                times = (word.start_s, word.end_s) if word.known else ("", "")
                writer.writerow([name, word.word, *times])


def read_word_times(path: Path | str) -> dict[str, list[WordTime]]:
    """Read what `write_word_times` wrote: words by id of the utterance, in their order.

    Raises
    ------
    InputError
        for a table that is missing, empty or of another form, and for a word, which it names, with
        times that are negative or reversed.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; prepare_word_times makes it"
        ) from None
    found = csv_words(data, str(path))
    if not found:
        raise InputError(f"{path}: holds no words; remove it and make it anew")
    for name, words in found.items():
        for fault in check_times(words, math.inf)[1]:
            if fault.reason != "unknown":
                raise InputError(f"{path}: {name!r}: {fault.detail}; correct or remove the row")
    return found
