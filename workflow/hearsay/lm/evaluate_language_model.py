"""Judge one trained language model: perplexity of every word, sparsity, operations."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import typer
from tqdm import tqdm

from hearsay.corpora.text_corpus import TokenCorpus, read_tokens
from hearsay.errors import InputError
from hearsay.lm.activity import ActivityCounter
from hearsay.lm.chunks import negative_log_likelihood, perplexity
from hearsay.lm.language_model import LanguageModel, load_language_model
from hearsay.lm.operations import dense_macs, effective_macs
from hearsay.metrics.scores import write_scores
from hearsay.provenance import Run
from hearsay.training.devices import device_of

STEP = "hearsay.lm.evaluate_language_model"

Row = dict[str, Any]


def check_vocabulary(weights: Path, about: Mapping[str, Any], text: TokenCorpus) -> None:
    """Refuse a model of other words, whose numbers would mean nothing.

    Raises
    ------
    InputError
        naming both vocabularies.
    """
    if about["vocabulary"] != text.vocabulary_digest:
        raise InputError(
            f"{weights}: trained on the vocabulary {about['vocabulary']} of {about['corpus']}, but "
            f"these tokens have {text.vocabulary_digest} ({len(text.words)} words); train it again "
            "on them"
        )


def measure(
    model: LanguageModel, text: TokenCorpus, *, bptt: int, device: torch.device, name: str
) -> Iterator[Row]:
    """Perplexities of validation and test text, and what the test text made the units do."""
    for part in ("validation", "test"):
        ids = text.valid if part == "validation" else text.test
        counter = ActivityCounter()
        model.count_into(counter)
        bar = tqdm(total=len(ids) - 1, desc=f"{name}, {part}", unit="word", mininterval=5.0)
        with bar:
            total, count = negative_log_likelihood(
                model, ids, bptt=bptt, device=device, progress=bar.update
            )
        model.count_into(None)
        yield {"metric": f"{part}_perplexity", "value": perplexity(total, count), "n": count}
    if counter.layers:
        yield {
            "metric": "activity_sparsity",
            "value": counter.activity_sparsity(),
            "n": sum(counter.steps),
        }
        for layer, steps in zip(counter.layers, counter.steps, strict=True):
            yield {
                "metric": f"activity_sparsity_layer{layer + 1}",
                "value": counter.activity_sparsity(layer),
                "n": steps,
            }
    yield from operations(model, counter)


def operations(model: LanguageModel, counter: ActivityCounter) -> Iterator[Row]:
    """Multiply-accumulates a word at batch 1, and sizes."""
    sizes, words, cell = model.layer_sizes, model.vocabulary_size, model.cell
    dense: dict[str, float] = {
        "dense_macs": dense_macs(sizes, words, cell=cell),
        "dense_macs_rnn": dense_macs(sizes, words, cell=cell, decoder=False),
    }
    active = counter.active_fractions()
    effective: dict[str, float] = {
        "effective_macs": dense["dense_macs"],
        "effective_macs_rnn": dense["dense_macs_rnn"],
    }
    if active:
        effective = {
            "effective_macs": effective_macs(sizes, words, active),
            "effective_macs_rnn": effective_macs(sizes, words, active, decoder=False),
            "effective_macs_lookup": effective_macs(sizes, words, active, lookup=True),
        }
    for metric, value in (dense | effective).items():
        yield {"metric": metric, "value": value}
    yield {"metric": "parameters", "value": sum(w.numel() for w in model.parameters())}
    yield {"metric": "hidden_size", "value": sizes[0][1]}
    yield {"metric": "embedding_size", "value": sizes[0][0]}


def of_training(history: pd.DataFrame, record: Mapping[str, Any]) -> Iterator[Row]:
    """What the training itself has measured: its length, its speed, backward sparsity.

    The backward sparsity is that of the epoch whose weights were kept, over all its chunks.
    """
    yield {"metric": "epochs", "value": len(history)}
    yield {"metric": "training_tokens_per_second", "value": record["tokens_per_second"]}
    best = history.iloc[history["validation_perplexity"].argmin()]
    for column in history.columns:
        if column.startswith("backward_sparsity"):
            yield {"metric": column, "value": best[column]}


def main(
    corpus: str = typer.Option(help="name of the corpus"),
    run: str = typer.Option(help="name of the run"),
    seed: int = typer.Option(help="of the training"),
    tokens: Path = typer.Option(help="tokens.npz of the corpus"),
    weights: Path = typer.Option(help="safetensors of train_language_model"),
    history: Path = typer.Option(help="its history"),
    training: Path = typer.Option(help="its run record"),
    settings: str = typer.Option(help="backend, device and bptt as JSON"),
    threads: int = typer.Option(1, help="CPU threads"),
    out: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Score one model on validation and test text, at batch 1 from a state of zeros."""
    options = json.loads(settings)
    torch.set_num_threads(threads)
    text = read_tokens(tokens)
    kept = Run(
        STEP,
        settings={"corpus": corpus, "run": run, **options},
        inputs=[tokens, weights, history, training],
        seed=seed,
    )
    model, about = load_language_model(weights, backend=options["backend"])
    check_vocabulary(weights, about, text)
    device = device_of(options["device"])
    model.to(device)
    trained = json.loads(training.read_text(encoding="utf-8"))
    rows = [
        *measure(model, text, bptt=options["bptt"], device=device, name=f"{corpus}, {run}"),
        *of_training(pd.read_csv(history), trained),
    ]
    same = {
        "system": "lm",
        "experiment": run,
        "subject_or_language": corpus,
        "model": model.cell,
        "seed": seed,
        "run": kept.id,
    }
    write_scores(out, [{**same, **row} for row in rows])
    kept.write(record, threads=threads, device=str(device))
    found = {row["metric"]: row["value"] for row in rows}
    print(
        f"{corpus}, {run}, seed {seed}: test perplexity {found['test_perplexity']:.2f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
