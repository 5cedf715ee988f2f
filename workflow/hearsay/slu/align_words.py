"""Give every word of a part its times, from where an aligner's α passes from token to token."""

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from tqdm import tqdm

from hearsay.corpora.manifest import Clip, read_manifest
from hearsay.corpora.word_times import WordTime, write_word_times
from hearsay.provenance import Run
from hearsay.slu.aligner_files import load_aligner
from hearsay.slu.batches import SpeechTexts, WordPieces, batches_by_length, word_pieces
from hearsay.slu.bert_layers import load_bert, load_tokeniser
from hearsay.slu.boundary_errors import merge_pieces
from hearsay.slu.firing import token_edges
from hearsay.slu.objective import AlignmentLoss
from hearsay.training.devices import device_of

STEP = "hearsay.slu.align_words"


def word_times(clip: Clip, pieces: WordPieces, left: Tensor, right: Tensor) -> list[WordTime]:
    """Words of a clip with the left end of their first and the right end of their last piece.

    Parameters
    ----------
    left, right : [N] seconds of each of `pieces`, [CLS] and [SEP] among them (NaN where they have
        none). Times are cut to the clip's.
    """
    words = clip.text.split()
    owners = [None if word < 0 else word for word in pieces.words]
    edges = torch.stack([left, right], dim=1).double().numpy()
    times = np.clip(merge_pieces(edges, owners, words), 0.0, clip.duration)
    return [
        WordTime(text, start, end) for text, (start, end) in zip(words, times.tolist(), strict=True)
    ]


@torch.inference_mode()
def align(
    network: AlignmentLoss,
    held: SpeechTexts,
    *,
    trim: float,
    batch_size: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, list[WordTime]]:
    """Words with their times by clip, in the order of the clips.

    Parameters
    ----------
    network : an aligner with its BERT, in evaluation mode.
    trim : as of `hearsay.slu.firing.token_edges`.
    """
    found: dict[str, list[WordTime]] = {}
    aligner = network.aligner
    bar = tqdm(
        total=len(held),
        desc="align",
        unit="clip",
        mininterval=0.2 if sys.stderr.isatty() else 5,
        file=sys.stderr,
    )
    with bar:
        for numbers, batch in batches_by_length(held, batch_size=batch_size, workers=workers):
            aligned = network.align(batch.to(device))
            edges = (
                aligner.speech.seconds(each).cpu() for each in token_edges(aligned.scaled, trim)
            )
            for number, left, right in zip(numbers, *edges, strict=True):
                clip, pieces = held.clips[number], held.texts[number]
                shown = [_spread(each, pieces, aligner.extra_tokens) for each in (left, right)]
                found[clip.id] = word_times(clip, pieces, *shown)
            bar.update(len(numbers))
    return {clip.id: found[clip.id] for clip in held.clips}


def _spread(times: Tensor, pieces: WordPieces, extra_tokens: int) -> Tensor:
    """Times of all pieces; NaN for [CLS] and [SEP] where they are no tokens of speech."""
    if extra_tokens:
        return times[: len(pieces.ids)]
    inner = times[: len(pieces.ids) - 2]
    return torch.nn.functional.pad(inner, (1, 1), value=float("nan"))


def main(
    weights: Path = typer.Option(help="safetensors of the aligner"),
    text: Path = typer.Option(help="folder of the text encoder that it was aligned to"),
    part: list[Path] = typer.Option(help="manifest of each part to align"),
    settings: str = typer.Option(help="device, batch_size as JSON"),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="CSV to write: id, word, start_s, end_s"),
    record: Path = typer.Option(help="run record to write"),
    workers: Annotated[int, typer.Option(help="processes that load audio; 0: none besides")] = 0,
) -> None:
    """Align every clip of a part to its transcript."""
    options = json.loads(settings)
    torch.set_num_threads(threads)
    kept = Run(STEP, settings=options, inputs=[weights, text, *part])
    bert, tokeniser = load_bert(text), load_tokeniser(text)
    aligner, about = load_aligner(weights, bert)
    clips = [clip for path in part for clip in read_manifest(path)]
    extra = aligner.extra_tokens
    pieces = word_pieces(clips, tokeniser, speech=aligner.speech, text=bert, extra_tokens=extra)
    held = SpeechTexts(clips, pieces)
    device = device_of(options["device"])
    found = align(
        AlignmentLoss(aligner, bert, about["recipe"]).to(device).eval(),
        held,
        trim=about["recipe"]["trim"],
        batch_size=options["batch_size"],
        workers=workers,
        device=device,
    )
    write_word_times(out, found)
    kept.write(
        record,
        threads=threads,
        workers=workers,
        aligner={key: about[key] for key in ("run", "seed")},
        clips=len(found),
        words=sum(len(words) for words in found.values()),
    )


if __name__ == "__main__":
    typer.run(main)
