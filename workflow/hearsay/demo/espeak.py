"""Speech from eSpeak NG, with the exact times of its words.

The library and its data come from the Python package ``espeakng-loader`` and are called through
ctypes; no program of the system is needed. Synthesis is synchronous: its sound arrives in pieces,
and with them events that say at which sample a word begins.

The library has one state for the whole process: it is started once, at the first utterance, and
what was spoken before shifts the next utterance by a few samples. So the same texts in the same
order, in a fresh process, give the same bits; in another order they give the same speech.
"""

import ctypes
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from hearsay.errors import InputError

SAMPLE_RATE = 22_050  # of all voices here

# Of espeak-ng/speak_lib.h
_SYNCHRONOUS, _DO_NOT_EXIT = 2, 0x8000
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_LAST_EVENT, _WORD_EVENT, _END_EVENT = 0, 1, 5
_LIMITS = {"rate": (80, 450), "pitch": (0, 100), "pitch_range": (0, 100)}
_WHERE_A_CLAUSE_ENDS = ".,;:?!…"
_SILENT = 0.002  # of full scale
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

_LOCK = threading.Lock()


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, eq=False)
class Spoken:
    """One utterance.

    Attributes
    ----------
    audio : float32 [samples] in [-1, 1), mono, at `SAMPLE_RATE`.
    words : each word as in the text with its start and end in seconds. A word begins at its event;
        it ends where the next one begins, or where it dies away before a pause.
    """

    audio: np.ndarray
    words: list[tuple[str, float, float]]


@dataclass(frozen=True)
class Speaker:
    """A voice and how it speaks.

    Attributes
    ----------
    voice : eSpeak NG's name of a language or accent (``de``, ``en-gb-scotland``), with or without a
        variant (``de+f2``), which makes another person of it.
    rate : words a minute, 80 to 450.
    pitch : of the voice, 0 to 100; 50 is the voice's own.
    pitch_range : how lively, 0 (monotone) to 100.
    """

    voice: str
    rate: int = 160
    pitch: int = 50
    pitch_range: int = 50

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise InputError(
                    f"espeak-ng: {name} {value} of voice {self.voice!r}; set {low} to {high}"
                )

    def speak(self, text: str) -> Spoken:
        """Speak words that are separated by spaces, and note when.

        Commas and the like make pauses, the sign at the end the melody. Some pairs of words are
        single entries in eSpeak NG's dictionaries (*of the*, *such as*) and get one event or a
        wrong one; then the text is spoken again with its words kept apart.

        Raises
        ------
        InputError
            for a text without words, a voice or variant that does not exist, a library that cannot
            be loaded, and for words that get no time (a sign that is not spoken, say).
        """
        words = text.split()
        if not words:
            raise InputError("espeak-ng: there are no words to speak")
        with _LOCK:
            library = _library()
            library.choose(self)
            for together in (" ".join(words), _kept_apart(words)):
                audio, events = library.synthesise(together)
                starts = _starts(together, words, events)
                if None not in starts:
                    return Spoken(audio, _times(words, starts, events, audio))
        missed = ", ".join(repr(w) for w, at in zip(words, starts, strict=True) if at is None)
        raise InputError(
            f"espeak-ng, voice {self.voice}: {len(words)} words in {text!r}, but no time came for "
            f"{missed}; leave them out or write them in letters of the language"
        )


def voices() -> list[str]:
    """Names of all languages and accents, sorted."""
    with _LOCK:
        return sorted(_library().languages)


