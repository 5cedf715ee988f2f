"""Tiny encoders of the real kinds with random weights, a WordPiece tokeniser, and speech of tones.

A letter is a pitch of 60 ms, so that words have exact times and there is little to learn.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from hearsay.corpora.manifest import Clip, write_manifest
from hearsay.settings.slu import AlignerRecipe

RATE = 16_000
LETTER = 0.06  # s
SILENCE = 0.12  # s, before and after
WORDS = ["ab", "cad", "bed", "face", "deaf", "a", "egg", "fade", "cabbage", "bag", "don't"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgont'", "##bage", "##f", "##e"]
PIECES += ["ab", "cad", "bed", "face", "dea", "egg", "fad", "cab", "bag", "don"]
CONVOLUTIONS = {
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 5),
    "conv_stride": (5, 8, 8),
    "num_feat_extract_layers": 3,
}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "hidden_dropout": 0.1,
    "attention_dropout": 0.1,
    "feat_proj_dropout": 0.0,
    "activation_dropout": 0.0,
    "num_conv_pos_embedding_groups": 4,
}
TINY = {
    "layer": 2,
    "subword_weight": 0.1,
    "epochs": 3,
    "batch_size": 4,
    "micro_batch": 2,
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "frozen": "nothing",
}


def speech_model(kind: str = "data2vec-audio", seed: int = 0, **keys):
    """A random speech encoder of transformers: 320 samples a frame."""
    from transformers import AutoConfig, AutoModel

    more = {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5}
    if kind != "data2vec-audio":
        more = {"num_conv_pos_embeddings": 16, "feat_extract_norm": "layer", "conv_bias": True}
        more["do_stable_layer_norm"] = kind == "hubert"
    config = AutoConfig.for_model(kind, **CONVOLUTIONS | SMALL | more | keys)
    torch.manual_seed(seed)
    return AutoModel.from_config(config).eval()


def bert_model(layers: int = 4, seed: int = 1, kind: str = "bert", pooler: bool = True, **keys):
    """A random masked language model of the tokeniser's vocabulary, with a pooler."""
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    config = AutoConfig.for_model(
        kind,
        **{
            "vocab_size": len(PIECES),
            "hidden_size": 24,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 40,
            "pad_token_id": 0,
        }
        | keys,
    )
    torch.manual_seed(seed)
    model = AutoModelForMaskedLM.from_config(config)
    if pooler:
        model.base_model.pooler = AutoModel.from_config(config).pooler
    # Random weights as large as trained ones, so that states differ between tokens.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "LayerNorm" not in name:
                weight.mul_(5)
            elif "bias" in name:
                weight.normal_(std=0.1)
    return model.eval()


def write_tokeniser(folder: Path) -> None:
    """A WordPiece tokeniser that is called as BERT's."""
    from transformers import BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    BertTokenizerFast(str(vocabulary), do_lower_case=True).save_pretrained(str(folder))


def write_models(folder: Path, **keys) -> tuple[Path, Path]:
    """Folders of a speech and a text encoder in the hub's layout."""
    speech, text = folder / "speech", folder / "text"
    speech_model().save_pretrained(str(speech))
    (speech / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    bert_model(**keys).save_pretrained(str(text))
    write_tokeniser(text)
    return speech, text


def sung(text: str, draw: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """A transcript as tones between two silences; and each word's times in seconds."""
    sound, times = [np.zeros(int(SILENCE * RATE))], []
    for word in text.split():
        start = sum(map(len, sound)) / RATE
        for letter in word:
            pitch = 200 * 1.25 ** ("abcdefgont'".index(letter) if letter in "abcdefgont'" else 0)
            sound.append(np.sin(2 * np.pi * pitch * np.arange(int(LETTER * RATE)) / RATE))
        times.append((start, sum(map(len, sound)) / RATE))
    sound.append(np.zeros(int(SILENCE * RATE)))
    whole = 0.3 * np.concatenate(sound)
    return (whole + 0.0005 * draw.standard_normal(whole.size)).astype(np.float32), times


def sentences(count: int, seed: int = 0) -> list[str]:
    """Texts of three to six words."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(3, 7))) for _ in range(count)]


def write_part(folder: Path, name: str, texts: Sequence[str], seed: int = 0) -> Path:
    """A prepared part of a corpus; its manifest."""
    draw = np.random.default_rng(seed)
    clips = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        sound, path = sung(text, draw)[0], folder / name / f"{number}.wav"
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        facts = (len(sound) / RATE, len(sound), text, text, "")
        clips.append(Clip(f"{name}-{number}", path, None, None, *facts))
    write_manifest(folder / f"{name}.jsonl", clips)
    return folder / f"{name}.jsonl"


def training_options(folder: Path, models, train: Path, dev: Path | None = None, **keys):
    """Options of the step `train_aligner`, with all outputs in `folder`."""
    settings = {
        "recipe": AlignerRecipe(**(TINY | keys)).model_dump(),
        "device": "cpu",
        "devices": 1,
        "precision": "32-true",
    }
    return {
        "run": "tiny",
        "seed": 0,
        "training": [train],
        "validation": dev,
        "speech": models[0],
        "text": models[1],
        "settings": json.dumps(settings),
        "threads": 1,
        "weights": folder / "weights.safetensors",
        "history": folder / "history.csv",
        "record": folder / "training.run.json",
        "checkpoints": folder / "training",
    }
