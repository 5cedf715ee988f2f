"""Audit one model: the spectrum and the power-law fit of every weight matrix."""

import json
import sys
from pathlib import Path

import numpy as np
import typer
from tqdm import tqdm

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run
from hearsay.spectral.report import audit

STEP = "hearsay.spectral.audit_model"


def main(
    model: str = typer.Option(help="name of the model, for messages"),
    weights: Path = typer.Option(help="weights file or folder"),
    settings: str = typer.Option(help="convention, min_size, device, placeholders as JSON"),
    out: Path = typer.Option(help="CSV to write, one row a matrix or slice"),
    eigenvalues: Path = typer.Option(help="npz to write: the spectrum of each row by its number"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Audit; a weight with NaN or Inf is an error, but the rest of the report is kept."""
    options = json.loads(settings)
    run = Run(STEP, settings=options, inputs=[weights])
    spectra: dict[str, np.ndarray] = {}
    frame = audit(
        weights,
        convention=options["convention"],
        min_size=options["min_size"],
        device=options["device"],
        placeholders=tuple(options["placeholders"]),
        keep_eigenvalues=lambda row, values: spectra.__setitem__(str(row), values),
        progress=lambda weights, total: tqdm(weights, total=total, unit="weight", file=sys.stderr),
    )
    broken = frame.loc[frame["status"] == "not_finite", "name"].unique()
    # Snakemake removes the outputs of a failed job: the good part goes beside them.
    kept = out.with_name(f"{model}.rejected.csv")
    if len(broken):
        with whole_file(kept) as temporary:
            frame.to_csv(temporary, index=False)
        raise InputError(
            f"{model}: {len(broken)} of {frame['name'].nunique()} weights hold NaN or Inf: "
            f"{', '.join(broken)}; the report on the others is {kept}"
        )
    with whole_file(out) as temporary:
        frame.to_csv(temporary, index=False)
    with whole_file(eigenvalues) as temporary:
        np.savez_compressed(temporary, **spectra)  # type: ignore[arg-type]  # rows are numbers
    kept.unlink(missing_ok=True)  # of weights that were mended since
    run.write(record, rows=len(frame), statuses=frame["status"].value_counts().to_dict())


if __name__ == "__main__":
    typer.run(main)
