"""Spoken utterances as releases of Common Voice and LibriSpeech lay them out, in tar.gz archives.

Common Voice release 4 (December 2019): one table a part, tab-separated without quoting, and clips
as mono MP3 at 48 kHz. LibriSpeech: FLAC at 16 kHz by speaker and chapter, with the texts of a
chapter in one file, in capitals. Equal utterances give equal archives, byte for byte.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hearsay.demo.espeak import SAMPLE_RATE, Speaker
from hearsay.demo.spoken_sentences import as_written

RELEASE = "cv-corpus-4-2019-12-10"
COLUMNS = ("client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent")
TABLES = ("train", "dev", "test", "validated", "invalidated", "other")
CHAPTER = 20  # utterances

_ACCENTS = {
    "en-us": "us",
    "en-us-nyc": "us",
    "en": "england",
    "en-gb-x-rp": "england",
    "en-gb-x-gbclan": "england",
    "en-gb-x-gbcwmd": "england",
    "en-gb-scotland": "scotland",
    "en-029": "bermuda",
}
_AGES = ("twenties", "thirties", "fourties", "fifties", "")  # as Common Voice spells them


@dataclass(frozen=True)
class Person:
    """Someone who speaks, in a room.

    Attributes
    ----------
    peak : largest amplitude of their recordings, of full scale.
    noise : standard deviation of the noise, of the peak.
    """

    speaker: Speaker
    gender: str
    peak: float
    noise: float

    @property
    def name(self) -> str:
        """Unlike that of any other person of the demo."""
        return f"{self.speaker.voice} {self.speaker.pitch} {self.speaker.rate}"


@dataclass(frozen=True, eq=False)
class Utterance:
    """A sentence in lower case, and its recording: float32 [samples] at eSpeak NG's rate."""

    person: Person
    text: str
    audio: np.ndarray

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.audio) / SAMPLE_RATE


def write_common_voice(
    folder: Path, language: str, parts: Mapping[str, Sequence[Utterance]]
) -> None:
    """Write ``{RELEASE}-{language}.tar.gz``: all tables, those without utterances too.

    As in a real release there are sentences with signs and capitals, one with a quotation mark that
    never closes, and outside the parts that are used an empty clip and one that is missing.
    """
    clips = dict(zip(_clip_names(language), (u for us in parts.values() for u in us), strict=False))
    names = iter(clips)
    tables = dict.fromkeys((*TABLES, *parts), "")
    for part, utterances in parts.items():
        rows = [_row(next(names), u, language, k) for k, u in enumerate(utterances)]
        tables[part] = "".join(rows)
        tables["validated"] += "".join(rows)
    recorded = _encode(list(clips.values()), 48_000, "MP3")
    members = {f"clips/{name}": data for name, data in zip(clips, recorded, strict=True)}

    # Clips that listeners turned down, or that nobody has listened to.
    last = [u for us in parts.values() for u in us][-2:]
    extra = [name for name, _ in zip(_clip_names(language, 18_000_000), range(4), strict=False)]
    members |= {f"clips/{extra[0]}": b"", f"clips/{extra[2]}": recorded[-1]}
    tables["invalidated"] += _row(extra[0], last[0], language, 0, votes=(0, 2))
    tables["other"] += _row(extra[1], last[0], language, 0, votes=(0, 0))  # its clip is missing
    tables["other"] += _row(extra[2], last[-1], language, 1, votes=(1, 0))

    header = "\t".join(COLUMNS) + "\n"
    members |= {f"{table}.tsv": (header + rows).encode() for table, rows in tables.items()}
    within = f"{RELEASE}/{language}"
    write_archive(
        folder / f"{RELEASE}-{language}.tar.gz",
        {f"{within}/{name}": data for name, data in members.items()},
    )


def _clip_names(language: str, first: int = 17_000_000) -> Iterator[str]:
    number = first
    while True:
        yield f"common_voice_{language}_{number}.mp3"
        number += 1


def _row(
    clip: str,
    utterance: Utterance,
    language: str,
    place: int,
    votes: tuple[int, int] = (2, 0),
) -> str:
    person = utterance.person
    digest = hashlib.sha512(person.name.encode()).hexdigest()
    written = as_written(language, utterance.text)
    written += (".", "!", ".", "", "?")[place % 5]
    if place == 2:
        written = f'"{written}'  # never closed
    elif place % 11 == 5:
        written = f"„{written}“"
    accent = _ACCENTS.get(person.speaker.voice.partition("+")[0], "")
    age = _AGES[int(digest[:4], 16) % len(_AGES)]
    values = (digest, clip, written, *map(str, votes), age, person.gender, accent)
    return "\t".join(values) + "\n"


def write_librispeech(folder: Path, parts: Mapping[str, Sequence[Utterance]]) -> None:
    """Write ``{part}.tar.gz`` for each part, with ``SPEAKERS.TXT`` beside its folder."""
    names = sorted({u.person.name for utterances in parts.values() for u in utterances})
    number_of = {name: 100 + 7 * k for k, name in enumerate(names)}
    for part, utterances in parts.items():
        members: dict[str, bytes] = {}
        texts: dict[str, list[str]] = {}
        spoken: dict[int, int] = {}
        about: dict[int, str] = {}
        recorded = _encode(utterances, 16_000, "FLAC")
        for utterance, data in zip(utterances, recorded, strict=True):
            number = number_of[utterance.person.name]
            count = spoken[number] = spoken.get(number, -1) + 1
            chapter = 100_000 + 10 * number + count // CHAPTER
            within = f"LibriSpeech/{part}/{number}/{chapter}"
            name = f"{number}-{chapter}-{count % CHAPTER:04d}"
            members[f"{within}/{name}.flac"] = data
            lines = texts.setdefault(f"{within}/{number}-{chapter}.trans.txt", [])
            lines.append(f"{name} {utterance.text.upper()}\n")
            sex = utterance.person.gender[0].upper()
            about[number] = f"{number:<4} | {sex} | {part:<16} | 0.50  | eSpeak NG\n"
        members |= {name: "".join(lines).encode() for name, lines in texts.items()}
        speakers = ";ID  |SEX| SUBSET           |MINUTES| NAME\n"
        speakers += "".join(line for _, line in sorted(about.items()))
        members["LibriSpeech/SPEAKERS.TXT"] = speakers.encode()
        write_archive(folder / f"{part}.tar.gz", members)


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a tar.gz whose bytes depend on its members alone: sorted, without times or owners."""
    with (
        path.open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, data in sorted(members.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _encode(utterances: Sequence[Utterance], rate: int, kind: str) -> list[bytes]:
    """Encoded files; the encoders leave Python free, so that threads help."""

    def encode(utterance: Utterance) -> bytes:
        audio = soxr.resample(utterance.audio, SAMPLE_RATE, rate)
        data = io.BytesIO()
        soundfile.write(data, np.clip(audio, -1, 1), rate, format=kind)
        return data.getvalue()

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(encode, utterances))
