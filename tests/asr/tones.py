"""Speech of tones: a letter is a pitch, so that there is little to learn; and options of a step."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from hearsay.corpora.manifest import Clip, write_manifest
from hearsay.settings.asr import RecogniserRecipe

RATE = 16_000
TINY = {
    "blocks": "narrow",
    "epochs": 2,
    "batch_size": 4,
    "micro_batch": 4,
    "learning_rate": 0.02,
    "rect_masks": 1,
    "rect_time": 10,
    "rect_freq": 8,
}


def sung(text: str, draw: np.random.Generator) -> np.ndarray:
    """100 ms a letter, of its own pitch; a space is silence."""
    time = np.arange(RATE // 10) / RATE
    parts = [
        np.zeros_like(time) if letter == " " else np.sin(2 * np.pi * _pitch(letter) * time)
        for letter in text
    ]
    sound = np.concatenate(parts) * 0.3
    return (sound + 0.003 * draw.standard_normal(sound.size)).astype(np.float32)


def _pitch(letter: str) -> float:
    return 300 * 1.12 ** ("abcdefghijklmnopqrstuvwxyzäöüß'áéíóúñ".index(letter))


def write_part(
    folder: Path, name: str, texts: Sequence[str], *, seed: int = 0, audio: bool = True
) -> Path:
    """A prepared part of a corpus; its manifest."""
    draw = np.random.default_rng(seed)
    clips = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        sound, path = sung(text, draw), folder / name / f"{number}.wav"
        if audio:
            soundfile.write(path, sound, RATE, subtype="PCM_16")
        facts = (len(sound) / RATE, len(sound), text, text, "")
        clips.append(Clip(f"{name}-{number}", path, None, None, *facts))
    write_manifest(folder / f"{name}.jsonl", clips)
    return folder / f"{name}.jsonl"


def words(letters: str, count: int) -> list[str]:
    """Texts of two words of the first letters given."""
    pairs = ("".join(pair) for pair in itertools.permutations(letters, 3))
    names = list(itertools.islice(pairs, 40))
    size = len(names)
    return [f"{names[k % size]} {names[(7 * k + 3) % size]}" for k in range(count)]


def training_options(folder: Path, train: Path, dev: Path, *, language="en", seed=0, **keys):
    """Options of the step, with all outputs in `folder`."""
    settings = {
        "recipe": RecogniserRecipe(**(TINY | keys)).model_dump(),
        "device": "cpu",
        "devices": 1,
        "precision": "32-true",
    }
    return {
        "language": language,
        "run": "tiny",
        "seed": seed,
        "training": [f"1.0={train}"],
        "validation": dev,
        "source": None,
        "settings": json.dumps(settings),
        "threads": 1,
        "weights": folder / "weights.safetensors",
        "history": folder / "history.csv",
        "record": folder / "training.run.json",
        "checkpoints": folder / "training",
    }
