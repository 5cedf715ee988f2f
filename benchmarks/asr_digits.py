"""Real speech: digits of six people, a recogniser for four of them adapted to the sixth.

python benchmarks/asr_digits.py prepare results/asr-digits/corpora
snakemake --configfile benchmarks/asr_digits.yaml --cores 2 asr
python benchmarks/asr_digits.py record results/asr-digits --out benchmarks/asr_digits.md

`prepare` joins the single digits of the Free Spoken Digit Dataset (8 kHz, six speakers, 50
recordings of each digit) into strings of 3 to 7 with known words and short pauses. It finds
`fsdd/recordings.zip` in the folder that HEARSAY_REAL_DATA names, else in ../shared/data. Nothing of
it goes into this repository. Parts share no recording:

    digits-source/train, dev      four speakers; dev has other recordings of the same people
    digits-fifth/test             a speaker whom no recogniser is trained on
    digits-sixth/train-5, -20, -100, test    the speaker to whom recognisers are adapted
"""

import argparse
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

from asr_record import Trainings, interval_text, machine_line, write_page

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

BEFORE = "pretrained"
PARTS = {
    "digits-source/dev": "four source speakers, dev",
    "digits-fifth/test": "fifth speaker",
    "digits-sixth/test": "sixth speaker",
}


@dataclass(frozen=True)
class String:
    """Digits of one speaker, spoken one after another."""

    id: str
    part: str
    speaker: str
    digits: tuple[int, ...]
    audio: np.ndarray  # [samples] int16 at 8 kHz

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
            for position, (digit, number) in enumerate(chosen):
                if position:
                    pieces.append(np.zeros(round(draw.uniform(*PAUSE) * RATE), np.float32))
                pieces.append(self._audio[speaker, digit, number])
            pieces.append(np.zeros(round(draw.uniform(*EDGE) * RATE), np.float32))
            audio = np.concatenate(pieces)
            audio = audio + NOISE * draw.standard_normal(len(audio), dtype=np.float32)
            whole = np.clip(np.round(32767 * audio), -32768, 32767).astype(np.int16)
            digits = tuple(digit for digit, _ in chosen)
            yield String(f"{part}-{speaker}-{k:03d}", part, speaker, digits, whole)

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
                seconds = sum(len(row.audio) for row in rows) / RATE
                print(f"{corpus}/{part}: {len(rows)} strings, {seconds:.0f} s")


