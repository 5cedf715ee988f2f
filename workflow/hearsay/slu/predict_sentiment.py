"""What a classifier of sentiment says of every utterance of its test parts."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from tqdm import tqdm

from hearsay.corpora.slue import LABELS
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run
from hearsay.slu.bert_layers import load_bert, load_tokeniser
from hearsay.slu.sentiment import SentimentClassifier, reading_of, reads_text
from hearsay.slu.sentiment_batches import SentimentClips, batches_by_length, read_sentiments
from hearsay.slu.sentiment_files import load_classifier
from hearsay.training.devices import device_of

STEP = "hearsay.slu.predict_sentiment"
COLUMNS = ["part", "id", "speaker", "label", "predicted", *(f"p_{x.lower()}" for x in LABELS)]


def named_paths(given: list[str], option: str) -> dict[str, Path]:
    """``corpus/part=path`` by part."""
    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not name or name in found:
            raise InputError(f"{option} {text!r}: give each part once, as corpus/part=path")
        found[name] = Path(path)
    return found


@torch.inference_mode()
def probabilities(
    model: SentimentClassifier,
    held: SentimentClips,
    *,
    batch_size: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> list[list[float]]:
    """Of each utterance, in the order of the clips, the probability of each of `LABELS`."""
    found: list[list[float] | None] = [None] * len(held)
    bar = tqdm(
        total=len(held),
        desc="classify",
        unit="clip",
        mininterval=0.2 if sys.stderr.isatty() else 5,
    )
    with bar:
        for numbers, batch in batches_by_length(held, batch_size=batch_size, workers=workers):
            shares = model(batch.to(device)).float().softmax(-1).tolist()
            for number, each in zip(numbers, shares, strict=True):
                found[number] = each
            bar.update(len(numbers))
    assert all(each is not None for each in found), "an utterance was not classified"
    return found  # type: ignore[return-value]


def main(
    run: str = typer.Option(help="name of the run"),
    seed: int = typer.Option(help="of its training"),
    kind: str = typer.Option(help="text, speech or graft"),
    weights: Path = typer.Option(help="safetensors of the classifier"),
    text: Path | None = typer.Option(
        None, help="folder of the text encoder (kinds text and graft)"
    ),
    part: list[str] = typer.Option(help="corpus/part=manifest of each part to classify"),
    labels: list[str] = typer.Option(help="corpus/part=table of its sentiments"),
    settings: str = typer.Option(help="device, batch_size as JSON"),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="CSV to write, one row an utterance"),
    record: Path = typer.Option(help="run record to write"),
    workers: Annotated[int, typer.Option(help="processes that load audio; 0: none besides")] = 0,
) -> None:
    """Classify every utterance of the test parts."""
    options = json.loads(settings)
    torch.set_num_threads(threads)
    parts, tables = named_paths(part, "--part"), named_paths(labels, "--labels")
    if set(parts) != set(tables):
        unlike = sorted(set(parts) ^ set(tables))
        raise InputError(f"{unlike[0]}: give it both as --part and as --labels")
    inputs = [weights, *([text] if text else []), *parts.values(), *tables.values()]
    kept = Run(STEP, settings={"run": run, "kind": kind, **options}, inputs=inputs, seed=seed)
    bert = load_bert(text) if text else None
    model, about = load_classifier(weights, bert)
    if about["kind"] != kind:
        raise InputError(f"{weights}: is of kind {about['kind']}, not {kind}")
    tokeniser = load_tokeniser(text) if text and reads_text(kind, about["recipe"]) else None
    reading = reading_of(model, tokeniser)
    device = device_of(options["device"])
    model = model.to(device).eval()
    rows = []
    for name, path in parts.items():
        held = read_sentiments([path], [tables[name]], **reading)
        found = probabilities(
            model,
            held,
            batch_size=options["batch_size"],
            workers=workers,
            device=device,
        )
        for clip, label, shares in zip(held.clips, held.labels, found, strict=True):
            best = max(range(len(LABELS)), key=shares.__getitem__)
            told = [f"{share:.6f}" for share in shares]
            rows.append([name, clip.id, clip.speaker, LABELS[label], LABELS[best], *told])
    with whole_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    right = sum(row[3] == row[4] for row in rows)
    kept.write(record, threads=threads, workers=workers, utterances=len(rows), right=right)
    print(f"{run}, seed {seed}: {right} of {len(rows)} are right", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
