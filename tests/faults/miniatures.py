"""A miniature of every training step: inputs of seconds, a real command line, several checkpoints.

A new training step asks for an entry in `MINIATURES`; test_kills.py fails without one.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import tiny_subject
import tones

from hearsay.brain.stories import write_stories
from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.slue import LABELS
from hearsay.corpora.text_corpus import TokenCorpus, write_tokens
from hearsay.lm.recipes import recipe_of
from hearsay.settings.slu import SentimentRecipe

Options = dict[str, Any]
# Runs a step undisturbed: its name, and its options.
Runner = Callable[[str, Options], None]
# Options of a step by the folder of its outputs.
Miniature = Callable[[Path], Options]


@dataclass(frozen=True)
class Making:
    """What the inputs of a miniature are made with."""

    inputs: Path
    run: Runner


def command(options: Options) -> list[str]:
    """Options as the words of a command line, in the way of the rules."""
    words = []
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                words += [f"--{name.replace('_', '-')}", str(each)]
    return words


def _files(out: Path) -> Options:
    return {
        "weights": out / "weights.safetensors",
        "history": out / "history.csv",
        "record": out / "training.run.json",
        "checkpoints": out / "training",
    }


def train_digits(making: Making) -> Miniature:
    """A net of two layers on the real digits."""
    settings = {"layers": 2, "channels": 8, "epochs": 6, "batch_size": 64, "seed": 0}
    settings |= {"learning_rate": 0.05, "weight_decay": 0.0005}
    return lambda out: {
        "model": "mini",
        "settings": json.dumps(settings),
        **_files(out),
        "scores": out / "scores.csv",
    }


def train_tiny_model(making: Making) -> Miniature:
    """A BERT of digits' names."""
    settings = {"kind": "bert", "text": "digits", "width": 8, "layers": 1, "steps": 200, "seed": 0}
    return lambda out: {
        "model": "mini",
        "settings": json.dumps(settings),
        "out": out / "model",
        "record": out / "model.run.json",
        "checkpoints": out / "model.training",
    }


def train_tiny_speech(making: Making) -> Miniature:
    """A data2vec-audio on tones."""
    part = tones.write_part(making.inputs, "train", tones.words("abcde", 16))
    settings = {"width": 16, "layers": 1, "epochs": 5, "batch_size": 4, "learning_rate": 0.003}
    return lambda out: {
        "model": "mini",
        "training": [part],
        "language": "en",
        "settings": json.dumps(settings | {"seed": 0}),
        "out": out / "model",
        "record": out / "model.run.json",
        "checkpoints": out / "model.training",
    }


def train_language_model(making: Making) -> Miniature:
    """An EGRU with all kinds of dropout on words that nearly tell the next."""
    draw = np.random.default_rng(0)
    ids = np.zeros(1500, dtype=np.int32)
    for k in range(1, len(ids)):
        ids[k] = (3 * ids[k - 1] + 1) % 17 if draw.random() < 0.8 else draw.integers(17)
    names = [*(f"w{k}" for k in range(16)), "<eos>"]
    tokens = making.inputs / "tokens.npz"
    write_tokens(tokens, TokenCorpus(ids[:1200], ids[1200:1350], ids[1350:], names))
    recipe = recipe_of(
        "small", hidden_size=12, embedding_size=8, layers=2, batch_size=4, bptt=10, epochs=6,
        warmup_steps=0, dropconnect=0.3, dropout_words=0.1, dropout_hidden=0.2, dropout_output=0.2,
        threshold_mean=-2.0, learning_rate=0.02,
    )  # fmt: skip
    settings = {"recipe": recipe.model_dump(), "backend": "torch"}
    settings |= {"device": "cpu", "precision": "32-true", "trajectory": 3}
    return lambda out: {
        "corpus": "tales",
        "run": "mini",
        "seed": 0,
        "tokens": tokens,
        "settings": json.dumps(settings),
        **_files(out),
        "trajectory": out / "trajectory",
    }


