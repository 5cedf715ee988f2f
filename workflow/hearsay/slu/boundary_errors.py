"""How far the boundaries of words are from where they should be, as Tables 1 and 2 count it.

Every word has a left and a right boundary; both kinds are pooled over all words of all utterances.
NeuFA, whose measures WaBERT takes over, cuts each absolute error to whole milliseconds and counts
it as correct at 50 ms if it is then below 50: 49.9 ms is, 50.0 ms is not. Cutting changes no such
share, only mean and median, which are therefore given both ways.

Source: L. Yao et al., "WaBERT", 2022, Section 4.1; J. Li et al., "NeuFA", ICASSP 2022, Section 4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hearsay.corpora.word_times import WordTime
from hearsay.errors import InputError

TOLERANCES = (50, 100, 500, 1000)  # ms, Table 2
_DIGITS = 6  # of a millisecond: 0.35 s - 0.3 s are 50 ms, whatever binary fractions say

Words = np.ndarray | Sequence[WordTime]


@dataclass(frozen=True)
class BoundaryErrors:
    """Signed errors (hypothesis minus reference: late is positive) of all words, in ms.

    Attributes
    ----------
    names : ids of the utterances.
    left, right : of each utterance float64 [words]; NaN where either side knows no time.
    tolerances : ms, of `accuracy` in `summary`.
    """

    names: tuple[str, ...]
    left: tuple[np.ndarray, ...]
    right: tuple[np.ndarray, ...]
    tolerances: tuple[int, ...] = TOLERANCES
    missing: int = 0
    """Boundaries that only the hypothesis lacks; left out of everything, as by NeuFA."""

    @cached_property
    def signed(self) -> np.ndarray:
        """All errors, left ones first, float64 [boundaries] without NaN."""
        return _known(np.concatenate([*self.left, *self.right]))

    @cached_property
    def absolute(self) -> np.ndarray:
        """Absolute values of `signed`."""
        return np.abs(self.signed)

    @property
    def mae(self) -> float:
        """Mean absolute error in ms."""
        return float(self.absolute.mean())

    @property
    def median(self) -> float:
        """Median absolute error in ms."""
        return float(np.median(self.absolute))

    @property
    def bias(self) -> float:
        """Mean signed error in ms; positive where boundaries come late."""
        return float(self.signed.mean())

    def accuracy(self, tolerance: float) -> float:
        """Share of boundaries whose absolute error is below `tolerance` ms; at it does not count.

        Table 2.
        """
        return float(np.mean(self.absolute < tolerance))

    def summary(self) -> dict[str, float]:
        """All measures by name: ``mae``, ``median``, ``accuracy 50`` … and their like.

        ``… truncated`` are of whole milliseconds, as NeuFA has them; ``left …`` and ``right …`` of
        one kind of boundary.
        """
        cut = np.floor(self.absolute)
        found = {
            "mae": self.mae,
            "median": self.median,
            "mae truncated": float(cut.mean()),
            "median truncated": float(np.median(cut)),
        }
        found |= {f"accuracy {k}": self.accuracy(k) for k in self.tolerances}
        found["bias"] = self.bias
        for side in ("left", "right"):
            errors = _known(np.concatenate(getattr(self, side)))
            found[f"{side} mae"] = float(np.abs(errors).mean())
            found[f"{side} median"] = float(np.median(np.abs(errors)))
            found[f"{side} bias"] = float(errors.mean())
        return found

    @property
    def per_utterance(self) -> "PerUtterance":
        """Sums and numbers by utterance, for intervals over utterances."""
        pooled = [
            np.abs(_known(np.concatenate(sides)))
            for sides in zip(self.left, self.right, strict=True)
        ]
        return PerUtterance(
            counts=np.array([len(errors) for errors in pooled]),
            absolute=np.array([errors.sum() for errors in pooled]),
            within={
                k: np.array([np.count_nonzero(errors < k) for errors in pooled])
                for k in self.tolerances
            },
        )


@dataclass(frozen=True)
class PerUtterance:
    """Of each utterance: boundaries, sum of absolute errors in ms, boundaries within tolerances."""

    counts: np.ndarray
    absolute: np.ndarray
    within: dict[int, np.ndarray] = field(default_factory=dict)


def boundary_errors(
    reference: Mapping[str, Words] | Sequence[Words],
    hypothesis: Mapping[str, Words] | Sequence[Words],
    *,
    tolerances: Sequence[int] = TOLERANCES,
) -> BoundaryErrors:
    """Errors of all boundaries of words.

    Parameters
    ----------
    reference, hypothesis : by id of the utterance, or in the same order: seconds [words, 2] (left,
        right), or `WordTime`s. NaN are unknown times; they are left out. Overlaps and gaps are as
        good as anything else.
    tolerances : whole ms.

    Raises
    ------
    InputError
        for utterances without a hypothesis, with another number of words or with other words, and
        if no boundary is known on both sides.
    """
    pairs = _paired(reference, hypothesis)
    left, right = [], []
    missing = 0
    for name, (gold, found) in pairs.items():
        gold_times, found_times = _times(gold, name), _times(found, name)
        _check_words(name, gold, found, len(gold_times), len(found_times))
        errors = np.round((found_times - gold_times) * 1000, _DIGITS)
        missing += int(np.count_nonzero(np.isnan(found_times) & ~np.isnan(gold_times)))
        left.append(errors[:, 0])
        right.append(errors[:, 1])
    if not any(np.isfinite(errors).any() for errors in [*left, *right]):
        raise InputError(f"of {len(pairs)} utterances no word has times on both sides; align again")
    return BoundaryErrors(tuple(pairs), tuple(left), tuple(right), tuple(tolerances), missing)


def merge_pieces(
    boundaries: np.ndarray, word_ids: Sequence[int | None], words: Sequence[str]
) -> np.ndarray:
    """Times of words from those of their pieces: from the first one's left to the last one's right.

    Parameters
    ----------
    boundaries : seconds [pieces, 2].
    word_ids : of each piece the place of its word, as tokenizers give it; None for special tokens.
    words : the words themselves.

    Returns
    -------
    Seconds [words, 2].

    Raises
    ------
    InputError
        for a word without pieces (it names it), and pieces that are not in the order of the words.
    """
    boundaries = np.asarray(boundaries, dtype=float)
    if boundaries.shape != (len(word_ids), 2):
        raise InputError(
            f"{len(word_ids)} word pieces, but times of shape {boundaries.shape}; give two a piece"
        )
    merged = np.full((len(words), 2), math.nan)
    pieces = [(word, times) for word, times in zip(word_ids, boundaries, strict=True)
              if word is not None]  # fmt: skip
    order = [word for word, _ in pieces]
    if order != sorted(order) or (order and not 0 <= order[0] <= order[-1] < len(words)):
        raise InputError(
            f"word pieces belong to words {order[:20]}, of {len(words)}; they must be in order"
        )
    begun: set[int] = set()
    for word, (start, end) in pieces:
        if word not in begun:
            merged[word, 0] = start
            begun.add(word)
        merged[word, 1] = end
    if len(begun) < len(words):
        place = next(k for k in range(len(words)) if k not in begun)
        raise InputError(
            f"word {place + 1}, {words[place]!r}, of {' '.join(words)[:60]!r} has no word pieces; "
            "leave out what the tokenizer does not know"
        )
    return merged


def _paired(
    reference: Mapping[str, Words] | Sequence[Words],
    hypothesis: Mapping[str, Words] | Sequence[Words],
) -> dict[str, tuple[Words, Words]]:
    if not isinstance(reference, Mapping) and not isinstance(hypothesis, Mapping):
        if len(reference) != len(hypothesis):
            raise InputError(f"{len(hypothesis)} hypotheses for {len(reference)} utterances")
        reference = {str(place): words for place, words in enumerate(reference)}
        hypothesis = {str(place): words for place, words in enumerate(hypothesis)}
    if not isinstance(reference, Mapping) or not isinstance(hypothesis, Mapping):
        raise InputError("give reference and hypothesis both by id, or both in order")
    if lacking := [name for name in reference if name not in hypothesis]:
        raise InputError(
            f"no hypothesis for {len(lacking)} of {len(reference)} utterances, such as "
            f"{lacking[0]!r}; align them, or leave them out of the reference"
        )
    return {name: (words, hypothesis[name]) for name, words in reference.items()}


def _times(words: Words, name: str) -> np.ndarray:
    """Seconds [words, 2]."""
    if len(words) and isinstance(words[0], WordTime):
        words = np.array([[word.start_s, word.end_s] for word in words])
    times = np.asarray(words, dtype=float).reshape(-1, 2) if len(words) else np.empty((0, 2))
    if np.isinf(times).any():
        raise InputError(f"{name!r}: a time is infinite; align it again")
    return times


def _check_words(name: str, gold: Words, found: Words, expected: int, count: int) -> None:
    if expected != count:
        raise InputError(
            f"{name!r}: the hypothesis has {count} words, the reference {expected}; align the "
            "words of the reference"
        )
    for place, pair in enumerate(zip(gold, found, strict=True), start=1):
        if all(isinstance(each, WordTime) for each in pair) and pair[0].word != pair[1].word:
            raise InputError(
                f"{name!r}: word {place} is {pair[1].word!r} in the hypothesis, "
                f"{pair[0].word!r} in the reference; align the words of the reference"
            )


def _known(errors: np.ndarray) -> np.ndarray:
    return errors[np.isfinite(errors)]
