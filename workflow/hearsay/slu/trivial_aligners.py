"""Aligners that hear nothing, or only where speech begins and ends; and how good one can be at all.

The least that an aligner must beat. Each divides a stretch of the audio among words by something
that is known of them without listening: the number of their word pieces, of their letters, or
nothing. With one weight a word piece on the whole audio it is CIF with a constant α, which is what
CIF does before any training.

All times are seconds, all results float64 [words, 2] (left and right).
"""

from collections.abc import Sequence

import numpy as np

from hearsay.corpora.audio import RATE
from hearsay.errors import InputError

Span = tuple[float, float]

_WINDOW, _HOP = RATE * 25 // 1000, RATE * 10 // 1000  # samples
_LOUD, _QUIET = 95, 5  # percentiles of frames' levels
_ABOVE = 0.25  # of the way from the quiet to the loud level
_RANGE = 60.0  # dB below the loud level, at which the quiet one is put if it is still less
_LASTING = 5  # frames: a click, which three windows see, is no speech


def proportional(weights: Sequence[float] | np.ndarray, span: Span) -> np.ndarray:
    """Words one after the other, each as long as its weight; without gaps.

    Raises
    ------
    InputError
        for no words, a weight that is not positive, and a span that ends before it begins.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 1 or not len(weights):
        raise InputError("there are no words to align; leave out utterances without a transcript")
    if not (np.isfinite(weights) & (weights > 0)).all():
        place = int(np.argmin(np.isfinite(weights) & (weights > 0)))
        raise InputError(
            f"word {place + 1} has the weight {weights[place]:g}; every word needs a piece or a "
            "letter"
        )
    start, end = span
    if not start < end:
        raise InputError(f"speech from {start:g} to {end:g} s; it must end after its start")
    edges = start + (end - start) * np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    edges[-1] = end
    return np.stack([edges[:-1], edges[1:]], axis=1)


def constant_alpha(pieces: Sequence[int], duration: float, *, edge_tokens: int = 0) -> np.ndarray:
    """CIF with the same α at every frame: all word pieces are equally long.

    Parameters
    ----------
    pieces : word pieces of each word.
    duration : of the audio.
    edge_tokens : tokens before the first and after the last word that take their share, too: 1
        where [CLS] and [SEP] are emitted.
    """
    edges = [float(edge_tokens)] if edge_tokens else []
    times = proportional([*edges, *pieces, *edges], (0.0, duration))
    return times[1:-1] if edge_tokens else times


def uniform_words(count: int, span: Span) -> np.ndarray:
    """All words are equally long."""
    return proportional(np.ones(count), span)


def uniform_pieces(pieces: Sequence[int], span: Span) -> np.ndarray:
    """All word pieces are equally long."""
    return proportional(pieces, span)


def uniform_characters(words: Sequence[str], span: Span) -> np.ndarray:
    """All characters are equally long; spaces take no time."""
    return proportional([len(word.replace(" ", "")) for word in words], span)


def energy_end_points(audio: np.ndarray) -> Span:
    """Where sound begins and ends: the first and last 50 ms that are clearly louder than the rest.

    The threshold lies a quarter of the way, in dB, from the level of the quietest frames to that
    of the loudest.

    Parameters
    ----------
    audio : [samples] at 16 kHz.

    Returns
    -------
    Start and end; those of the audio where nothing stands out.
    """
    whole = (0.0, len(audio) / RATE)
    if len(audio) < _WINDOW:
        return whole
    frames = np.lib.stride_tricks.sliding_window_view(audio, _WINDOW)[::_HOP].astype(float)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.percentile(level, _LOUD)
    quiet = max(np.percentile(level, _QUIET), loud - _RANGE)
    above = level > quiet + _ABOVE * (loud - quiet)
    lasting = np.convolve(above, np.ones(_LASTING), "valid") == _LASTING
    (found,) = np.nonzero(lasting)
    if not len(found):
        return whole
    # A frame stands for the hop in its middle.
    before = (_WINDOW - _HOP) / 2
    start = (found[0] * _HOP + before) / RATE
    end = ((found[-1] + _LASTING - 1) * _HOP + before + _HOP) / RATE
    return float(start), float(min(end, whole[1]))


def oracle_span(reference: np.ndarray) -> Span:
    """From the start of the first to the end of the last word of the reference [words, 2]."""
    return float(np.nanmin(reference)), float(np.nanmax(reference))


def perfect_tiling(reference: np.ndarray, duration: float | None = None) -> np.ndarray:
    """The reference as well as words without gaps and overlaps can have it: a floor of errors.

    Each boundary lies in the middle between the end of one word and the start of the next.

    Parameters
    ----------
    reference : [words, 2].
    duration : of the audio, where the first word must begin and the last one end with it, as CIF's
        do without tokens for the silence at the edges.
    """
    ends, starts = reference[:-1, 1], reference[1:, 0]
    ends, starts = np.where(np.isnan(ends), starts, ends), np.where(np.isnan(starts), ends, starts)
    edges = np.concatenate(
        [
            [reference[0, 0] if duration is None else 0.0],
            (ends + starts) / 2,
            [reference[-1, 1] if duration is None else duration],
        ]
    )
    return np.stack([edges[:-1], edges[1:]], axis=1)


def rounded_to_frames(reference: np.ndarray, frame: float = 0.02) -> np.ndarray:
    """The reference with every time at the nearest edge of a frame: a floor of errors, too."""
    return np.round(np.asarray(reference) / frame) * frame


def trivial_alignments(
    words: Sequence[str],
    pieces: Sequence[int],
    audio: np.ndarray,
    reference: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """All of them for one utterance, by the names that tables use.

    Parameters
    ----------
    words : as the reference has them.
    pieces : word pieces of each word.
    audio : [samples] at 16 kHz.
    reference : [words, 2] with the right times; without it the rows that need it are left out.

    Raises
    ------
    InputError
        for an empty transcript, a word without pieces, and another number of them than of words.
    """
    if len(pieces) != len(words):
        raise InputError(f"{len(words)} words, but word pieces of {len(pieces)}; give one a word")
    duration = len(audio) / RATE
    whole, heard = (0.0, duration), energy_end_points(audio)
    found = {
        "constant alpha": constant_alpha(pieces, duration),
        "uniform words": uniform_words(len(words), whole),
        "uniform pieces, energy": uniform_pieces(pieces, heard),
        "characters": uniform_characters(words, whole),
        "characters, energy": uniform_characters(words, heard),
    }
    if reference is not None:
        found |= {
            "characters, oracle span": uniform_characters(words, oracle_span(reference)),
            "perfect tiling": perfect_tiling(reference),
            "perfect tiling, whole audio": perfect_tiling(reference, duration),
            "rounded to frames": rounded_to_frames(reference),
        }
    return found
