"""What an aligner makes of some utterances: states of speech before and after, of text, and words.

Tables and figures read it: Table 4 its pieces, Figure 2 similarities, Figure 4 distributions.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from tqdm import tqdm

from hearsay.corpora.manifest import Clip, read_manifest
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run
from hearsay.slu.aligner import Aligner
from hearsay.slu.aligner_files import aligner_of, load_aligner
from hearsay.slu.batches import SpeechTextBatch, SpeechTexts, padded, word_pieces
from hearsay.slu.bert_layers import BertLayers, load_bert, load_tokeniser
from hearsay.slu.graft import Graft
from hearsay.slu.objective import AlignmentLoss
from hearsay.slu.speech_encoder import load_speech_encoder
from hearsay.training.loop import start

STEP = "hearsay.slu.show_states"
COUNT = 40  # utterances whose distributions Figure 4 has
TOP = 5  # word pieces a position


def chosen_clips(path: Path, ids: list[str], count: int = COUNT) -> list[Clip]:
    """The clips asked for, then others in the order of the part, `count` in all.

    Raises
    ------
    InputError
        for an id that the part has not.
    """
    clips = {clip.id: clip for clip in read_manifest(path)}
    if unknown := [name for name in ids if name not in clips]:
        raise InputError(
            f"slu.shown: {unknown[0]!r} is no clip of {path}; its first is {next(iter(clips))!r}"
        )
    return list({name: clips[name] for name in [*ids, *clips]}.values())[: max(count, len(ids))]


def initial_aligner(
    about: dict[str, Any], seed: int, speech: Path, text: Path, rate: float
) -> Aligner:
    """The aligner before its first step: the same draws as in its training, a constant α.

    As there BERT is read first: what its folder lacks, such as a pooler, is drawn too.
    """
    start(seed, device="cpu")
    recipe = about["recipe"]
    bert = load_bert(text)
    encoder = load_speech_encoder(speech, frozen=recipe["frozen"])
    return aligner_of(recipe, encoder, bert, rate).eval()


def speech_states(aligner: Aligner, text: BertLayers, batch: SpeechTextBatch) -> np.ndarray:
    """Projected speech tokens [N, H] of one utterance's word pieces."""
    network = AlignmentLoss(aligner, text, {"masses": "equal"})
    tokens = network.tokens(batch)
    aligned = aligner(batch.audio, batch.audio_lengths, target_lengths=tokens.lengths)
    states = aligner.project(aligned.vectors)[0].numpy()
    return states[1:-1] if aligner.extra_tokens else states


@torch.inference_mode()
def shown(
    network: AlignmentLoss, before: Aligner, batch: SpeechTextBatch, names: list[str]
) -> dict[str, np.ndarray]:
    """Arrays of one utterance: pieces, before, after, text, and top where there is a head."""
    aligner, text = network.aligner, network.text
    aligned = network.align(batch)
    after = aligner.project(aligned.vectors)[0]
    state = network.states(batch)[0][0]
    if aligner.extra_tokens:
        after, state = after[1:-1], state[1:-1]
    found = {
        "pieces": np.array([names[k] for k in batch.ids[0, 1:-1].tolist()]),
        "before": speech_states(before, text, batch),
        "after": after.numpy(),
        "text": state.numpy(),
    }
    if text.head:
        top = Graft(aligner, text).top_subwords(
            batch.audio,
            batch.audio_lengths,
            target_lengths=network.tokens(batch).lengths,
            count=TOP,
        )[0]
        found["top"] = np.array([[names[k] for k in row] for row in top.tolist()])
    return found


def main(
    run: str = typer.Option(help="name of the aligner"),
    seed: int = typer.Option(help="of its training"),
    weights: Path = typer.Option(help="safetensors of the aligner"),
    speech: Path = typer.Option(help="folder of the speech encoder that it started from"),
    text: Path = typer.Option(help="folder of the text encoder"),
    part: Path = typer.Option(help="manifest of the part"),
    settings: str = typer.Option(help="ids of the utterances to show first as JSON"),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="npz to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Run an aligner, and what it was before its training, on some utterances."""
    options = json.loads(settings)
    torch.set_num_threads(threads)
    kept = Run(STEP, settings=options, inputs=[weights, speech, text, part], seed=seed)
    bert, tokeniser = load_bert(text), load_tokeniser(text)
    aligner, about = load_aligner(weights, bert)
    clips = chosen_clips(part, options["ids"])
    extra = aligner.extra_tokens
    pieces = word_pieces(clips, tokeniser, speech=aligner.speech, text=bert, extra_tokens=extra)
    held = SpeechTexts(clips, pieces)
    frames = sum(aligner.speech.frames_of(clip.samples) for clip in clips)
    tokens = sum(len(each.ids) - 2 + aligner.extra_tokens for each in held.texts)
    before = initial_aligner(about, seed, speech, text, tokens / frames)
    network = AlignmentLoss(aligner, bert, about["recipe"]).eval()
    names = tokeniser.convert_ids_to_tokens(range(len(tokeniser)))
    arrays: dict[str, np.ndarray] = {
        "ids": np.array([clip.id for clip in clips]),
        "texts": np.array([clip.text for clip in clips]),
    }
    for k in tqdm(range(len(held)), desc="states", unit="clip", file=sys.stderr):
        for name, array in shown(network, before, padded([held[k]]), names).items():
            arrays[f"{name}_{k}"] = array
    with whole_file(out) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # none is allow_pickle
    kept.write(record, threads=threads, aligner={"run": run, "seed": seed}, clips=len(clips))


if __name__ == "__main__":
    typer.run(main)