class _Library:
    """The started library; one a process."""

    def __init__(self, shared: ctypes.CDLL, data: Path) -> None:
        self.shared = shared
        self.pieces: list[np.ndarray] = []
        self.events: list[tuple[int, int, int]] = []
        self.callback = _CALLBACK(self._hear)  # must live as long as the library
        rate = shared.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DO_NOT_EXIT)
        if rate != SAMPLE_RATE:
            raise InputError(
                f"espeak-ng: {data} cannot be read (status {rate}); "
                "install espeakng-loader again: pip install --force-reinstall espeakng-loader"
            )
        shared.espeak_SetSynthCallback(self.callback)
        shared.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
            ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self.variants = {file.name for file in (data / "voices" / "!v").iterdir()}
        self.languages = {f.name.lower() for f in (data / "lang").rglob("*") if f.is_file()}

    def choose(self, speaker: Speaker) -> None:
        """Take the speaker's voice; eSpeak NG itself passes over a variant that it lacks."""
        language, _, variant = speaker.voice.partition("+")
        if language.lower() not in self.languages:
            alike = sorted(name for name in self.languages if name[:2] == language[:2].lower())
            raise InputError(
                f"espeak-ng: no voice {speaker.voice!r}; "
                f"{'like it: ' + ', '.join(alike) if alike else 'use names such as en-us or de'}"
            )
        if variant and variant not in self.variants:
            raise InputError(
                f"espeak-ng: voice {speaker.voice!r} has no variant {variant!r}; "
                f"variants: {', '.join(sorted(self.variants))}"
            )
        if (status := self.shared.espeak_SetVoiceByName(speaker.voice.encode())) != 0:
            raise InputError(
                f"espeak-ng: voice {speaker.voice!r} cannot be loaded (status {status}); "
                "choose another, such as en-us or de"
            )
        for parameter, value in (
            (_RATE, speaker.rate),
            (_PITCH, speaker.pitch),
            (_RANGE, speaker.pitch_range),
        ):
            self.shared.espeak_SetParameter(parameter, value, 0)

    def synthesise(self, text: str) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """Sound, and of each event its type, place in the text (from 0) and sample."""
        self.pieces, self.events = [], []
        data = text.encode()
        self.shared.espeak_ng_SetRandSeed(1)  # of breath; otherwise it is the time of day
        status = self.shared.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        if status != 0 or not self.pieces:
            raise InputError(f"espeak-ng: {text!r} cannot be spoken (status {status})")
        return np.concatenate(self.pieces).astype(np.float32) / 32_768, self.events

    def _hear(self, samples: ctypes.Array, count: int, events: ctypes.Array) -> int:
        """Called by the library with each piece of sound and the events in it."""
        if samples and count:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while (event := events[place]).type != _LAST_EVENT:
            self.events.append((event.type, event.text_position - 1, event.sample))
            place += 1
        return 0


@cache
def _library() -> _Library:
    try:
        import espeakng_loader

        shared = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        shared.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    except (ImportError, OSError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"espeak-ng's library cannot be loaded ({reason}); it comes with the Python package "
            "espeakng-loader: pip install --upgrade espeakng-loader"
        ) from None
    return _Library(shared, data)


def _kept_apart(words: list[str]) -> str:
    """The words with spaces that no entry of a dictionary reaches across, except after a pause."""
    return "".join(
        word + (" " if word[-1] in _WHERE_A_CLAUSE_ENDS else _NO_BREAK_SPACE) for word in words
    ).rstrip()


def _starts(text: str, words: list[str], events: list[tuple[int, int, int]]) -> list[int | None]:
    """First sample of each word, None for a word without an event or with one inside it only."""
    begins, at = [], 0
    for word in words:
        begins.append(text.index(word, at))
        at = begins[-1] + len(word)
    found: list[int | None] = [None] * len(words)
    for kind, place, sample in events:
        if kind != _WORD_EVENT:
            continue
        # After a comma the place is that of the space before the word.
        at = max(0, sum(begin <= place + (text[place : place + 1] == " ") for begin in begins) - 1)
        if found[at] is None:
            found[at] = sample
    return found


def _times(
    words: list[str],
    starts: list[int | None],
    events: list[tuple[int, int, int]],
    audio: np.ndarray,
) -> list[tuple[str, float, float]]:
    """Words with start and end in seconds; some variants have an echo behind the last event."""
    last = max((sample for kind, _, sample in events if kind == _END_EVENT), default=len(audio))
    edges = [*starts, min(last, len(audio))]
    times = []
    for word, start, end in zip(words, starts, edges[1:], strict=True):
        (heard,) = np.nonzero(np.abs(audio[start:end]) > _SILENT)
        stop = start + heard[-1] + 1 if len(heard) else end
        times.append((word, start / SAMPLE_RATE, int(stop) / SAMPLE_RATE))  # type: ignore[arg-type,operator]
    return times
