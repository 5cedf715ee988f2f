"""Give every word of a part its times by a CTC model over letters: the tables' upper reference."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import typer
from tqdm import tqdm

from hearsay.corpora.manifest import Clip, read_audio, read_manifest
from hearsay.corpora.word_times import WordTime, write_word_times
from hearsay.errors import InputError
from hearsay.provenance import Run
from hearsay.slu.ctc_model import CtcModel, load_ctc_model
from hearsay.slu.forced_alignment import force_alignment, words_of_alignment
from hearsay.training.devices import device_of

STEP = "hearsay.slu.force_words"
SHARED = 0.2  # seconds of blanks between two words that are divided between them


def forced_words(model: CtcModel, clip: Clip) -> list[WordTime]:
    """Words of a clip with the times of the best path through their letters.

    Raises
    ------
    InputError
        naming the clip: for letters that the model lacks, and more of them than it has frames.
    """
    words = clip.text.split()
    try:
        labels = model.labels(words)
        scores = model.log_probabilities(read_audio(clip))
        found = force_alignment(scores, labels, model.blank)
        times = words_of_alignment(
            found,
            [len(word) for word in words],
            model.frame,
            offset=model.offset,
            share_blanks=SHARED,
        )
    except InputError as error:
        raise InputError(f"clip {clip.id}: {error}") from None
    times = np.clip(times, 0.0, clip.duration)
    return [WordTime(w, float(a), float(b)) for w, (a, b) in zip(words, times, strict=True)]


@torch.inference_mode()
def main(
    model: Path = typer.Option(help="folder of the CTC model, with its vocab.json"),
    part: list[Path] = typer.Option(help="manifest of each part to align"),
    settings: str = typer.Option(help="device as JSON"),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="CSV to write: id, word, start_s, end_s"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Force every clip's transcript onto its audio."""
    options = json.loads(settings)
    torch.set_num_threads(threads)
    kept = Run(STEP, settings=options, inputs=[model, *part])
    network = load_ctc_model(model).to(device_of(options["device"]))
    clips = [clip for path in part for clip in read_manifest(path)]
    bar = tqdm(clips, desc="force", unit="clip", mininterval=0.2 if sys.stderr.isatty() else 5)
    found = {clip.id: forced_words(network, clip) for clip in bar}
    write_word_times(out, found)
    kept.write(
        record,
        threads=threads,
        clips=len(found),
        words=sum(len(words) for words in found.values()),
    )


if __name__ == "__main__":
    typer.run(main)
