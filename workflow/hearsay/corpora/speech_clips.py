"""From one audio file to the 16-bit clips of the utterances in it: what a worker process does."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hearsay.corpora.audio import (
    RATE,
    AudioError,
    check_whole,
    decode_piece,
    frames_of,
    opened,
    to_int16,
    wav_bytes,
)

if TYPE_CHECKING:
    import soundfile


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths in seconds outside of which a clip is rejected, and is CTC's need a reason, too?

    Those of a part for validation are None and False: it is never filtered by length.
    """

    min_duration: float | None = None
    max_duration: float | None = None
    feasible: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """An utterance in an audio file.

    Attributes
    ----------
    index : place in the listing.
    start, end, channel, duration : as of a `Recording`.
    needed : frames that CTC needs for its text.
    file : WAV file to write; its bytes are handed back if None.
    """

    index: int
    start: float | None
    end: float | None
    channel: int | None
    duration: float | None
    needed: int
    file: Path | None


@dataclass(frozen=True, slots=True)
class Request:
    """One audio file's bytes and the utterances in it."""

    audio: str
    data: bytes
    pieces: tuple[Piece, ...]
    limits: Limits


@dataclass(slots=True)
class Outcome:
    """What became of an utterance: samples with their checksum, or a reason why it is not used."""

    index: int
    samples: int = 0
    sha256: str = ""
    reason: str = ""
    detail: str = ""
    wav: bytes | None = None


def cut(request: Request) -> list[Outcome]:
    """Decode, resample and write every utterance of an audio file."""
    try:
        with opened(request.data) as file:
            outcomes = []
            for piece in request.pieces:
                try:
                    if piece.end is None:
                        check_whole(request.data)
                    outcomes.append(_clip(file, piece, request.limits))
                except AudioError as error:
                    outcomes.append(_rejected(piece, error))
            return outcomes
    except AudioError as error:
        return [_rejected(piece, error) for piece in request.pieces]


def crashed(request: Request, signal: str) -> list[Outcome]:
    """Outcomes of an audio file that brought the decoder down."""
    error = AudioError("unreadable", f"the decoder crashed on it ({signal})")
    return [_rejected(piece, error) for piece in request.pieces]


def _clip(file: "soundfile.SoundFile", piece: Piece, limits: Limits) -> Outcome:
    samples = decode_piece(
        file, start=piece.start, end=piece.end, channel=piece.channel, stated=piece.duration
    )
    _check_length(len(samples), piece.needed, limits)
    rounded = to_int16(samples)
    digest = hashlib.sha256(rounded.data).hexdigest()
    outcome = Outcome(piece.index, len(rounded), digest)
    wav = wav_bytes(rounded)
    if piece.file is None:
        outcome.wav = wav
    else:
        piece.file.write_bytes(wav)
    return outcome


def _check_length(samples: int, needed: int, limits: Limits) -> None:
    seconds = samples / RATE
    if limits.min_duration is not None and seconds < limits.min_duration:
        raise AudioError("too-short", f"{seconds:.3f} s, less than {limits.min_duration:g}")
    if limits.max_duration is not None and seconds > limits.max_duration:
        raise AudioError("too-long", f"{seconds:.3f} s, more than {limits.max_duration:g}")
    if limits.feasible and needed > frames_of(samples):
        raise AudioError(
            "infeasible",
            f"its text needs {needed} frames of 20 ms for CTC, the audio has {frames_of(samples)}",
        )


def _rejected(piece: Piece, error: AudioError) -> Outcome:
    return Outcome(piece.index, reason=error.reason, detail=error.detail)
