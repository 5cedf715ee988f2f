"""Put the scores of all models and seeds of one corpus into one file."""

import sys
from pathlib import Path

import pandas as pd
import typer

from hearsay.metrics.scores import read_scores, write_scores
from hearsay.provenance import Run

STEP = "hearsay.lm.gather_scores"


def main(
    corpus: str = typer.Option(help="name of the corpus"),
    scores: list[Path] = typer.Option(help="score file of one model; once for each"),
    out: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Join score files; each row keeps the id of the run that measured it."""
    kept = Run(STEP, settings={"corpus": corpus}, inputs=scores)
    together = pd.concat([read_scores(path) for path in scores])
    rows = [{str(key): value for key, value in row.items()} for row in together.to_dict("records")]
    write_scores(out, rows)
    kept.write(record)
    print(f"{corpus}: {len(rows)} scores of {len(scores)} trainings", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
