"""Summarise the audits of all models into one score file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from hearsay.errors import InputError, reason_of
from hearsay.metrics.scores import read_scores, write_scores
from hearsay.provenance import Run
from hearsay.spectral.summary import score_rows

STEP = "hearsay.spectral.summarise_audits"


def all_rows(
    audits: dict[str, Path], accuracies: dict[str, float], convention: str, run: str
) -> Iterator[dict[str, Any]]:
    """Score rows of every model: its accuracy, where known, and its summary.

    Raises
    ------
    InputError
        for a file that is no audit, or a part of one.
    """
    for model, path in audits.items():
        names = {"system": "spectral", "experiment": convention, "model": model, "run": run}
        if model in accuracies:
            yield {**names, "metric": "accuracy", "value": accuracies[model]}
        try:
            rows = score_rows(pd.read_csv(path), names)
        except (LookupError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}: not a whole audit ({reason_of(error)}); delete it, and run again"
            ) from None
        yield from rows


def main(
    models: str = typer.Option(help="names of the models as a JSON list, in the order of audits"),
    settings: str = typer.Option(help="convention, and accuracies by model, as JSON"),
    audit: list[Path] = typer.Option(help="an audit's CSV; once for every model"),
    accuracy: list[Path] = typer.Option([], help="a score file with a metric `accuracy`"),
    out: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Means and sums over the successful fits of each model, with counts of every status."""
    options = json.loads(settings)
    run = Run(STEP, settings=options, inputs=[*audit, *accuracy])
    accuracies = dict(options["accuracies"])
    for path in accuracy:
        scores = read_scores(path)
        measured = scores[scores["metric"] == "accuracy"]
        accuracies |= dict(zip(measured["model"], measured["value"], strict=True))
    audits = dict(zip(json.loads(models), audit, strict=True))
    write_scores(out, all_rows(audits, accuracies, options["convention"], run.id))
    run.write(record)


if __name__ == "__main__":
    typer.run(main)
