"""Speech to listen to on the result page, with the words and transcripts found in it."""

import base64
import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

from hearsay.errors import InputError
from hearsay.paper.manifest import Clips

MOST_BYTES, MOST_SECONDS = 400_000, 60  # of one recording: the page stays one small file


@dataclass(frozen=True)
class Word:
    """A word with its times in seconds."""

    text: str
    start: float
    end: float


@dataclass
class Heard:
    """What one run, or the corpus itself, found in a recording: words with their times, or a
    transcript; neither where it was not run on the recording.
    """

    name: str
    path: Path
    words: list[Word] = field(default_factory=list)
    transcript: str | None = None


@dataclass
class ShownClip:
    """One recording as a data URI, its text, and what was heard in it."""

    id: str
    text: str
    seconds: float
    audio: str
    heard: list[Heard]


def read_clips(clips: Clips) -> list[ShownClip]:
    """The first recordings of a manifest that are WAV files short enough for the page."""
    tables = [(name, path, _rows(path)) for name, path in clips.heard]
    shown: list[ShownClip] = []
    try:
        for line in clips.manifest.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            file = clips.manifest.parent / entry["audio_filepath"]
            if file.suffix != ".wav" or not file.is_file() or file.stat().st_size > MOST_BYTES:
                continue
            if not 0 < float(entry["duration"]) < MOST_SECONDS:
                continue
            audio = base64.b64encode(file.read_bytes()).decode()
            shown.append(
                ShownClip(
                    entry["id"],
                    entry["text"],
                    float(entry["duration"]),
                    f"data:audio/wav;base64,{audio}",
                    [_heard(*table, entry["id"], clips.test) for table in tables],
                )
            )
            if len(shown) == clips.number:
                break
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{clips.manifest}: no speech to listen to: {error}") from None
    return shown


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: neither times of words nor transcripts: {error}") from None


def _heard(name: str, path: Path, table: list[dict[str, str]], clip: str, test: str) -> Heard:
    """What a table of words' times or of transcripts has of one recording."""
    try:
        rows = [row for row in table if row["id"] == clip]
        if rows and "word" in rows[0]:
            timed = [r for r in rows if r["start_s"] and r["end_s"]]  # others have no place
            words = [Word(r["word"], float(r["start_s"]), float(r["end_s"])) for r in timed]
            return Heard(name, path, words=words)
        told = [row["hypothesis"] for row in rows if row["test"] == test]
        return Heard(name, path, transcript=told[0] if told else None)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: neither times of words nor transcripts: {error}") from None
