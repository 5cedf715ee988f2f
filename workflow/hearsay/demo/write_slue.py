"""Write utterances of the demo in the layout of SLUE-VoxCeleb, with a sentiment each.

A sentiment is told by words, by prosody (pitch, its range, the pace), or by both; of an utterance
that is not neutral three times in ten only the words tell it, and three times only the prosody, so
that neither text nor sound alone can be right about all. ``<mixed>`` rows say one thing in the
other's tone. ``cues.csv``, which SLUE has not, tells of each utterance what tells it.
"""

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import typer
from tqdm import tqdm

from hearsay.corpora.audio import RATE
from hearsay.corpora.slue import LABELS
from hearsay.demo.espeak import Speaker
from hearsay.demo.sentiment_sentences import make_sentiment_sentences
from hearsay.demo.speech_releases import Person
from hearsay.demo.timed_speech import record as record_utterance
from hearsay.demo.write_speech_corpus import cast
from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.provenance import Run

STEP = "hearsay.demo.write_slue"

COLUMNS = ("id", "normalized_text", "sentiment", "start_second", "end_second", "speaker_id")
SHARES = {"Negative": 0.04, "Neutral": 0.74, "Positive": 0.22}  # of SLUE's fine-tune
CUES = {"both": 0.4, "words": 0.3, "prosody": 0.3}  # what tells a sentiment that is not neutral
MARKED = 2  # rows of each part with each mark
TRAINING = "fine-tune"  # without Disagreement, as in SLUE

PITCH, RANGE, PACE = 18, 36, 0.14  # how a sentiment moves them; up if it is positive
VARIATION = (3, 6, 0.03)  # of these in any utterance: at most so much to either side
AROUND = (0.3, 0.8)  # seconds of the raw file before and after the utterance


@dataclass(frozen=True)
class Script:
    """What is to be said, the sentiment that its words and its tone have, and the row's own."""

    sentiment: str
    words: str
    prosody: str
    text: str = ""


def scripts_of(options: dict[str, Any]) -> dict[str, list[Script]]:
    """Utterances of each part in a random order; no sentence comes twice.

    Parameters
    ----------
    options : utterances with a sentiment by part, shares of sentiments, seed.
    """
    parts: dict[str, list[Script]] = {}
    for part, count in sorted(options["utterances"].items()):
        draw = np.random.default_rng([options["seed"], *f"scripts {part}".encode()])
        scripts = [
            Script(sentiment, *_told(sentiment, cue))
            for sentiment, n in _split(count, options["shares"]).items()
            for cue in _cues(n)
        ]
        scripts += [Script("<mixed>", "Positive", "Negative")] * MARKED
        if part != TRAINING:
            scripts += [Script("Disagreement", "Neutral", "Positive")] * MARKED
        parts[part] = [scripts[k] for k in draw.permutation(len(scripts))]
    every = [script for scripts in parts.values() for script in scripts]
    counts = {label: sum(script.words == label for script in every) for label in LABELS}
    sentences = {
        label: iter(drawn)
        for label, drawn in make_sentiment_sentences(counts, options["seed"]).items()
    }
    return {
        part: [replace(script, text=next(sentences[script.words])) for script in scripts]
        for part, scripts in parts.items()
    }


def _split(count: int, shares: dict[str, float]) -> dict[str, int]:
    """Numbers of utterances by sentiment; every sentiment occurs, Neutral takes the rest."""
    if sorted(shares) != sorted(LABELS) or not np.isclose(sum(shares.values()), 1):
        raise InputError(f"shares: {shares}; give {', '.join(LABELS)} shares that add up to 1")
    found = {label: max(1, round(count * share)) for label, share in shares.items()}
    found["Neutral"] += count - sum(found.values())
    if found["Neutral"] < 1:
        raise InputError(f"utterances: {count} are too few for all sentiments; ask for more")
    return found


def _cues(count: int) -> list[str]:
    """What tells the sentiments of so many utterances, in the shares of `CUES`."""
    names, shares = list(CUES), np.array(list(CUES.values()))
    lacking = np.zeros(len(names))
    found = []
    for _ in range(count):
        lacking += shares
        most = int(np.argmax(np.round(lacking, 9)))
        lacking[most] -= 1
        found.append(names[most])
    return found


def _told(sentiment: str, cue: str) -> tuple[str, str]:
    """Sentiments of the words and of the prosody."""
    return (
        "Neutral" if cue == "prosody" else sentiment,
        "Neutral" if cue == "words" else sentiment,
    )


