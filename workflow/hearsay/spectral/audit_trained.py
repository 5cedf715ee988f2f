"""Audit models that this workflow trained: every matrix of each, and a summary of each."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import typer
from tqdm import tqdm

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.metrics.scores import write_scores
from hearsay.provenance import Run
from hearsay.spectral.report import audit
from hearsay.spectral.summary import score_rows

STEP = "hearsay.spectral.audit_trained"
SNAPSHOT = re.compile(r"epoch-\d+")


@dataclass(frozen=True)
class Trained:
    """One file of weights to audit: `model` is its name, a snapshot's ``model/epoch-0003``."""

    model: str
    weights: Path


def files_of(entry: Mapping[str, str]) -> Iterator[Trained]:
    """The weights of a training, and the snapshots in its folder ``trajectory``, if it has one.

    Raises
    ------
    InputError
        for a folder without snapshots.
    """
    yield Trained(entry["model"], Path(entry["weights"]))
    if not entry.get("trajectory"):
        return
    folder = Path(entry["trajectory"])
    found = sorted(p for p in folder.glob("*.safetensors") if SNAPSHOT.fullmatch(p.stem))
    if not found:
        raise InputError(f"{folder}: no snapshots of {entry['model']}; train it again")
    for path in found:
        yield Trained(f"{entry['model']}/{path.stem}", path)


def main(
    models: str = typer.Option(
        help='JSON: [{"model", "weights", "trajectory"}, …]: name, file, folder of snapshots or ""'
    ),
    settings: str = typer.Option(help="convention, min_size and device as JSON"),
    matrices: Path = typer.Option(help="CSV to write, one row a matrix or slice of every model"),
    scores: Path = typer.Option(help="score file to write: the summary of every model"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Audit; a weight with NaN or Inf is a status of its matrix, as is every other failed fit."""
    options, entries = json.loads(settings), json.loads(models)
    read = [
        Path(entry[key]) for entry in entries for key in ("weights", "trajectory") if entry[key]
    ]
    run = Run(STEP, settings={**options, "models": [e["model"] for e in entries]}, inputs=read)
    files = [file for entry in entries for file in files_of(entry)]
    frames, rows = [], []
    for file in tqdm(files, unit="model", file=sys.stderr):
        frame = audit(file.weights, **options)
        named = {"system": "spectral", "model": file.model, "run": run.id}
        rows += score_rows(frame, {**named, "experiment": options["convention"]})
        frame.insert(0, "model", file.model)
        frames.append(frame)
    together = pd.concat(frames, ignore_index=True)
    with whole_file(matrices) as temporary:
        together.to_csv(temporary, index=False)
    write_scores(scores, rows)
    statuses = together["status"].value_counts().to_dict()
    run.write(record, files=len(files), rows=len(together), statuses=statuses)


if __name__ == "__main__":
    typer.run(main)