def rates_table(runs: Trainings) -> str:
    """Word error rate of every run and seed on every part, and the change against before."""
    heads = " | ".join(f"{title}, % (95 %)" for title in PARTS.values())
    lines = [
        f"| run | seed | {heads} | change on source, points | change on sixth, points | "
        "steps | training, s |",
        f"|---|--:|{'--:|' * len(PARTS)}--:|--:|--:|--:|",
    ]
    for run, seed in runs.trainings("en"):
        cells = [run, str(seed)]
        cells += [interval_text(runs, "en", run, seed, part) for part in PARTS]
        for part in ("digits-source/dev", "digits-sixth/test"):
            cells.append(_change(runs, run, seed, part))
        record = runs.record("en", run, seed)
        cells += [str(record["steps"]), f"{record['training_seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _change(runs: Trainings, run: str, seed: int, part: str) -> str:
    """Points of word error rate against the pretrained recogniser, with a paired interval."""
    if run == BEFORE or not runs.record("en", run, seed)["settings"]["recipe"].get("decoder"):
        return "–"
    if runs.recipe("en", run)["decoder"] != "same-alphabet":
        return "–"
    change, low, high = runs.paired("en", (run, seed), (BEFORE, seed), part)
    return f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def means_table(runs: Trainings) -> str:
    """Means over seeds."""
    lines = [
        f"| run | seeds | {' | '.join(PARTS.values())} |",
        f"|---|--:|{'--:|' * len(PARTS)}",
    ]
    for run in runs.runs("en"):
        cells = [f"{100 * runs.mean('en', run, part):.1f}" for part in PARTS]
        lines.append(f"| {run} | {len(runs.seeds('en', run))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def findings(runs: Trainings) -> str:
    """What holds here and what does not, from the means over seeds."""
    source, fifth, sixth = PARTS
    mean = {
        run: {part: 100 * runs.mean("en", run, part) for part in PARTS} for run in runs.runs("en")
    }
    before = mean[BEFORE]
    told = [
        f"- A speaker never heard: {before[source]:.1f} % on the source speakers' held-out "
        f"recordings, {before[fifth]:.1f} % on the fifth speaker, {before[sixth]:.1f} % on the "
        "sixth."
    ]
    for count in ADAPT:
        alone, mixed = mean[f"adapted-{count}"], mean[f"mixed-{count}"]
        helps = "helps" if alone[sixth] < before[sixth] else "does not help"
        forgets = alone[source] - before[source]
        kept = mixed[source] - before[source]
        repaired = "less" if mixed[source] < alone[source] else "not less"
        told.append(
            f"- {count} strings {helps}: sixth speaker {before[sixth]:.1f} → {alone[sixth]:.1f} %, "
            f"and {mixed[sixth]:.1f} % with source data mixed in. Source speakers {forgets:+.1f} "
            f"points on target data alone, {kept:+.1f} mixed: {repaired} is "
            "forgotten with the mixture."
        )
    scratch = mean["scratch-100"]
    beats = "beats" if mean["adapted-100"][sixth] < scratch[sixth] else "does not beat"
    told.append(
        f"- Adapting {beats} training from scratch on the same 100 strings: "
        f"{mean['adapted-100'][sixth]:.1f} against {scratch[sixth]:.1f} % on the sixth speaker."
    )
    return "## What holds here\n\n" + "\n".join(told)


def explain(runs: Trainings) -> str:
    """What was trained on what."""
    counts = ", ".join(
        f"{title} {runs.count('en', BEFORE, part)} strings" for part, title in PARTS.items()
    )
    recipes = "; ".join(
        f"{run}: {runs.recipe('en', run)['epochs']} epochs at "
        f"{runs.recipe('en', run)['learning_rate']:g}"
        for run in runs.runs("en")
    )
    parameters = int(runs.record("en", BEFORE, runs.seeds("en", BEFORE)[0])["parameters"])
    return (
        "Free Spoken Digit Dataset: single digits at 8 kHz, joined into strings of 3 to 7 with "
        "pauses. Pretrained on 320 strings of four speakers (george, jackson, lucas, nicolas); "
        "tested on other recordings of theirs, on theo, who is never trained on, and on held-out "
        f"recordings of yweweler, to whom it is adapted ({counts}). QuartzNet `narrow`, "
        f"{parameters:,} parameters. `adapted-N`: N strings of the sixth speaker alone; `mixed-N`: "
        "the same with as many clips of the source speakers in every epoch, hence twice the steps; "
        "`scratch-100`: no pretraining. Intervals are 95 % bootstraps over strings, those of "
        "changes paired; strings share recordings, so that they are rather too narrow.\n\n"
        f"Recipes (Novograd, batch 8, cosine): {recipes}."
    )


def main() -> None:
    """Prepare the corpora, or write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="write the corpora")
    command.add_argument("folder", type=Path)
    command = commands.add_parser("record", help="tables of a finished results folder")
    command.add_argument("results", type=Path, help="such as results/asr-digits")
    command.add_argument("--out", type=Path, help="Markdown to write")
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.folder)
        return
    runs = Trainings(options.results)
    write_page(
        "# Recognition of real digits: a new speaker with 5, 20 and 100 strings",
        [
            explain(runs),
            machine_line(runs),
            rates_table(runs),
            "Means over seeds, %:",
            means_table(runs),
            findings(runs),
        ],
        options.out,
    )


if __name__ == "__main__":
    main()
