"""Decode the test story: from fMRI, from the text prompt, and from inputs without any brain.

Every window is decoded alone, as in the paper; nothing is handed from one window to the next.
Controls, each under the same protocol: the story's rows in a random order (``shuffled``), all zero
(``zero``, the mean of a z-scored voxel), Gaussian noise (``noise``), and the language model alone,
sampled until it has as many words as the fMRI's decoding of that window (``null``). Single
presentations of the test story, where the dataset has them, are decoded too (``single``): their
signal-to-noise is that of the training stories, while the mean over presentations has more.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor, nn
from tqdm import tqdm

from hearsay.brain.aligned_text import MARK, AlignedText, joined
from hearsay.brain.controls import noise, noise_stories, shuffled_in_time
from hearsay.brain.generate import Generated, generate
from hearsay.brain.language_model import context_of, load_causal, load_encoder
from hearsay.brain.prompted import (
    check_about,
    load_prompted,
    make_encoder,
    make_mapper,
    set_tuning,
)
from hearsay.brain.stories import Story, read_stories, test_story_of
from hearsay.brain.window_features import features_of
from hearsay.brain.windows import Window, cut
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run
from hearsay.training.devices import device_of, precision_of

if TYPE_CHECKING:
    from hearsay.brain.language_model import LanguageModel

STEP = "hearsay.brain.decode_story"
ROWS = 256  # decoded at once
NULL_TOKENS = 4  # tokens of the null model, in units of recipe.max_tokens
COLUMNS = [
    "story",
    "window",
    "start",
    "input",
    "draw",
    "reference",
    "decoded",
    "reference_aligned",
    "decoded_aligned",
    "words_expected",
    "ended",
]


@dataclass
class Decoder:
    """A trained setting, ready to turn prompts into text; `precision` is the training's."""

    language_model: "LanguageModel"
    text: AlignedText
    options: dict[str, Any]
    device: torch.device
    precision: str = "auto"

    def decode(
        self,
        prompts: Tensor,
        limits: Sequence[int],
        *,
        text: AlignedText | None = None,
        method: str | None = None,
        seed: int = 0,
    ) -> list[Generated]:
        """Texts of `prompts` [N, k, width], in blocks of `ROWS`.

        `text` and `method` stand in for the setting's own.
        """
        options = {k: self.options[k] for k in ("beams", "top_p", "words_per_tr")}
        found: list[Generated] = []
        for first in tqdm(range(0, len(prompts), ROWS), unit="block", mininterval=5, leave=False):
            block = slice(first, first + ROWS)
            with self._autocast():
                found += generate(
                    self.language_model,
                    prompts[block].to(self.device),
                    text or self.text,
                    limits[block],
                    method=method or self.options["method"],
                    seed=seed + first,
                    **options,
                )
        return found

    @torch.no_grad()
    def prompts_of(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Prompts of responses or features, in blocks; on the CPU."""
        network = network.to(self.device).eval()
        with self._autocast():
            blocks = [network(block.to(self.device)).cpu() for block in inputs.split(ROWS)]
        return torch.cat(blocks)

    def _autocast(self) -> torch.autocast:
        kind = autocast_type(self.device, self.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)


def autocast_type(device: torch.device, precision: str) -> torch.dtype | None:
    """What a training of this precision (Fabric's, or ``auto``) computes in; None: as it is."""
    precision = precision_of(precision, gpu=device.type == "cuda")
    return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)


def inputs_of(story: Story, draws: int, *, controls: bool) -> list[tuple[str, int, np.ndarray]]:
    """Name, draw and responses [rows, V] of everything that goes through the fMRI encoder."""
    x = story.responses
    found = [("fmri", 0, x)]
    if story.repeats is not None:
        found += [("single", k, repeat) for k, repeat in enumerate(story.repeats)]
    if controls:
        found += [("shuffled", k, shuffled_in_time(x, "shuffled", k)) for k in range(draws)]
        found.append(("zero", 0, np.zeros_like(x)))
        found += [("noise", k, noise(x.shape, "control", k)) for k in range(draws)]
    return found


def expected_words(word_rate: Path, story: str, windows: Sequence[Window]) -> list[int]:
    """Words that the word-rate model predicts for every window, rounded."""
    rates = pd.read_csv(word_rate)
    rate = rates[rates["story"] == story].sort_values("row")["predicted"].to_numpy()
    if len(rate) < windows[-1].row + len(windows[-1].words):
        raise InputError(f"{word_rate}: has {len(rate)} rows of {story}, too few for its windows")
    return [round(float(rate[w.row : w.row + len(w.words)].sum())) for w in windows]


def row_of(
    window: Window,
    number: int,
    source: str,
    draw: int,
    made: Generated,
    limit: int,
    decoder: Decoder,
) -> dict[str, Any]:
    """One row of decoded.csv."""
    stop = decoder.text.stop
    rows = decoder.text.decode(made.ids)
    words = [word for row in rows for word in row]
    aligned = " ".join(words)
    if stop == "tokens" and source != "null":
        aligned = joined(rows)
        if made.ids[-1:] != [decoder.text.mark]:  # the cap came first: the last row is no whole TR
            aligned = aligned.removesuffix(MARK).rstrip()
    return {
        "story": window.story,
        "window": number,
        "start": window.start,
        "input": source,
        "draw": draw,
        "reference": joined(window.words, stop="words"),
        "decoded": " ".join(words),
        "reference_aligned": joined(window.words),
        "decoded_aligned": aligned,
        "words_expected": limit if stop == "words" else None,
        "ended": made.ended,
    }


def decode_prompts(
    windows: Sequence[Window],
    limits: Sequence[int],
    sources: Sequence[tuple[str, int]],
    prompts: Tensor,
    decoder: Decoder,
    **how: Any,
) -> list[dict[str, Any]]:
    """Rows of decoded.csv for `prompts` [sources × windows, k, width]; `how` is `decode`'s."""
    made = decoder.decode(prompts, [*limits] * len(sources), **how)
    return [
        row_of(window, number, source, draw, made[k * len(windows) + number], limit, decoder)
        for k, (source, draw) in enumerate(sources)
        for number, (window, limit) in enumerate(zip(windows, limits, strict=True))
    ]


def null_rows(
    windows: Sequence[Window], rows: Sequence[dict[str, Any]], decoder: Decoder
) -> list[dict[str, Any]]:
    """The language model alone, sampled, with the length of each window's fMRI decoding.

    It may take up to `NULL_TOKENS` times as many tokens for it, as far as the model's context goes:
    sampled words are longer than the likeliest ones, and alignment tokens come between them.
    """
    lengths = [len(row["decoded"].split()) for row in rows if row["input"] == "fmri"]
    tokenizer, model = decoder.text.tokenizer, decoder.language_model
    first = next(i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id, 0) if i is not None)
    with torch.no_grad():
        start = model.get_input_embeddings()(torch.tensor([[first]], device=decoder.device))
    sources = [("null", draw) for draw in range(decoder.options["draws"])]
    # Alignment tokens are no words and are left out.
    longest = NULL_TOKENS * decoder.text.max_tokens
    if context := context_of(model):
        longest = min(longest, context - 1)  # one position is the start's
    counting = AlignedText(tokenizer, stop="words", max_tokens=longest)
    prompts = start.expand(len(windows) * len(sources), -1, -1)
    return decode_prompts(
        windows, lengths, sources, prompts, decoder, text=counting, method="nucleus", seed=1
    )


