"""Write a corpus of the demo's speech in the layout of TIMIT, with the exact times of its words.

``TRAIN/DR1/FABC0/SX1.WAV`` is one utterance, ``.WRD`` beside it has its words with first and last
sample, ``.TXT`` its text. Everybody reads the same two sentences SA1 and SA2, as in TIMIT; else
training and test share neither sentences nor persons. Between the clauses of a sentence some
speakers pause, so that not all words touch.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer
from tqdm import tqdm

from hearsay.corpora.audio import RATE, to_int16, wav_bytes
from hearsay.demo.speech_releases import Person
from hearsay.demo.spoken_sentences import make_sentences
from hearsay.demo.timed_speech import TimedUtterance, record
from hearsay.demo.write_speech_corpus import cast
from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.provenance import Run

STEP = "hearsay.demo.write_timit"

DIALECTS = 8
SHARED = 2  # sentences that everybody reads
PAUSED = 0.5  # share of joints between clauses at which there is a pause


def sentences_of(options: dict[str, Any]) -> tuple[list[str], dict[str, list[str]]]:
    """Sentences that everybody reads, and those of each part, with commas where a pause is made.

    Parameters
    ----------
    options : utterances by part, clauses (of a sentence, at most), seed.
    """
    most, seed, parts = options["clauses"], options["seed"], options["utterances"]
    if most < 1:
        raise InputError(f"clauses: {most}; a sentence has at least one")
    counts = {"everybody": SHARED * most} | {part: n * most for part, n in sorted(parts.items())}
    drawn = make_sentences("en", counts, seed)
    found = {}
    for part, clauses in drawn.items():
        draw = np.random.default_rng([seed, *f"sentences {part}".encode()])
        left = iter(clauses)
        found[part] = [
            _joined(draw, [next(left) for _ in range(draw.integers(1, most + 1))])
            for _ in range(len(clauses) // most)
        ]
    return found.pop("everybody"), {part: found[part] for part in parts}


def _joined(draw: np.random.Generator, clauses: list[str]) -> str:
    first, *others = clauses
    return first + "".join((", " if draw.random() < PAUSED else " ") + clause for clause in others)


def persons_of(options: dict[str, Any]) -> dict[str, dict[str, Person]]:
    """Persons of each part by their folder, ``DR1/FABC0``; at most one an utterance."""
    named: dict[str, dict[str, Person]] = {}
    taken: set[str] = set()
    people = cast({"language": "en", **options})
    for part, persons in people.items():
        named[part] = {}
        for place, person in enumerate(persons[: options["utterances"][part]]):
            name = _name(person, taken)
            taken.add(name)
            named[part][f"DR{place % DIALECTS + 1}/{name}"] = person
    return named


def _name(person: Person, taken: set[str]) -> str:
    """Sex, three letters and a number, as TIMIT names speakers."""
    digest = hashlib.sha256(person.name.encode()).digest()
    stem = person.gender[0].upper() + "".join(chr(ord("A") + byte % 26) for byte in digest[:3])
    return next(name for k in range(100) if (name := f"{stem}{k}") not in taken)


def record_part(
    options: dict[str, Any],
    part: str,
    persons: dict[str, Person],
    everybody: list[str],
    own: list[str],
) -> Iterator[tuple[str, TimedUtterance]]:
    """Name (``DR1/FABC0/SX1``) and recording of each utterance; persons take turns."""
    draw = np.random.default_rng([options["seed"], *part.encode()])
    folders = list(persons)
    script = [(folder, f"SA{k}", text) for folder in folders for k, text in enumerate(everybody, 1)]
    script += [
        (folders[k % len(folders)], f"SX{k // len(folders) + 1}", text)
        for k, text in enumerate(own)
    ]
    every = 0.2 if sys.stderr.isatty() else 10
    for folder, name, text in tqdm(script, f"speak {part}", mininterval=every, file=sys.stderr):
        yield f"{folder}/{name}", record(draw, persons[folder], text)


def write_utterance(path: Path, utterance: TimedUtterance) -> None:
    """Write ``.WAV`` (RIFF), ``.WRD`` and ``.TXT``; times in samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".WAV").write_bytes(wav_bytes(to_int16(utterance.audio)))
    lines = [
        f"{round(w.start_s * RATE)} {round(w.end_s * RATE)} {w.word}\n" for w in utterance.words
    ]
    path.with_suffix(".WRD").write_text("".join(lines), encoding="ascii")
    text = f"0 {len(utterance.audio)} {utterance.text}\n"
    path.with_suffix(".TXT").write_text(text, encoding="ascii")


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    settings: str = typer.Option(
        help="utterances by part (train, test), clauses of a sentence at most, voices, and seed as "
        "JSON"
    ),
    out: Path = typer.Option(help="folder to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Speak all parts and write them."""
    options = {"voices": [], "clauses": 2, "seed": 0, **json.loads(settings)}
    options["utterances"] = dict(sorted(options["utterances"].items()))
    run = Run(STEP, settings={"corpus": corpus, **options}, seed=options["seed"])
    if empty := [part for part, count in options["utterances"].items() if count < 1]:
        raise InputError(f"utterances.{empty[0]}: a part has at least one utterance; leave it out")
    everybody, own = sentences_of(options)
    counts: dict[str, dict[str, float]] = {}
    with whole_folder(out) as folder:
        for part, persons in persons_of(options).items():
            seconds = []
            for name, utterance in record_part(options, part, persons, everybody, own[part]):
                write_utterance(folder / part.upper() / name, utterance)
                seconds.append(utterance.seconds)
            counts[part] = {"utterances": len(seconds), "speakers": len(persons)}
            counts[part]["seconds"] = round(sum(seconds), 1)
    run.write(record, parts=counts)
    listed = ", ".join(f"{p} {c['utterances']} utterances" for p, c in counts.items())
    print(f"{corpus}: {listed}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
