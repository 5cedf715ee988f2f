"""Prepared speech: one line of JSON a clip, as NeMo reads it, and the clip's audio.

A clip is a WAV file, or lies in an uncompressed tar archive, at the bytes that the line names.
"""

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hearsay.corpora.audio import RATE, AudioError, opened
from hearsay.errors import InputError
from hearsay.files import whole_file

_KINDS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "audio_filepath": str,
    "duration": (int, float),
    "samples": int,
    "text": str,
    "raw_text": str,
    "speaker": str,
}


@dataclass(frozen=True, slots=True)
class Clip:
    """One prepared utterance.

    Attributes
    ----------
    id : unique in its manifest.
    audio : mono 16-bit WAV file at 16 kHz, or the tar archive that holds it.
    offset_bytes, size_bytes : where the WAV file lies in a tar archive; else None.
    duration : seconds, exactly `samples` / 16000.
    text : normalised.
    raw_text : as the corpus has it.
    speaker : empty if unknown.
    """

    id: str
    audio: Path
    offset_bytes: int | None
    size_bytes: int | None
    duration: float
    samples: int
    text: str
    raw_text: str
    speaker: str


def write_manifest(path: Path | str, clips: Iterable[Clip]) -> None:
    """Write clips, one a line and ASCII only, with audio relative to the manifest's folder."""
    folder = Path(path).parent
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii") as stream:
        for clip in clips:
            row: dict[str, Any] = {
                "id": clip.id,
                "audio_filepath": Path(os.path.relpath(clip.audio, folder)).as_posix(),
                "duration": clip.duration,
                "samples": clip.samples,
                "text": clip.text,
                "raw_text": clip.raw_text,
                "speaker": clip.speaker,
            }
            if clip.offset_bytes is not None:
                row |= {"offset_bytes": clip.offset_bytes, "size_bytes": clip.size_bytes}
            stream.write(json.dumps(row) + "\n")


def read_manifest(path: Path | str) -> list[Clip]:
    """Read what `write_manifest` wrote; audio is not looked at.

    Raises
    ------
    InputError
        for a manifest that is missing or empty, and, with its number, for a line that is no clip,
        has an id that came before, or a duration that is not its number of samples.
    """
    path = Path(path)
    clips = []
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                clip = _clip(line, path, f"{path}, line {number}")
                if clip.id in seen:
                    raise InputError(
                        f"{path}, line {number}: the id {clip.id!r} came before; {_ANEW}"
                    )
                seen.add(clip.id)
                clips.append(clip)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; prepare_speech makes it") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {_ANEW}") from None
    if not clips:
        raise InputError(f"{path}: holds no clips; {_ANEW}")
    return clips


_ANEW = "remove it and make it anew"
_MOST_SAMPLES = 1 << 40


def _clip(line: str, path: Path, place: str) -> Clip:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or error
        raise InputError(f"{place}: is no JSON ({reason}); {_ANEW}") from None
    if not isinstance(row, dict):
        raise InputError(f"{place}: is no JSON object; {_ANEW}")
    for name, kind in _KINDS.items():
        if name not in row:
            raise InputError(f"{place}: has no {name!r}; {_ANEW}")
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise InputError(f"{place}: {name!r} is {row[name]!r}; {_ANEW}")
    offset, size = row.get("offset_bytes"), row.get("size_bytes")
    if (offset is None) != (size is None) or not all(
        value is None or (isinstance(value, int) and 0 <= value < 1 << 62)
        for value in (offset, size)
    ):
        raise InputError(f"{place}: offset_bytes is {offset!r}, size_bytes {size!r}; {_ANEW}")
    if not 0 < row["samples"] < _MOST_SAMPLES or row["duration"] != row["samples"] / RATE:
        raise InputError(
            f"{place}: the duration is {row['duration']!r} s, but {row['samples']} samples at "
            f"{RATE} Hz; {_ANEW}"
        )
    return Clip(
        id=row["id"],
        audio=path.parent / row["audio_filepath"],
        offset_bytes=offset,
        size_bytes=size,
        duration=row["duration"],
        samples=row["samples"],
        text=row["text"],
        raw_text=row["raw_text"],
        speaker=row["speaker"],
    )


def read_audio(clip: Clip) -> np.ndarray:
    """A clip's audio: float32 [samples] at 16 kHz, full scale 1.

    Raises
    ------
    InputError
        for audio that is gone, damaged, not mono at 16 kHz, or not as long as the manifest says.
    """
    try:
        with clip.audio.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            size = facts.st_size if clip.size_bytes is None else clip.size_bytes
            # A pipe or a device has no end, and a size may be anything.
            if not stat.S_ISREG(facts.st_mode) or (clip.offset_bytes or 0) + size > facts.st_size:
                raise InputError(
                    f"{clip.audio}: the audio of {clip.id!r} ends early, or is no file; prepare "
                    "the corpus anew"
                )
            stream.seek(clip.offset_bytes or 0)
            data = stream.read(size)
    except FileNotFoundError:
        raise InputError(
            f"{clip.audio}: the audio of {clip.id!r} is gone; prepare_speech makes it"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: for a NUL in a name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{clip.audio}: cannot be read: {reason}") from None
    try:
        with opened(data) as file:
            rate, channels = file.samplerate, file.channels
            samples = file.read(dtype="float32", always_2d=True)
    except (AudioError, soundfile.SoundFileError) as error:
        raise InputError(
            f"{clip.audio}: the audio of {clip.id!r} is damaged ({error}); prepare the corpus anew"
        ) from None
    if (rate, channels) != (RATE, 1):
        raise InputError(
            f"{clip.audio}: {clip.id!r} has {channels} channels at {rate} Hz, not one at {RATE}; "
            "prepare the corpus anew"
        )
    if len(samples) != clip.samples:
        raise InputError(
            f"{clip.audio}: {clip.id!r}: the manifest says {clip.samples} samples, the audio has "
            f"{len(samples)}; prepare the corpus anew"
        )
    return samples[:, 0]
