"""Make one story's responses from raw BIDS runs, in the layout of ds003020's HDF5 files.

Runs of one story are processed one by one, kept as ``individual_repeats`` [runs, rows, voxels]
where there are several, and averaged to ``data`` [rows, voxels]. See `hearsay.corpora.bold` for
what is done to a run, and for what is not: no motion correction, no registration.
"""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import typer

from hearsay.corpora.bold import (
    load_image,
    masked_run,
    order_of_runs,
    read_mask,
    repetition_time,
    responses_of_run,
)
from hearsay.corpora.present import PresentFile, read_present, read_respdict, the_one
from hearsay.corpora.responses import REPEATS, check_rows
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run

STEP = "hearsay.corpora.preprocess_bold"


def runs_of(files: list[PresentFile], story: str, clone: Path, subject: str) -> list[Path]:
    """The runs of a story in the order of sessions and runs; InputError if there are none."""
    runs = [file for file in files if file.kind == "raw" and ".nii" in Path(file.path).name]
    marks = (f"_task-{story}_", f"_task-{story}.")
    found = [clone / f.path for f in runs if any(m in Path(f.path).name for m in marks)]
    if not found:
        known = ", ".join(sorted({file.story for file in runs})) or "none"
        raise InputError(f"{subject}: no raw runs of {story!r} are fetched; there are {known}")
    return sorted(found, key=order_of_runs)


def check_run(run: Path, clone: Path, options: dict[str, Any]) -> int:
    """Number of volumes of a run; InputError if its TR or its length will not do."""
    wanted = options.get("tr", 2.0)
    tr = repetition_time(run, clone)
    if not abs(tr - wanted) <= 1e-3:
        raise InputError(
            f"{run}: a repetition time of {tr:g} s, not {wanted:g}; resample the run, or correct "
            "its JSON side file"
        )
    volumes = load_image(run, 4).shape[3]
    if volumes - 2 * options["trim"] < 3:
        raise InputError(
            f"{run}: {volumes} volumes are too few to trim {options['trim']} at either end"
        )
    return volumes


def main(
    subject: str = typer.Option(help="name of the subject"),
    story: str = typer.Option(help="name of the story, the task of its runs"),
    clone: Path = typer.Option(help="folder of the dataset"),
    present: Path = typer.Option(help="list of the files that are there"),
    settings: str = typer.Option(help="mask (null: the dataset's own), window_s and trim as JSON"),
    out: Path = typer.Option(help="HDF5 file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Process every run of one story and write them with their mean."""
    options = json.loads(settings)
    files = read_present(present)
    if options["mask"] is None:
        mask_file = the_one(files, "mask", clone, present)
    else:
        mask_file = Path(options["mask"].replace("{subject}", subject))
    mask, affine = read_mask(mask_file)
    runs = runs_of(files, story, clone, subject)
    settings_of_run = {**options, "subject": subject, "story": story}
    # The list of files has the checksums of all that lies in the clone.
    inputs = [present] if options["mask"] is None else [present, mask_file]
    run = Run(STEP, settings=settings_of_run, inputs=inputs)

    lengths = [check_run(path, clone, options) for path in runs]
    rows = lengths[0] - 2 * options["trim"]
    if different := [k for k in range(len(runs)) if lengths[k] != lengths[0]]:
        raise InputError(
            f"{runs[different[0]]}: {lengths[different[0]]} volumes, but {runs[0].name} has "
            f"{lengths[0]}; runs of one story must be of one length"
        )
    trs = read_respdict(the_one(files, "respdict", clone, present))
    if story in trs:
        check_rows(runs[0], rows, f"{subject}: {story}", trs[story])

    voxels = int(mask.sum())
    mean = np.zeros((rows, voxels))
    constant = 0
    with whole_file(out) as temporary, h5py.File(temporary, "w") as file:
        if len(runs) > 1:
            file.create_dataset(REPEATS, (len(runs), rows, voxels), np.float64)
        for k, path in enumerate(runs):
            print(f"{subject}: {story}: run {k + 1} of {len(runs)}", file=sys.stderr, flush=True)
            one = responses_of_run(
                masked_run(path, mask, affine),
                window_s=options["window_s"],
                trim=options["trim"],
                tr=options.get("tr", 2.0),
            )
            constant = max(constant, int((~one.any(axis=0)).sum()))
            mean += one
            if len(runs) > 1:
                file[REPEATS][k] = one
        file.create_dataset("data", data=mean / len(runs))
    facts = {"runs": [path.name for path in runs], "rows": rows, "voxels": voxels}
    run.write(record, **facts, constant_voxels=constant)
    print(f"{subject}: {story}: {len(runs)} runs, {rows} rows, {voxels} voxels", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
