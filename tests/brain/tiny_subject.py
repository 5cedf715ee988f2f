"""Tiny language models of the real kinds, a tiny subject, and options of the steps for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from hearsay.brain.recipes import PARTS
from hearsay.brain.stories import Stories, Story, digest_of
from hearsay.corpora.textgrid import Word
from hearsay.settings.brain import Recipe

LEXICON = [
    "the",
    "a",
    "boat",
    "sea",
    "wind",
    "rope",
    "sailor",
    "storm",
    "harbour",
    "light",
    "cold",
    "don't",
    "went",
    "saw",
    "and",
    "was",
]
WIDTH, CONTEXT = 16, 96
RECIPE = {
    "prompt_length": 3,
    "layers": 1,
    "heads": 2,
    "latent": 8,
    "window": 3,
    "train_hop": 1,
    "hrf_context": 1,
    "max_tokens": 40,
    "epochs_text": 3,
    "epochs_fmri": 3,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "language_model_learning_rate": 1e-3,
}


def byte_level(lines: Sequence[str], size: int, alphabet: Sequence[str] = ()) -> Any:
    """GPT-2's kind of tokeniser, trained on `lines`; `alphabet` beyond their own letters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=list(alphabet),
            show_progress=False,
        ),
    )
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end)


def bert_tokenizer() -> Any:
    """A WordPiece tokeniser with the lexicon's words whole."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = [*special, *"abcdefghijklmnopqrstuvwxyz'$=", *LEXICON]
    pieces += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz'"]
    vocabulary = {piece: k for k, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


def gpt2_like_tokenizer() -> Any:
    """`` $`` is one token, the lexicon's words are one to three."""
    draw = np.random.default_rng(0)
    lines = [" $".join(" " + " ".join(draw.choice(LEXICON, 3)) for _ in range(8)) + " $"] * 20
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return byte_level([*lines, " =" * 9, "=" * 9], 320, sorted(alphabet))


@dataclass(frozen=True)
class Pretrained:
    """Folders of saved models."""

    encoder: Path
    language_model: Path


def write_pretrained(folder: Path, tokenizer: Any) -> Pretrained:
    """A random BERT and a random GPT-2 of width 16, as the hub would give them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert, words = small_bert()
        bert.save_pretrained(folder / "bert")
        words.save_pretrained(folder / "bert")
        small_gpt2(tokenizer).save_pretrained(folder / "gpt2")
        tokenizer.save_pretrained(folder / "gpt2")
    return Pretrained(folder / "bert", folder / "gpt2")


def small_bert() -> tuple[Any, Any]:
    tokenizer = bert_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    return BertModel(config, add_pooling_layer=False).eval(), tokenizer


def small_gpt2(tokenizer: Any, **changes: Any) -> Any:
    options = {"n_positions": CONTEXT, "n_embd": WIDTH, "n_layer": 1, "n_head": 2} | changes
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **ends, **options)).eval()


def make_story(name: str, split: str, rows: int, *, voxels: int = 2, repeats: int = 0) -> Story:
    """Random words, about three in 2 s, and responses that have nothing to do with them."""
    draw = np.random.default_rng(list(name.encode()))
    onsets = np.sort(draw.uniform(0, 10 + 2 * rows + 10, 3 * rows + 30))
    words = [Word(str(draw.choice(LEXICON)), float(t), float(t) + 0.2) for t in onsets]
    responses = draw.standard_normal((rows, voxels), dtype=np.float32)
    singles = draw.standard_normal((repeats, rows, voxels), dtype=np.float32) if repeats else None
    return Story(name, split, responses, words, singles)


def make_stories(subject: str = "SIM01", voxels: Sequence[int] = (4, 7)) -> Stories:
    stories = [
        make_story("alder", "train", 9),
        make_story("birch", "train", 8),
        make_story("cedar", "validation", 7),
        make_story("harbour", "test", 13, repeats=2),
    ]
    columns = np.array(voxels, dtype=np.int64)
    return Stories(
        subject=subject,
        dataset="tiny",
        version="1",
        voxels=columns,
        voxel_digest=digest_of(columns),
        voxel_method="indices",
        stories={story.name: story for story in stories},
    )


def part(step: str, **changes: Any) -> dict[str, Any]:
    """What one step reads of the tiny recipe."""
    return Recipe(**(RECIPE | changes)).model_dump(include=set(PARTS[step]))


@dataclass(frozen=True)
class Steps:
    """Runs the steps on the tiny subject, in this process or as a command of another.

    Methods give the options of a step's command; `run` calls its `main` with them.
    """

    pretrained: Pretrained
    windows: Path

    def text_prompt(self, folder: Path, subject: str = "SIM01", **recipe: Any) -> dict[str, Any]:
        return self._training(folder, "text_prompt", subject, recipe)

    def fmri_prompt(
        self, folder: Path, text_prompt: Path, subject: str = "SIM01", **recipe: Any
    ) -> dict[str, Any]:
        options = self._training(folder, "fmri_prompt", subject, recipe)
        return options | {"text_prompt": text_prompt}

    def decoded(
        self,
        folder: Path,
        text_prompt: Path,
        fmri_prompt: Path,
        *,
        subject: str = "SIM01",
        text: bool = False,
        controls: bool = True,
        decoding: dict[str, Any] | None = None,
        **recipe: Any,
    ) -> dict[str, Any]:
        rates = folder / "word_rate.csv"
        folder.mkdir(parents=True, exist_ok=True)
        if not rates.exists():
            table = {"story": "harbour", "row": range(13), "words": 3, "predicted": 1.4}
            pd.DataFrame(table).to_csv(rates, index=False)
        how = {"method": "greedy", "beams": 2, "top_p": 0.9, "words_per_tr": 12, "draws": 2}
        settings = {
            "recipe": part("decode", **recipe),
            "decoding": how | (decoding or {}),
            "text": text,
            "controls": controls,
            "device": "cpu",
            "precision": "auto",
        }
        return self._shared(subject, settings) | {
            "word_rate": rates,
            "text_prompt": text_prompt,
            "fmri_prompt": fmri_prompt,
            "out": folder / "decoded.csv",
            "record": folder / "decoded.run.json",
        }

    def _training(
        self, folder: Path, step: str, subject: str, recipe: dict[str, Any]
    ) -> dict[str, Any]:
        run = {"device": "cpu", "devices": 1, "precision": "auto"}
        return self._shared(subject, {"recipe": part(step, **recipe), **run}) | {
            "out": folder / f"{step}.safetensors",
            "history": folder / f"{step}.history.csv",
            "record": folder / f"{step}.run.json",
            "checkpoints": folder / f"{step}.training",
        }

    def _shared(self, subject: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            "subject": subject,
            "setting": "tiny",
            "windows": self.windows,
            "encoder": self.pretrained.encoder,
            "language_model": self.pretrained.language_model,
            "settings": json.dumps(settings),
            "threads": 1,
        }
