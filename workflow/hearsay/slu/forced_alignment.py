"""A transcript forced onto the outputs of a recogniser: the best path of CTC through its labels.

The upper reference of the tables of alignment: it knows the words, as all aligners here do, and has
learnt with CTC which frame sounds like which letter. Whose outputs these are is up to the caller.

Source: A. Graves et al., "Connectionist temporal classification", ICML 2006, Sections 3.1 and 4.1;
the best path of that trellis by A. Viterbi, 1967.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hearsay.errors import InputError


@dataclass(frozen=True)
class Alignment:
    """The most probable path that reads as the transcript.

    Attributes
    ----------
    path : int64 [frames], place of the label in the transcript, -1 for the blank.
    first, last : int64 [labels], frames at which each label begins and ends, both included.
    score : log-probability of the path.
    """

    path: np.ndarray
    first: np.ndarray
    last: np.ndarray
    score: float


def frames_needed(labels: Sequence[int]) -> int:
    """Frames that CTC needs at least: one a label, and a blank between equal neighbours."""
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def force_alignment(log_probs: np.ndarray, labels: Sequence[int], blank: int) -> Alignment:
    """Viterbi's path through CTC's trellis: blank, label, blank, label, …, blank.

    Parameters
    ----------
    log_probs : [frames, labels of the model], of one utterance without padding.
    labels : the transcript, none of them the blank.
    blank : place of CTC's blank.

    Returns
    -------
    The best path; of equally good ones the one whose labels end latest.

    Raises
    ------
    InputError
        for an empty transcript, labels that the model lacks, fewer frames than the transcript
        needs, values that are no numbers, and a transcript of probability 0.
    """
    scores = np.asarray(log_probs, dtype=float)
    targets = np.asarray(labels, dtype=np.int64)
    _check(scores, targets, blank)
    states = np.full(2 * len(targets) + 1, blank)
    states[1::2] = targets
    # From a label one may skip the blank to the next, unless that is the same again.
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = targets[1:] != targets[:-1]

    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, states[:2]]
    moves = np.zeros((len(scores), len(states)), dtype=np.int8)
    candidates = np.full((3, len(states)), -np.inf)
    for frame in range(1, len(scores)):
        candidates[0] = best
        candidates[1, 1:] = best[:-1]
        candidates[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        moves[frame] = candidates.argmax(axis=0)
        best = candidates.max(axis=0) + scores[frame, states]
    state = len(states) - 1 if best[-1] > best[-2] else len(states) - 2
    if best[state] == -np.inf:
        raise InputError(
            "the recogniser holds the transcript impossible (probability 0); check that its "
            "alphabet is that of the labels"
        )
    score = float(best[state])
    path = np.empty(len(scores), dtype=np.int64)
    for frame in range(len(scores) - 1, -1, -1):
        path[frame] = state // 2 if state % 2 else -1
        state -= int(moves[frame, state])
    places = np.arange(len(targets))
    said = path >= 0
    first = np.searchsorted(path[said], places, side="left")
    last = np.searchsorted(path[said], places, side="right") - 1
    (frames,) = np.nonzero(said)
    return Alignment(path, frames[first], frames[last], score)


def words_of_alignment(
    alignment: Alignment,
    words: Sequence[int],
    frame: float,
    *,
    offset: float = 0.0,
    share_blanks: float = 0.0,
) -> np.ndarray:
    """Times of words, from those of their labels.

    Parameters
    ----------
    alignment : of the labels of all words with one label, such as a space, between neighbours.
    words : number of labels of each word.
    frame : seconds from one frame to the next.
    offset : seconds from the audio's start to that of the first frame.
    share_blanks : CTC names a sound once and is then silent; blanks and spaces up to this many
        seconds between two words are therefore divided between them. Longer ones are a pause.

    Returns
    -------
    Seconds [words, 2].

    Raises
    ------
    InputError
        for a word without labels, and another number of labels than was aligned.
    """
    lengths = np.asarray(words, dtype=np.int64)
    if not len(lengths) or lengths.min() < 1:
        raise InputError("a word without labels cannot be aligned; leave it out of the transcript")
    if lengths.sum() + len(lengths) - 1 != len(alignment.first):
        raise InputError(
            f"{len(lengths)} words with {lengths.sum()} labels and a space between them, but "
            f"{len(alignment.first)} labels were aligned; align the same words"
        )
    begins = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
    times = np.stack(
        [alignment.first[begins], alignment.last[begins + lengths - 1] + 1], axis=1
    ).astype(float)
    gaps = times[1:, 0] - times[:-1, 1]
    shared = gaps * frame <= share_blanks
    middle = times[:-1, 1] + gaps / 2
    times[:-1, 1] = np.where(shared, middle, times[:-1, 1])
    times[1:, 0] = np.where(shared, middle, times[1:, 0])
    return offset + times * frame


def _check(scores: np.ndarray, targets: np.ndarray, blank: int) -> None:
    if scores.ndim != 2 or not len(scores):
        raise InputError(f"log-probabilities of shape {scores.shape}; give [frames, labels]")
    if np.isnan(scores).any():
        raise InputError("log-probabilities hold values that are no numbers; look at the audio")
    if not len(targets):
        raise InputError("the transcript is empty: there is nothing to align; leave it out")
    outside = [k for k in targets.tolist() if not 0 <= k < scores.shape[1] or k == blank]
    if outside or not 0 <= blank < scores.shape[1]:
        which = outside[0] if outside else blank
        raise InputError(
            f"label {which}: the recogniser has {scores.shape[1]} with the blank at {blank}; "
            "encode the transcript with its labels"
        )
    needed = frames_needed(targets.tolist())
    if needed > len(scores):
        raise InputError(
            f"the transcript needs {needed} frames, the audio has {len(scores)}; it is not what is "
            "said, or is far too long"
        )
