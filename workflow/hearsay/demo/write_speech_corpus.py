"""Write a corpus of the demo's speech in the real form of Common Voice or LibriSpeech.

Short sentences (`hearsay.demo.spoken_sentences`) are spoken by eSpeak NG. A person is a voice of
the language in a variant, with a pitch and a pace; parts share neither persons nor sentences.
Parts with *other* in their names have other voices, speak faster and are recorded in more noise.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import typer
from tqdm import tqdm

from hearsay.demo.espeak import SAMPLE_RATE, Speaker
from hearsay.demo.speech_releases import Person, Utterance, write_common_voice, write_librispeech
from hearsay.demo.spoken_sentences import make_sentences
from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.provenance import Run

STEP = "hearsay.demo.write_speech_corpus"

VOICES = {"en": ["en-us"], "de": ["de"], "es": ["es"], "ru": ["ru"]}
OTHER_VOICES = {"en": ["en"]}  # British; where eSpeak NG has others
VARIANTS = {  # eSpeak NG's variants for the three kinds of parts
    "train": ["m1", "f1", "m2", "f2", "m3", "f3", "m4", "linda", "m7", "steph", "edward", "max"],
    "held out": ["m6", "f4", "belinda", "robert"],
    "other": ["m5", "f5", "shelby", "victor"],
}
RATE = (115, 145)  # words a minute
PITCH = (42, 58)
HURRY = 1.2  # of an *other* part
EDGE = (0.1, 0.3)  # seconds before and after the words
SHORTEST = 1.3  # seconds; quiet is added behind shorter ones
PEAK = (0.2, 0.8)
NOISE = {"train": 0.002, "held out": 0.002, "other": 0.01}  # of the peak


def kind_of(part: str) -> str:
    """Which variants a part may have: ``train``, ``held out`` or ``other``."""
    if part.startswith("train"):
        return "train"
    return "other" if "other" in part else "held out"


def cast(options: dict[str, Any]) -> dict[str, list[Person]]:
    """Persons of each part; nobody is in two parts.

    Voices without a variant are each spoken in all variants of a part. If one of them has a variant
    (``de+f2``), all are persons as they are: each part that is not for training gets a fifth of
    them, at least one, and training the others.

    Raises
    ------
    InputError
        for a voice that is listed twice, and for fewer persons than parts.
    """
    language, parts, seed = options["language"], list(options["utterances"]), options["seed"]
    listed = options["voices"]
    if twice := [voice for voice in listed if listed.count(voice) > 1]:
        raise InputError(f"generated.voices: {twice[0]!r} is listed twice; remove one")
    if any("+" in voice for voice in listed):
        return {
            part: [_person(seed, voice, kind_of(part)) for voice in voices]
            for part, voices in _dealt(listed, parts).items()
        }
    persons: dict[str, list[Person]] = {}
    for part in parts:
        kind = kind_of(part)
        default = (kind == "other" and OTHER_VOICES.get(language)) or VOICES.get(language, [])
        variants = _shares(VARIANTS[kind], [p for p in parts if kind_of(p) == kind])[part]
        persons[part] = [
            _person(seed, f"{voice}+{variant}", kind)
            for variant in variants
            for voice in listed or default
        ]
    return persons


def _dealt(voices: list[str], parts: list[str]) -> dict[str, list[str]]:
    """Persons as they are listed: the first ones train."""
    train = [part for part in parts if kind_of(part) == "train"]
    others = [part for part in parts if part not in train]
    each = max(1, len(voices) // 5) if train else len(voices) // max(1, len(others))
    first = len(voices) - each * len(others) if train else 0
    if first < len(train) or not each:
        raise InputError(
            f"generated.voices: {len(voices)} voices for {len(parts)} parts, but nobody may be in "
            "two parts; name more voices, or some without a variant"
        )
    return _shares(voices[:first], train) | _shares(voices[first:], others)


def _shares(voices: list[str], parts: list[str]) -> dict[str, list[str]]:
    if len(voices) < len(parts):
        raise InputError(
            f"generated.utterances: {len(parts)} parts like {parts[0]!r}, but only {len(voices)} "
            "voices for them; ask for fewer parts"
        )
    return {part: voices[k :: len(parts)] for k, part in enumerate(parts)}


def _person(seed: int, voice: str, kind: str) -> Person:
    random = Random(f"person {seed} {voice}")
    rate = random.randint(*RATE) * (HURRY if kind == "other" else 1)
    speaker = Speaker(voice, round(rate), random.randint(*PITCH))
    variant = voice.partition("+")[2]
    female = variant.startswith("f") or variant in ("linda", "steph", "belinda", "shelby")
    return Person(speaker, "female" if female else "male", random.uniform(*PEAK), NOISE[kind])


def record_parts(options: dict[str, Any]) -> dict[str, list[Utterance]]:
    """Speak all sentences; persons of a part take turns, in a random order.

    Parameters
    ----------
    options : language, voices, utterances (number by part), and seed, as in the settings of
        generated speech.
    """
    seed = options["seed"]
    options = options | {"utterances": dict(sorted(options["utterances"].items()))}
    sentences = make_sentences(options["language"], options["utterances"], seed)
    parts: dict[str, list[Utterance]] = {}
    for part, persons in cast(options).items():
        draw = np.random.default_rng([seed, *part.encode()])
        order = draw.permutation(len(persons))
        parts[part] = [
            _record(draw, persons[order[k % len(persons)]], text)
            for k, text in enumerate(_seen(sentences[part], part))
        ]
    return parts


def _seen(sentences: Sequence[str], part: str) -> tqdm:
    every = 0.2 if sys.stderr.isatty() else 10
    return tqdm(sentences, f"speak {part}", mininterval=every, file=sys.stderr)


def _record(draw: np.random.Generator, person: Person, text: str) -> Utterance:
    """One utterance with quiet at its edges and noise throughout."""
    spoken = person.speaker.speak(text).audio
    before, after = (draw.uniform(*EDGE, size=2) * SAMPLE_RATE).astype(int)
    after = max(after, int(SHORTEST * SAMPLE_RATE) - len(spoken) - before)
    audio = np.pad(spoken / np.abs(spoken).max(), (before, after))
    audio += person.noise * draw.standard_normal(len(audio), dtype=np.float32)
    return Utterance(person, text, (person.peak * audio).astype(np.float32))


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    settings: str = typer.Option(
        help="format, language, voices, utterances by part, and seed as JSON"
    ),
    out: Path = typer.Option(help="folder to write: the archives of the release"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Speak, encode and pack the parts of one corpus."""
    options = json.loads(settings)
    run = Run(STEP, settings=options, seed=options["seed"])
    if options["format"] not in ("common_voice", "librispeech"):
        raise InputError(
            f"speech_corpora.{corpus}.generated.format: {options['format']!r} is not known; "
            "common_voice and librispeech are written"
        )
    parts = record_parts(options)
    with whole_folder(out) as folder:
        if options["format"] == "common_voice":
            write_common_voice(folder, options["language"], parts)
        else:
            write_librispeech(folder, parts)
    seconds = {p: round(sum(u.seconds for u in us), 1) for p, us in parts.items()}
    speakers = {p: len({u.person.name for u in us}) for p, us in parts.items()}
    run.write(
        record,
        utterances={p: len(us) for p, us in parts.items()},
        seconds=seconds,
        speakers=speakers,
    )
    print(
        f"{corpus}: "
        + ", ".join(f"{p} {len(us)} utterances, {seconds[p]:.0f} s" for p, us in parts.items()),
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
