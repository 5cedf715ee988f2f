"""Write down what a recogniser hears in every test part: one row a clip, nothing left out."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from tqdm import tqdm

from hearsay.asr.batches import batches_by_length
from hearsay.asr.decoding import greedy_texts
from hearsay.asr.networks import labels_of_model
from hearsay.asr.recogniser_files import load_recogniser
from hearsay.corpora.alphabets import labels_of
from hearsay.corpora.manifest import read_manifest
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run
from hearsay.training.devices import device_of

STEP = "hearsay.asr.transcribe"
COLUMNS = ["test", "id", "reference", "hypothesis"]


def main(
    language: str = typer.Option(help="language of the test parts"),
    run: str = typer.Option(help="name of the run, for messages"),
    seed: int = typer.Option(help="seed of the training"),
    weights: Path = typer.Option(help="safetensors of the recogniser"),
    test: list[str] = typer.Option(help="NAME=MANIFEST of each part to transcribe"),
    settings: str = typer.Option(
        help="device, batch_size and, for a language that is not built in, alphabet as JSON"
    ),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="CSV to write: test, id, reference, hypothesis"),
    record: Path = typer.Option(help="run record to write"),
    workers: Annotated[int, typer.Option(help="processes that load audio; 0: none besides")] = 0,
) -> None:
    """Transcribe every clip by greedy decoding; references are the prepared texts."""
    options = json.loads(settings)
    torch.set_num_threads(threads)
    tests = [(name, Path(path)) for name, _, path in (text.partition("=") for text in test)]
    kept = Run(
        STEP,
        settings={"language": language, "run": run, "tests": [n for n, _ in tests], **options},
        inputs=[weights, *(path for _, path in tests)],
        seed=seed,
    )
    model, about = load_recogniser(weights)
    labels = labels_of_model(model)
    if about["language"] != language or labels != labels_of(language, options):
        raise InputError(
            f"{weights}: a recogniser of {about['language']} with the alphabet "
            f"{''.join(labels)!r}; the test parts are in {language}"
        )
    device = device_of(options["device"])
    model = model.to(device)
    counts = {}
    with whole_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for name, path in tests:
            clips = read_manifest(path)
            heard: dict[str, str] = {}
            bar = tqdm(
                total=len(clips),
                desc=f"transcribe {name}",
                unit="clip",
                mininterval=0.2 if sys.stderr.isatty() else 5,
                file=sys.stderr,
            )
            loading = {"batch_size": options["batch_size"], "workers": workers}
            with bar, torch.inference_mode():
                for held, batch in batches_by_length(clips, labels, **loading):
                    log_probs, lengths, _ = model(
                        input_signal=batch.audio.to(device),
                        input_signal_length=batch.audio_lengths.to(device),
                    )
                    texts = greedy_texts(log_probs, lengths, labels)
                    heard |= {clip.id: text for clip, text in zip(held, texts, strict=True)}
                    bar.update(len(held))
            table.writerows([name, clip.id, clip.text, heard[clip.id]] for clip in clips)
            counts[name] = len(clips)
    kept.write(record, threads=threads, workers=workers, clips=counts)


if __name__ == "__main__":
    typer.run(main)