def in_mood(draw: np.random.Generator, speaker: Speaker, prosody: str) -> Speaker:
    """The speaker's voice as it sounds with a sentiment; every utterance is a little different."""
    way = {"Negative": -1, "Neutral": 0, "Positive": 1}[prosody]
    pitch, spread, pace = draw.uniform(-1, 1, size=3) * VARIATION
    return replace(
        speaker,
        pitch=round(speaker.pitch + way * PITCH + pitch),
        pitch_range=round(speaker.pitch_range + way * RANGE + spread),
        rate=round(speaker.rate * (1 + way * PACE + pace)),
    )


def persons_of(options: dict[str, Any]) -> dict[str, dict[str, Person]]:
    """Persons of each part by SLUE's name for them; nobody is in two parts."""
    as_cast = {part: "train" if part == TRAINING else part for part in options["utterances"]}
    counts = {as_cast[part]: n for part, n in options["utterances"].items()}
    people = cast({**options, "language": "en", "utterances": counts})
    names = (f"id{10_001 + k}" for k in range(10_000))
    return {part: {next(names): p for p in people[as_cast[part]]} for part in as_cast}


def record_part(
    options: dict[str, Any], part: str, persons: dict[str, Person], scripts: list[Script]
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Row of the table, and the raw recording that its times lie in: float32 [samples]."""
    draw = np.random.default_rng([options["seed"], *part.encode()])
    every = 0.2 if sys.stderr.isatty() else 10
    seen = tqdm(scripts, f"speak {part}", mininterval=every, file=sys.stderr)
    for place, script in enumerate(seen):
        name = list(persons)[place % len(persons)]
        person = persons[name]
        mood = in_mood(draw, person.speaker, script.prosody)
        spoken = record_utterance(draw, person, script.text, speaker=mood)
        # Tables give times to a hundredth of a second.
        before, after = (draw.uniform(*AROUND, size=2) * 100).astype(int) * (RATE // 100)
        raw = np.pad(spoken.audio, (before, after))
        noise = person.peak * person.noise * draw.standard_normal(len(raw), dtype=np.float32)
        raw[:before] += noise[:before]
        raw[len(raw) - after :] += noise[len(raw) - after :]
        start = before / RATE
        end = np.floor((before + len(spoken.audio)) / RATE * 100) / 100
        video = hashlib.sha256(f"{part} {place // 5} {name}".encode()).hexdigest()[:11]
        yield (
            {
                "id": f"{name}_{video}_{place:05d}",
                "normalized_text": script.text,
                "sentiment": script.sentiment,
                "start_second": f"{start:.2f}",
                "end_second": f"{end:.2f}",
                "speaker_id": name,
            },
            np.clip(raw, -1, 1),
        )


def _flac(samples: np.ndarray) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, format="FLAC")
    return stream.getvalue()


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    settings: str = typer.Option(
        help="utterances with a sentiment by part (fine-tune, dev, test), and if wanted shares of "
        "Negative, Neutral, Positive, voices, and seed as JSON"
    ),
    out: Path = typer.Option(help="folder to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Speak all parts and write tables and recordings."""
    options = {"shares": SHARES, "voices": [], "seed": 0, **json.loads(settings)}
    options["utterances"] = dict(sorted(options["utterances"].items()))
    run = Run(STEP, settings={"corpus": corpus, **options}, seed=options["seed"])
    scripts = scripts_of(options)
    counts = {}
    cues = [("id", "part", "sentiment", "words", "prosody")]
    with whole_folder(out) as folder:
        for part, persons in persons_of(options).items():
            (folder / f"{part}_raw").mkdir()
            lines = ["\t".join(COLUMNS)]
            recorded = record_part(options, part, persons, scripts[part])
            for script, (row, raw) in zip(scripts[part], recorded, strict=True):
                (folder / f"{part}_raw" / f"{row['id']}.flac").write_bytes(_flac(raw))
                lines.append("\t".join(row[column] for column in COLUMNS))
                cues.append((row["id"], part, script.sentiment, script.words, script.prosody))
            table = folder / f"slue-voxceleb_{part}.tsv"
            table.write_text("\n".join(lines) + "\n", encoding="utf-8")
            said = [script.sentiment for script in scripts[part]]
            counts[part] = {sentiment: said.count(sentiment) for sentiment in sorted(set(said))}
        with (folder / "cues.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(cues)
    run.write(record, parts=counts)
    listed = ", ".join(f"{part} {sum(each.values())} utterances" for part, each in counts.items())
    print(f"{corpus}: {listed}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
