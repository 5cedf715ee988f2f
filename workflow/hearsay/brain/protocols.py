"""How decoded windows are scored: the two protocols of the literature, declared.

``bp-gpt``: the disjoint 20 s windows that were decoded, words split at spaces, BERTScore without
weights (the public code of the paper). ``tang``: 20 s windows every second, words at their times,
METEOR on NLTK's word tokens, BERTScore with inverse document frequencies (J. Tang et al., 2023).
The frequencies of Tang et al. come from a file that is not public; here they come from the
training stories' 20 s windows, never from the test story.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hearsay.brain.stories import Story
from hearsay.brain.windows import FIRST_ROW, TR
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError, reason_of
from hearsay.metrics.text import nltk_tokens

SECONDS = 20  # length of a scored window
CONTROLS = ("shuffled", "zero", "noise", "null")  # inputs that a brain decoder must beat
TRAINED_CONTROL = "noise-trained"
DECODED_COLUMNS = ["story", "window", "start", "input", "draw", "reference", "decoded"]
_MARKS = {"$", "="}


@dataclass(frozen=True)
class Protocol:
    """One way to score.

    Attributes
    ----------
    name : as in the score files.
    weighted : whether BERTScore weighs tokens by inverse document frequency.
    meteor_tokens : from the words of a window to the tokens that METEOR matches.
    block : consecutive windows that are resampled together. Windows of 20 s each second are alike
        up to 20 windows apart; a block of l windows keeps 1 - 20/(3 l) of the variance of their
        mean, 89 % with 60 but only 67 % with 20.
    mismatch : whether hypotheses are also paired with the references of other windows.
    """

    name: str
    weighted: bool
    meteor_tokens: Callable[[Sequence[str]], list[str]]
    block: int
    mismatch: bool


PROTOCOLS = {
    "bp-gpt": Protocol("bp-gpt", False, list, 1, True),
    "tang": Protocol("tang", True, nltk_tokens, 3 * SECONDS, False),
}


@dataclass(frozen=True)
class Pairs:
    """Windows of one decoding (setting, input, draw) in one protocol, in the order of time.

    Attributes
    ----------
    windows : number of each window.
    references, hypotheses : words of each.
    """

    windows: list[int] = field(repr=False)
    references: list[list[str]] = field(repr=False)
    hypotheses: list[list[str]] = field(repr=False)


Decoded = dict[tuple[str, int], pd.DataFrame]


def read_decoded(path: Path | str, story: str) -> Decoded:
    """Decoded windows of `story` by (input, draw), each in the order of windows.

    Raises
    ------
    InputError
        if the file is no such table, holds another story, or an input or draw does not have the
        same windows as the others; and for windows that do not begin 20 s apart, the length that
        both protocols score.
    """
    text = dict.fromkeys(
        ["story", "input", "reference", "decoded", "reference_aligned", "decoded_aligned"], str
    )
    try:
        # "null" and "nan" are words and inputs here, not missing values.
        frame = pd.read_csv(path, dtype=text, keep_default_na=False)
        frame = frame.astype({"window": int, "draw": int, "start": float})
    except (OSError, ValueError, KeyError, RecursionError) as error:
        reason = reason_of(error)
        raise InputError(f"{path}: not a table of decoded windows: {reason}") from None
    if missing := [name for name in DECODED_COLUMNS if name not in frame.columns]:
        raise InputError(f"{path}: no column {missing[0]}; decode the story again")
    if others := sorted(set(frame["story"]) - {story}):
        raise InputError(
            f"{path}: holds story {others[0]!r}, but the test story is {story!r}; only it is scored"
        )
    if not len(frame):
        raise InputError(f"{path}: no window was decoded; decode the story again")
    groups = frame.sort_values("window").groupby(["input", "draw"], sort=True)
    decoded = {
        (str(kind), int(rows["draw"].iloc[0])): rows.reset_index(drop=True)
        for (kind, _), rows in groups
    }
    first = next(iter(decoded.values()))
    apart = first["start"].diff().dropna()
    if len(wrong := apart[apart != SECONDS]):
        raise InputError(
            f"{path}: windows begin {wrong.iloc[0]:g} s apart, not {SECONDS}; decode windows of "
            f"{SECONDS} s (recipe.window: {round(SECONDS / TR)})"
        )
    for (kind, draw), rows in decoded.items():
        if list(rows["window"]) != list(first["window"]):
            raise InputError(
                f"{path}: input {kind!r}, draw {draw}, has {len(rows)} windows, not the "
                f"{len(first)} of the others; decode the story again"
            )
    return decoded


def disjoint_pairs(rows: pd.DataFrame) -> Pairs:
    """Pairs of protocol ``bp-gpt``: reference and decoding of each window, split at spaces."""
    return Pairs(
        [int(w) for w in rows["window"]],
        [text.split() for text in rows["reference"]],
        [text.split() for text in rows["decoded"]],
    )


def cutoffs(rows: int) -> list[tuple[float, float]]:
    """Windows of protocol ``tang`` for a story of `rows` rows: 20 s each second, half open.

    Scored is the segment that has responses, [10, 10 + 2 rows] s; 291 rows give [10, 592] and 563
    windows. Too short a story has none.
    """
    first, last = int(FIRST_ROW), int(FIRST_ROW + TR * rows)
    half = SECONDS // 2
    return [(c - half, c + half) for c in range(first + half, last - half + 1)]


def timed_words(rows: pd.DataFrame) -> list[tuple[float, str]]:
    """Decoded words with story times in seconds, in the order of time.

    With alignment marks, the words before the r-th ``$`` of a window are spread evenly over its
    r-th TR, and words after the last mark over the TR that follows (the last, if there is none).
    A window without marks has its words spread evenly over its 20 s.
    """
    aligned = rows["decoded_aligned"] if "decoded_aligned" in rows else rows["decoded"]
    timed = []
    for start, text in zip(rows["start"], aligned, strict=True):
        if "$" not in text:
            timed += _spread([w for w in text.split() if w not in _MARKS], start, float(SECONDS))
            continue
        last = round(SECONDS / TR) - 1
        parts = [[w for w in part.split() if w not in _MARKS] for part in text.split("$")]
        parts[last:] = [[word for part in parts[last:] for word in part]]
        for r, words in enumerate(parts):
            timed += _spread(words, start + TR * r, TR)
    return timed


def _spread(words: list[str], start: float, seconds: float) -> list[tuple[float, str]]:
    """Words at the middles of equal parts of a stretch of time."""
    return [(start + seconds * (k + 0.5) / len(words), word) for k, word in enumerate(words)]


def midpoints(words: Sequence[Word]) -> list[tuple[float, str]]:
    """Heard words at the middles of their intervals, in the order of time."""
    return sorted(((w.onset + w.offset) / 2, w.text) for w in words)


def cut_words(
    timed: Sequence[tuple[float, str]], windows: Sequence[tuple[float, float]]
) -> list[list[str]]:
    """The words of each window, whose ends are half open; `timed` is in the order of time."""
    times = [t for t, _ in timed]
    words = [word for _, word in timed]
    return [words[bisect_left(times, a) : bisect_left(times, b)] for a, b in windows]


def overlapping_pairs(rows: pd.DataFrame, story: Story) -> Pairs:
    """Pairs of protocol ``tang``: words heard and words decoded in 20 s windows each second."""
    windows = cutoffs(len(story.responses))
    heard = cut_words(midpoints(story.words), windows)
    return Pairs(list(range(len(windows))), heard, cut_words(timed_words(rows), windows))


def pairs_of(protocol: str, rows: pd.DataFrame, story: Story) -> Pairs:
    """Pairs of one decoding in one protocol."""
    return disjoint_pairs(rows) if protocol == "bp-gpt" else overlapping_pairs(rows, story)


def rows_without_hypothesis(rows: pd.DataFrame, story: Story) -> int:
    """Rows of the story after its last decoded window, which can have no decoded word."""
    end = float(rows["start"].iloc[-1]) + SECONDS
    return max(0, round((FIRST_ROW + TR * len(story.responses) - end) / TR))


def training_documents(stories: Sequence[Story]) -> list[str]:
    """Words of the disjoint 20 s windows of training stories, for document frequencies.

    Raises
    ------
    InputError
        if there is no training story; ValueError if one is not of the split ``train``.
    """
    if not stories:
        raise InputError("document frequencies: no training story; prepare the stories with some")
    if leaked := [s.name for s in stories if s.split != "train"]:
        raise ValueError(f"document frequencies must not see {leaked[0]}")
    documents = []
    for story in stories:
        windows = cutoffs(len(story.responses))[::SECONDS]
        documents += [" ".join(words) for words in cut_words(midpoints(story.words), windows)]
    return [text for text in documents if text]
