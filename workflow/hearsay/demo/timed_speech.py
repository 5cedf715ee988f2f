"""Utterances of the demo at 16 kHz with the exact times of their words."""

from dataclasses import dataclass

import numpy as np
import soxr

from hearsay.corpora.audio import RATE
from hearsay.corpora.word_times import WordTime
from hearsay.demo.espeak import SAMPLE_RATE, Speaker
from hearsay.demo.speech_releases import Person

EDGE = (0.1, 0.3)  # seconds of quiet before and after the words
_SIGNS = ".,;:?!"


@dataclass(frozen=True, eq=False)
class TimedUtterance:
    """A recording, float32 [samples] at 16 kHz, and its words, without signs, with their times."""

    audio: np.ndarray
    words: list[WordTime]

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.audio) / RATE

    @property
    def text(self) -> str:
        """The words, parted by spaces."""
        return " ".join(word.word for word in self.words)


def record(
    draw: np.random.Generator,
    person: Person,
    text: str,
    *,
    speaker: Speaker | None = None,
    edge: tuple[float, float] = EDGE,
) -> TimedUtterance:
    """Let a person speak, with quiet at the edges and the noise of their room throughout.

    Parameters
    ----------
    draw : for the edges and the noise.
    text : words parted by spaces; signs at their ends make pauses.
    speaker : the person's voice in another mood; their own if None.
    edge : seconds, at least and at most.
    """
    spoken = (speaker or person.speaker).speak(text)
    before, after = (draw.uniform(*edge, size=2) * SAMPLE_RATE).astype(int)
    audio = np.pad(spoken.audio / np.abs(spoken.audio).max(), (before, after))
    audio += person.noise * draw.standard_normal(len(audio), dtype=np.float32)
    at_rate = soxr.resample(person.peak * audio, SAMPLE_RATE, RATE).astype(np.float32)
    lead = before / SAMPLE_RATE
    words = [WordTime(w.strip(_SIGNS), lead + a, lead + b) for w, a, b in spoken.words]
    return TimedUtterance(np.clip(at_rate, -1, 1), words)