def main(
    subject: str = typer.Option(help="whose responses"),
    setting: str = typer.Option(help="name of the setting, for messages"),
    windows: Path = typer.Option(help="windows.h5 of the subject"),
    word_rate: Path = typer.Option(help="what fit_word_rate wrote"),
    text_prompt: Path = typer.Option(help="what train_text_prompt wrote"),
    fmri_prompt: Path = typer.Option(help="what train_fmri_prompt wrote"),
    encoder: Path = typer.Option(help="folder of the frozen text encoder"),
    language_model: Path = typer.Option(help="folder of the causal language model"),
    settings: str = typer.Option(
        help="recipe, decoding, what to decode, device and precision as JSON"
    ),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="CSV to write: one row a window, input and draw"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Decode the test story with one trained setting."""
    options = json.loads(settings)
    recipe = options["recipe"]
    torch.set_num_threads(threads)
    inputs = [windows, word_rate, text_prompt, fmri_prompt, encoder, language_model]
    run = Run(STEP, settings={"subject": subject, **options}, inputs=inputs, seed=recipe["seed"])
    stories = read_stories(windows, ("test",))
    story = test_story_of(stories, windows)
    if recipe["input"] == "noise":
        story = noise_stories([story])[0]
    first = check_about(text_prompt, kind="text prompt", subject=subject)
    second = check_about(
        fmri_prompt, kind="fMRI prompt", subject=subject, voxels=stories.voxel_digest
    )
    causal, tokenizer = load_causal(language_model)
    tuned = recipe["finetune"] != "none"
    causal = set_tuning(causal, tuned=tuned, lora_rank=recipe["lora_rank"])
    mapper = make_mapper(first["feature_size"], first["width"], first["recipe"])
    brain = make_encoder(len(stories.voxels), second["width"], recipe)
    device = device_of(options["device"])
    text = AlignedText.of_recipe(tokenizer, recipe)
    causal = causal.to(device).eval()
    decoder = Decoder(causal, text, options["decoding"], device, options["precision"])

    window = recipe["window"]
    cutting = {"window": window, "hop": window, "context": recipe["hrf_context"]}
    # References are what was heard in each row, whatever shift a recipe is trained with.
    cuts = cut(story, **cutting)
    if not cuts:
        raise InputError(f"{story.name}: shorter than one window of {window} TRs")
    limits = [window] * len(cuts)
    if recipe["stop"] == "words":
        limits = expected_words(word_rate, story.name, cuts)

    rows = []
    load_prompted(text_prompt, mapper, causal)
    if options["text"]:  # Table I: the language model as stage 1 left it
        prompts = decoder.prompts_of(mapper, features_of(cuts, load_encoder(encoder), recipe))
        rows += decode_prompts(cuts, limits, [("text", 0)], prompts, decoder)
    load_prompted(fmri_prompt, brain, causal)
    sources, stacked = [], []
    draws = options["decoding"]["draws"]
    for source, draw, responses in inputs_of(story, draws, controls=options["controls"]):
        sources.append((source, draw))
        stacked += [w.responses for w in cut(story, responses=responses, **cutting)]
    prompts = decoder.prompts_of(brain, torch.from_numpy(np.stack(stacked)))
    rows += decode_prompts(cuts, limits, sources, prompts, decoder)
    if options["controls"]:
        rows += null_rows(cuts, rows, decoder)
    with whole_file(out) as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False)
    ends = pd.Series([row["ended"] for row in rows]).value_counts().to_dict()
    run.write(record, threads=threads, device=str(device), ended=ends)
    print(f"{subject}, {setting}: {len(rows)} texts decoded", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
