"""Word error rates of all recognisers of one language, from their transcripts."""

import csv
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from hearsay.errors import InputError
from hearsay.metrics.resampling import ratio_bootstrap_interval
from hearsay.metrics.scores import write_scores
from hearsay.metrics.text import character_errors, word_errors
from hearsay.provenance import Run

STEP = "hearsay.asr.score_transcripts"
NEAR_FINAL = 0.9  # of the final accuracy, the dashed line of Figure 3

Row = dict[str, Any]


def read_transcripts(path: Path) -> dict[str, list[tuple[str, str]]]:
    """References and hypotheses of every test part, in the order of the file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        found: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            found.setdefault(row["test"], []).append((row["reference"], row["hypothesis"]))
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise InputError(f"{path}: not a file of transcripts: {error}") from None
    if not found:
        raise InputError(f"{path}: no transcripts in it")
    return found


def error_rates(pairs: list[tuple[str, str]], resamples: int) -> dict[str, float]:
    """Corpus-level word and character error rate with the former's 95 % interval over clips.

    Raises
    ------
    InputError
        if no reference has a word.
    """
    if not any(reference.split() for reference, _ in pairs):
        raise InputError(
            f"none of {len(pairs)} references has a word, so there is no rate; leave the test out"
        )
    words = [word_errors(reference.split(), text.split()) for reference, text in pairs]
    letters = [character_errors(reference, text) for reference, text in pairs]
    errors = np.array([each.errors for each in words])
    lengths = np.array([each.words for each in words])
    low, high = ratio_bootstrap_interval(errors, lengths, resamples=resamples)
    return {
        "wer": float(errors.sum() / lengths.sum()),
        "wer_low": low,
        "wer_high": high,
        "cer": sum(e for e, _ in letters) / max(sum(n for _, n in letters), 1),
    }


def epochs_to_near_final(history: Path) -> float:
    """First epoch whose accuracy, 1 − WER, is 90 % of the last epoch's; NaN if it learns nothing.

    Source: Figure 3 of the paper, which counts relative to the best run's final accuracy; the
    figure of the workflow does so too, here it is the run's own.
    """
    frame = pd.read_csv(history)
    if frame.empty:
        return math.nan
    accuracy = 1 - frame["validation_wer"].astype(float)
    reached = frame["epoch"][accuracy >= NEAR_FINAL * accuracy.iloc[-1]]
    return float(reached.iloc[0]) if accuracy.iloc[-1] > 0 else math.nan


def rows_of(
    name: str, entry: dict[str, Any], language: str, run: str, resamples: int
) -> Iterator[Row]:
    """Score rows of one training."""
    record = json.loads(Path(entry["training"]).read_text(encoding="utf-8"))
    shared = {
        "system": "asr",
        "experiment": entry["run"],
        "subject_or_language": language,
        "model": record["settings"]["recipe"]["blocks"],
        "seed": entry["seed"],
        "run": run,
    }
    for test, pairs in read_transcripts(Path(entry["transcripts"])).items():
        try:
            rates = error_rates(pairs, resamples)
        except InputError as error:
            raise InputError(f"{entry['transcripts']}: {test}: {error}") from None
        for metric, value in rates.items():
            yield {**shared, "metric": f"{metric} {test}", "value": value, "n": len(pairs)}
    yield {
        **shared,
        "metric": "epochs_to_90",
        "value": epochs_to_near_final(Path(entry["history"])),
        "n": record["epochs"],
    }
    for metric in ("training_seconds", "parameters", "validation_wer"):
        yield {**shared, "metric": metric, "value": float(record[metric]), "n": None}


def main(
    language: str = typer.Option(help="language of the recognisers"),
    training: list[str] = typer.Option(
        help='JSON of each: {"run", "seed", "transcripts", "history", "training"}, paths'
    ),
    settings: str = typer.Option(help="resamples as JSON"),
    out: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Score all recognisers of a language; empty references count as insertions of all words."""
    options = json.loads(settings)
    entries = [json.loads(text) for text in training]
    kept = Run(
        STEP,
        settings={
            "language": language,
            **options,
            "runs": [f"{entry['run']}/{entry['seed']}" for entry in entries],
        },
        inputs=[Path(e[key]) for e in entries for key in ("transcripts", "history", "training")],
    )
    rows = [
        row
        for entry in entries
        for row in rows_of(entry["run"], entry, language, kept.id, options["resamples"])
    ]
    write_scores(out, rows)
    kept.write(record, values=len(rows))
    print(f"{language}: {len(entries)} recognisers, {len(rows)} values", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
