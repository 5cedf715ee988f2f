"""Windows of a story: W rows of responses and the words heard meanwhile.

Row j of a story's responses covers story time [10 + 2j, 12 + 2j) s: the scanner starts 10 s before
the sound, and 10 rows are trimmed at either end.
"""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hearsay.brain.stories import FIRST_ROW, TR, Story
from hearsay.corpora.textgrid import Word


@dataclass(frozen=True)
class Window:
    """Some consecutive rows of one story.

    Attributes
    ----------
    story : its name.
    row : the first row.
    words : for every row, the words whose onset it covers.
    responses : [W + context, V] float32.
    """

    story: str
    row: int
    words: tuple[tuple[str, ...], ...]
    responses: np.ndarray

    @property
    def start(self) -> float:
        """Story time of the first row, in seconds."""
        return FIRST_ROW + TR * self.row


def words_in_rows(words: Sequence[Word], rows: int, *, shift: int = 0) -> list[tuple[str, ...]]:
    """The words whose onset lies in each of the first `rows` rows, in order of onset.

    With `shift` = -1 row j gets the words of row j - 1, as in the public code, whose text is one
    TR early.
    """
    ordered = sorted(words, key=lambda word: word.onset)
    onsets = [word.onset for word in ordered]
    edges = [FIRST_ROW + TR * (row + shift) for row in range(rows + 1)]
    cuts = [bisect.bisect_left(onsets, edge) for edge in edges]
    return [tuple(word.text for word in ordered[a:b]) for a, b in itertools.pairwise(cuts)]


def cut(
    story: Story,
    *,
    window: int = 10,
    hop: int = 10,
    context: int = 0,
    shift: int = 0,
    responses: np.ndarray | None = None,
) -> list[Window]:
    """Cut one story into windows of `window` rows, one every `hop` rows.

    A window never crosses a story's end: a tail shorter than a window is dropped (291 rows give
    29 windows of 10). `context` further rows of responses follow each window, for the
    haemodynamic lag; beyond the story's end they are zero, the mean of a z-scored voxel.
    `responses` [rows, V] stand in for the story's own, for controls and single repeats.
    """
    x = story.responses if responses is None else responses
    heard = words_in_rows(story.words, len(x), shift=shift)
    padded = np.concatenate([x, np.zeros((context, x.shape[1]), dtype=x.dtype)])
    return [
        Window(
            story.name,
            row,
            tuple(heard[row : row + window]),
            padded[row : row + window + context],
        )
        for row in range(0, len(x) - window + 1, hop)
    ]


def cut_all(
    stories: Iterable[Story], *, window: int = 10, hop: int = 10, context: int = 0, shift: int = 0
) -> list[Window]:
    """The windows of several stories, story by story."""
    return [
        one
        for story in stories
        for one in cut(story, window=window, hop=hop, context=context, shift=shift)
    ]