def train_recogniser(making: Making) -> Miniature:
    """A QuartzNet on tones, in pieces of batches, the best weights kept."""
    parts = [
        tones.write_part(making.inputs, name, tones.words("abcde", count), seed=seed)
        for name, count, seed in (("train", 10, 0), ("dev", 3, 1))
    ]
    keys = {"epochs": 4, "micro_batch": 2, "keep": "best"}

    def options(out: Path) -> Options:
        found = tones.training_options(out, *parts, **keys)
        settings = json.loads(found["settings"]) | {"trajectory": 2}
        return found | {"settings": json.dumps(settings), "trajectory": out / "trajectory"}

    return options


def train_aligner(making: Making) -> Miniature:
    """An aligner with all its losses, masks and dropped layers, on tones."""
    models = tiny.write_models(making.inputs / "models")
    parts = [
        tiny.write_part(making.inputs / "speech", name, tiny.sentences(count, seed))
        for name, count, seed in (("train", 10, 0), ("dev", 3, 1))
    ]
    keys = {"epochs": 5, "spec_augment": True, "layerdrop": 0.2, "edges": "learned", "buckets": 2}
    keys |= {"energy_gate": 30.0, "frame_weight": 0.5, "duration_weight": 0.1, "keep": "best"}
    return lambda out: tiny.training_options(out, models, *parts, **keys)


def train_sentiment(making: Making) -> Miniature:
    """A graft: an aligner with BERT above it, with dropout."""
    speech, text = tiny.write_models(making.inputs / "models")
    parts, labels = {}, {}
    for name, count, seed in (("train", 12, 0), ("dev", 6, 1)):
        texts = [
            f"{words} {('deaf', 'egg', 'cabbage')[k % 3]}"
            for k, words in enumerate(tiny.sentences(count, seed))
        ]
        parts[name] = tiny.write_part(making.inputs / "speech", name, texts)
        labels[name] = parts[name].with_suffix(".labels.csv")
        with labels[name].open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "label", "sentiment", "speaker"])
            for k, clip in enumerate(read_manifest(parts[name])):
                writer.writerow([clip.id, k % 3, LABELS[k % 3], "s"])
    aligner = tiny.training_options(making.inputs / "aligner", (speech, text), parts["train"])
    making.run("hearsay.slu.train_aligner", aligner)
    recipe = SentimentRecipe(
        epochs=5, batch_size=4, micro_batch=2, learning_rate=3e-3, head_rate=1.0, hidden=32,
        dropout=0.1,
    )  # fmt: skip
    settings = {"recipe": recipe.model_dump(), "device": "cpu", "devices": 1}
    return lambda out: {
        "run": "mini",
        "seed": 0,
        "kind": "graft",
        "training": [parts["train"]],
        "labels": [labels["train"]],
        "validation": parts["dev"],
        "validation_labels": labels["dev"],
        "text": text,
        "aligner": aligner["weights"],
        "settings": json.dumps(settings | {"precision": "32-true"}),
        **_files(out),
    }


def _subject(making: Making) -> tiny_subject.Steps:
    making.inputs.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_subject.gpt2_like_tokenizer()
    windows = making.inputs / "windows.h5"
    write_stories(windows, tiny_subject.make_stories())
    return tiny_subject.Steps(tiny_subject.write_pretrained(making.inputs, tokenizer), windows)


def train_text_prompt(making: Making) -> Miniature:
    """Stage 1 of BP-GPT, with a GPT-2 that is tuned."""
    subject = _subject(making)
    return lambda out: subject.text_prompt(out, epochs_text=6)


def train_fmri_prompt(making: Making) -> Miniature:
    """Stage 2 of BP-GPT on a finished stage 1."""
    subject = _subject(making)
    first = subject.text_prompt(making.inputs / "stage 1")
    making.run("hearsay.brain.train_text_prompt", first)
    return lambda out: subject.fmri_prompt(out, first["out"], epochs_fmri=6)


MINIATURES: dict[str, Callable[[Making], Miniature]] = {
    "hearsay.asr.train_recogniser": train_recogniser,
    "hearsay.brain.train_fmri_prompt": train_fmri_prompt,
    "hearsay.brain.train_text_prompt": train_text_prompt,
    "hearsay.demo.train_tiny_model": train_tiny_model,
    "hearsay.demo.train_tiny_speech": train_tiny_speech,
    "hearsay.lm.train_language_model": train_language_model,
    "hearsay.slu.train_aligner": train_aligner,
    "hearsay.slu.train_sentiment": train_sentiment,
    "hearsay.spectral.train_digits": train_digits,
}
