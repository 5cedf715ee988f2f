"""Strings of real digits with the exact times of their words, for benchmarks on real speech.

Single digits of the Free Spoken Digit Dataset (8 kHz, six speakers, 50 recordings of each) are
joined into strings of 3 to 7 with known words and short pauses. They are found as
`fsdd/recordings.zip` in the folder that HEARSAY_REAL_DATA names, else in ../shared/data. Nothing of
it goes into this repository. Parts share no recording:

    digits-source/train, dev      four speakers; dev has other recordings of the same people
    digits-fifth/test             a speaker whom nothing is trained on
    digits-sixth/train-5, -20, -100, test    the speaker to whom recognisers are adapted
"""

import csv
import io
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

from hearsay.files import whole_folder
from hearsay.provenance import ROOT

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# In alphabetical order, so that nobody was chosen for a result.
SOURCE, FIFTH, SIXTH = ("george", "jackson", "lucas", "nicolas"), "theo", "yweweler"
RECORDINGS = 50  # of a digit and speaker
RATE = 8000
LENGTHS = (3, 7)  # digits in a string
PAUSE, EDGE = (0.05, 0.25), (0.1, 0.3)  # seconds
NOISE = 1e-3  # of full scale, everywhere: pauses of zeros would betray where digits begin
HELD_OUT = {"source": 10, "sixth": 20}  # recordings of each digit, the first ones, for dev and test
STRINGS = {"train": 80, "dev": 25, "fifth": 100, "test": 80, "adapt": 100}  # of each speaker
ADAPT = (5, 20, 100)  # the smaller ones are the first of the larger
SEED = 0


@dataclass(frozen=True)
class String:
    """Digits of one speaker, spoken one after another."""

    id: str
    part: str
    speaker: str
    digits: tuple[int, ...]
    audio: np.ndarray  # [samples] int16 at 8 kHz
    times: tuple[tuple[float, float], ...]  # seconds, start and end of each recording

    @property
    def row(self) -> list[str]:
        """Of the table."""
        words = " ".join(WORDS[digit] for digit in self.digits)
        return [f"clips/{self.id}.wav", words, self.speaker, self.part]


class Digits:
    """Recordings of the archive, [samples] float32 each."""

    def __init__(self, archive: Path) -> None:
        self._audio: dict[tuple[str, int, int], np.ndarray] = {}
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                if not name.endswith(".wav"):
                    continue
                digit, speaker, number = Path(name).stem.split("_")
                audio, rate = soundfile.read(io.BytesIO(packed.read(name)), dtype="float32")
                if rate != RATE or audio.ndim != 1:
                    sys.exit(f"{archive}: {name} is not mono at {RATE} Hz")
                self._audio[speaker, int(digit), int(number)] = audio

    def strings(
        self, part: str, speaker: str, numbers: Sequence[int], count: int
    ) -> Iterator[String]:
        """`count` strings of recordings `numbers` of each digit, all used before any again."""
        draw = np.random.default_rng([SEED, *f"{part} {speaker}".encode()])
        pool = self._in_turn(draw, numbers)
        for k in range(count):
            chosen = [next(pool) for _ in range(draw.integers(LENGTHS[0], LENGTHS[1] + 1))]
            pieces = [np.zeros(round(draw.uniform(*EDGE) * RATE), np.float32)]
            times = []
            for position, (digit, number) in enumerate(chosen):
                if position:
                    pieces.append(np.zeros(round(draw.uniform(*PAUSE) * RATE), np.float32))
                start = sum(map(len, pieces))
                pieces.append(self._audio[speaker, digit, number])
                times.append((start / RATE, (start + len(pieces[-1])) / RATE))
            pieces.append(np.zeros(round(draw.uniform(*EDGE) * RATE), np.float32))
            audio = np.concatenate(pieces)
            audio = audio + NOISE * draw.standard_normal(len(audio), dtype=np.float32)
            whole = np.clip(np.round(32767 * audio), -32768, 32767).astype(np.int16)
            digits = tuple(digit for digit, _ in chosen)
            yield String(f"{part}-{speaker}-{k:03d}", part, speaker, digits, whole, tuple(times))

    @staticmethod
    def _in_turn(draw: np.random.Generator, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        pairs = [(digit, number) for digit in range(10) for number in numbers]
        while True:
            yield from (pairs[k] for k in draw.permutation(len(pairs)))


def make_corpora(digits: Digits) -> dict[str, list[String]]:
    """All strings, by corpus."""
    first = {kind: range(count) for kind, count in HELD_OUT.items()}
    rest = {kind: range(count, RECORDINGS) for kind, count in HELD_OUT.items()}
    source = [
        string
        for speaker in SOURCE
        for part, numbers in (("train", rest["source"]), ("dev", first["source"]))
        for string in digits.strings(part, speaker, numbers, STRINGS[part])
    ]
    fifth = list(digits.strings("test", FIFTH, range(RECORDINGS), STRINGS["fifth"]))
    sixth = list(digits.strings("test", SIXTH, first["sixth"], STRINGS["test"]))
    adapt = list(digits.strings("adapt", SIXTH, rest["sixth"], STRINGS["adapt"]))
    return {"digits-source": source, "digits-fifth": fifth, "digits-sixth": [*sixth, *adapt]}


def tables_of(strings: Sequence[String]) -> dict[str, list[String]]:
    """Strings by table; the smaller adaptation parts are beginnings of the largest."""
    parts: dict[str, list[String]] = {}
    for string in strings:
        parts.setdefault(string.part, []).append(string)
    adapt = parts.pop("adapt", [])
    return parts | ({f"train-{n}": adapt[:n] for n in ADAPT} if adapt else {})


def find_recordings() -> Path:
    """The archive among the third-party data."""
    folder = Path(os.environ.get("HEARSAY_REAL_DATA") or ROOT.parent / "shared" / "data")
    archive = folder / "fsdd" / "recordings.zip"
    if not archive.is_file():
        sys.exit(f"{archive}: no such file; name the folder of real data in HEARSAY_REAL_DATA")
    return archive


def write_times(path: Path, strings: Sequence[String]) -> None:
    """Write the words of strings with their times, as `hearsay.corpora.table_word_times` reads."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["id", "word", "start_s", "end_s"])
        for each in strings:
            for digit, (start, end) in zip(each.digits, each.times, strict=True):
                table.writerow([f"clips/{each.id}", WORDS[digit], f"{start:.6f}", f"{end:.6f}"])


def prepare(out: Path) -> None:
    """Write the corpora, of kind `table`, each a folder with a table a part."""
    digits = Digits(find_recordings())
    for corpus, strings in make_corpora(digits).items():
        with whole_folder(out / corpus) as folder:
            (folder / "clips").mkdir()
            for string in strings:
                soundfile.write(folder / "clips" / f"{string.id}.wav", string.audio, RATE)
            for part, rows in tables_of(strings).items():
                with (folder / f"{part}.tsv").open("w", encoding="utf-8", newline="") as stream:
                    table = csv.writer(stream, delimiter="\t", lineterminator="\n")
                    table.writerow(["path", "sentence", "speaker", "split"])
                    table.writerows([*row.row[:3], part] for row in rows)
                write_times(folder / f"{part}.words.csv", rows)
                seconds = sum(len(row.audio) for row in rows) / RATE
                print(f"{corpus}/{part}: {len(rows)} strings, {seconds:.0f} s")
