"""Recall and F1 of all classifiers of sentiment, beside the commonest class of training."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from hearsay.corpora.slue import LABELS, read_labels
from hearsay.errors import InputError
from hearsay.metrics.classification import (
    bootstrap_interval,
    class_scores,
    majority_predictions,
    mcnemar,
)
from hearsay.metrics.scores import write_scores
from hearsay.provenance import Run
from hearsay.slu.predict_sentiment import COLUMNS, named_paths

STEP = "hearsay.slu.score_sentiment"
INTERVALS = ("weighted recall", "weighted f1", "macro f1")
OF_TRAINING = ("training_seconds", "parameters", "trained_parameters", "epochs")

Row = dict[str, Any]
Predictions = dict[str, dict[str, str]]  # by part and id


def read_predictions(path: Path) -> Predictions:
    """What was predicted, by part and id.

    Raises
    ------
    InputError
        for a file of another form, and an utterance that comes twice.
    """
    found: Predictions = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream)
            if rows.fieldnames != COLUMNS:
                raise InputError(f"{path}: not a file of predictions; remove it and make it anew")
            for row in rows:
                part = found.setdefault(row["part"], {})
                if row["id"] in part:
                    raise InputError(f"{path}: {row['id']!r} comes twice; make it anew")
                if row["predicted"] not in LABELS:
                    raise InputError(
                        f"{path}: {row['id']!r} is predicted {row['predicted']!r}, none of "
                        f"{', '.join(LABELS)}; make it anew"
                    )
                part[row["id"]] = row["predicted"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a file of predictions: {error}") from None
    return found


def aligned_predictions(
    found: Predictions, part: str, truth: Mapping[str, str], where: str
) -> list[str]:
    """Predictions in the order of `truth`.

    Raises
    ------
    InputError
        unless every utterance with a sentiment was predicted, and no other one.
    """
    predicted = found.get(part, {})
    if unlike := sorted(set(truth) ^ set(predicted)):
        raise InputError(
            f"{where}: {len(predicted)} predictions for {len(truth)} utterances of {part}, such as "
            f"{unlike[0]!r}; predict that part again"
        )
    return [predicted[name] for name in truth]


def speakers_of(table: Path, truth: Mapping[str, str]) -> list[str]:
    """Speaker of each utterance in the order of `truth`, as the table of sentiments has them.

    Raises
    ------
    InputError
        for an utterance without one.
    """
    with table.open(encoding="utf-8", newline="") as stream:
        found = {row["id"]: row["speaker"] for row in csv.DictReader(stream)}
    if nameless := [name for name in truth if not found[name]]:
        raise InputError(f"{table}: {nameless[0]!r} has no speaker; set interval_over to items")
    return [found[name] for name in truth]


def measured(
    truth: list[str], predicted: list[str], resamples: int, groups: list[str] | None = None
) -> dict[str, float]:
    """All measures of one classifier on one part; the weighted recall is the accuracy.

    Of `groups`, one an utterance, the bootstrap draws whole ones.
    """
    scores = class_scores(truth, predicted, LABELS)
    found = dict(scores.averages)
    for name in ("precision", "recall", "f1"):
        for label, value in zip(LABELS, getattr(scores, name), strict=True):
            found[f"{name} {label}"] = float(value)
    for name in INTERVALS:
        limits = bootstrap_interval(
            truth, predicted, LABELS, name, groups=groups, resamples=resamples
        )
        found[f"{name} low"], found[f"{name} high"] = limits
    return found


def reference_of(entries: list[dict[str, Any]], seed: int) -> dict[str, Any] | None:
    """The first run of kind speech: its training with this seed, else its first one."""
    runs = [entry for entry in entries if entry["kind"] == "speech"]
    same = [entry for entry in runs if entry["run"] == runs[0]["run"]]
    return next((entry for entry in same if entry["seed"] == seed), same[0] if same else None)


def rows_of_part(
    part: str,
    truth: Mapping[str, str],
    entries: list[dict[str, Any]],
    common: list[str],
    resamples: int,
    groups: list[str] | None = None,
) -> Iterator[Row]:
    """Score rows of one part; `common` are the predictions of the majority row."""
    labels = list(truth.values())
    shared = {"system": "slu", "subject_or_language": part, "n": len(labels)}
    heard = {
        (e["run"], e["seed"]): aligned_predictions(e["found"], part, truth, e["predictions"])
        for e in entries
        if part in e["found"]
    }
    for metric, value in measured(labels, common, resamples, groups).items():
        row = {"experiment": "majority", "model": "majority", "seed": 0}
        yield {**shared, **row, "metric": metric, "value": value}
    for entry in entries:
        key = entry["run"], entry["seed"]
        if key not in heard:
            continue
        values = measured(labels, heard[key], resamples, groups)
        other = reference_of(entries, entry["seed"])
        if other is not None and other["run"] != entry["run"]:
            theirs = heard.get((other["run"], other["seed"]))
            if theirs is not None:
                test = mcnemar(labels, heard[key], theirs)
                values[f"mcnemar p against {other['run']}"] = test.p
                values["only right"] = test.only_first
                values["only reference right"] = test.only_second
        row = {"experiment": entry["run"], "model": entry["kind"], "seed": entry["seed"]}
        for metric, value in values.items():
            yield {**shared, **row, "metric": metric, "value": value}


def rows_of_training(entry: dict[str, Any]) -> Iterator[Row]:
    """How long a training took, and how large it was."""
    try:
        record = json.loads(Path(entry["training"]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{entry['training']}: not a run record: {error}") from None
    if lacking := [metric for metric in OF_TRAINING if metric not in record]:
        raise InputError(f"{entry['training']}: not of train_sentiment: has no {lacking[0]}")
    for metric in OF_TRAINING:
        yield {
            "system": "slu",
            "experiment": entry["run"],
            "model": entry["kind"],
            "seed": entry["seed"],
            "metric": metric,
            "value": float(record[metric]),
        }


def main(
    training: list[str] = typer.Option(
        help='JSON of each: {"run", "seed", "kind", "predictions", "training"}, paths'
    ),
    labels: list[str] = typer.Option(help="corpus/part=table of sentiments of each test part"),
    training_labels: list[Path] = typer.Option(help="sentiments of the training data"),
    settings: str = typer.Option(
        help="resamples as JSON, and interval_over: items (if not given) or speakers"
    ),
    out: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Score all classifiers on all parts."""
    options = {"interval_over": "items", **json.loads(settings)}
    if options["interval_over"] not in ("items", "speakers"):
        raise InputError(f"interval_over = {options['interval_over']!r}: items or speakers")
    entries = [json.loads(text) for text in training]
    tables = named_paths(labels, "--labels")
    kept = Run(
        STEP,
        settings={**options, "runs": [f"{e['run']}/{e['seed']}" for e in entries]},
        inputs=[
            *[Path(e[key]) for e in entries for key in ("predictions", "training")],
            *tables.values(),
            *training_labels,
        ],
    )
    for entry in entries:
        entry["found"] = read_predictions(Path(entry["predictions"]))
    known = [LABELS[k] for path in training_labels for k in read_labels(path).values()]
    rows: list[Row] = []
    for part, table in tables.items():
        truth = {name: LABELS[k] for name, k in read_labels(table).items()}
        common = majority_predictions(list(truth.values()), LABELS, known)
        groups = speakers_of(table, truth) if options["interval_over"] == "speakers" else None
        rows += rows_of_part(part, truth, entries, common, options["resamples"], groups)
    for entry in entries:
        rows += rows_of_training(entry)
    write_scores(out, [{**row, "run": kept.id} for row in rows])
    kept.write(record, values=len(rows))
    print(f"{len(tables)} parts, {len(entries)} classifiers, {len(rows)} values", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
