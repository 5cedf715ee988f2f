"""Write the demo's fMRI dataset: ds003020's layout in a real git-annex repository.

Stories are generated (`hearsay.demo.sentences`), the responses to them simulated
(`hearsay.demo.bold_simulation`); every file format is the real one. Column k of the responses is
the k-th voxel of the mask in pycortex's order: that of `mask.T`, z slowest.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from hearsay.corpora.textgrid import Word
from hearsay.demo.annexed import whole_dataset
from hearsay.demo.bold_simulation import (
    LEAD_IN,
    TR,
    TRIM,
    Listener,
    raw_scan,
    trimmed_and_scored,
    word_features,
)
from hearsay.demo.praat_forms import story_file, story_tiers
from hearsay.demo.sentences import story
from hearsay.errors import InputError
from hearsay.provenance import Run

STEP = "hearsay.demo.write_fmri_dataset"
VERSION = "1.0.0"
TEST_STORY = "harbourlights"
TRAINING_STORIES = (
    "afterthestorm",
    "brokenclock",
    "comingdown",
    "doorsateleven",
    "everyotherday",
    "firstsnow",
    "grandmasrecipe",
    "halfapound",
    "inthewings",
    "lasttrain",
    "nightshift",
    "onebasket",
    "paperboats",
    "quietclass",
    "redumbrella",
    "secondopinion",
    "thewrongcoat",
    "undertheoak",
    "verdict",
    "whitegloves",
)
GRID = (12, 12, 10)  # voxels along x, y, z
VOXEL_SIZE = 4.0  # millimetres
AUDITORY = 80  # voxels of the auditory region, at most a quarter of the mask


@dataclass(frozen=True)
class Grid:
    """The voxels: a mask [x, y, z] and, as columns in pycortex's order, the auditory region."""

    mask: np.ndarray
    auditory: list[int]

    def volumes(self, columns: np.ndarray, outside: float) -> np.ndarray:
        """Volumes [x, y, z, time] of columns [time, voxels]."""
        volumes = np.full((len(columns), *self.mask.T.shape), outside, dtype=columns.dtype)
        volumes[:, self.mask.T > 0] = columns
        return volumes.T


def make_grid(voxels: int) -> Grid:
    """An ellipsoidal mask of that many voxels, with an auditory region on either side.

    Raises
    ------
    InputError
        if the grid has fewer voxels than that.
    """
    if not 8 <= voxels <= np.prod(GRID):
        raise InputError(f"voxels: {voxels} is not between 8 and {np.prod(GRID)}, the whole grid")
    places = np.stack(np.meshgrid(*map(np.arange, GRID), indexing="ij"), axis=-1)
    centred = (places - (np.array(GRID) - 1) / 2) / (np.array(GRID) / 2)
    radius = np.linalg.norm(centred, axis=-1).T  # [z, y, x]
    inside = np.argsort(radius, axis=None, kind="stable")[:voxels]
    mask = np.zeros(radius.size, dtype=np.uint8)
    mask[inside] = 1
    columns = np.flatnonzero(mask)
    # Temporal lobes: left and right, a little below and behind the centre.
    x, y, z = (centred[..., axis].T.ravel()[columns] for axis in range(3))
    distance = np.hypot(np.hypot(np.abs(x) - 0.6, y + 0.1), z + 0.15)
    auditory = np.argsort(distance, kind="stable")[: min(AUDITORY, voxels // 4)]
    return Grid(mask.reshape(radius.shape).T, sorted(auditory.tolist()))


def story_lengths(options: dict[str, Any]) -> dict[str, float]:
    """Seconds of every story, the test story among them.

    Raises
    ------
    InputError
        for more stories than there are names, or for lengths that are no whole number of TRs.
    """
    count = options["stories"]
    if not 1 <= count <= len(TRAINING_STORIES):
        raise InputError(f"stories: {count} is not between 1 and {len(TRAINING_STORIES)}")
    for key in ("seconds", "test_seconds"):
        if options[key] % TR or options[key] < 40:
            raise InputError(f"{key}: {options[key]} is not an even number of seconds from 40 on")
    lengths = dict.fromkeys(TRAINING_STORIES[:count], options["seconds"])
    return dict(sorted({**lengths, TEST_STORY: options["test_seconds"]}.items()))


def volumes_of(seconds: float) -> int:
    """Volumes of a run: the story with 10 s of silence before and after it."""
    return round((seconds + 2 * LEAD_IN) / TR)


def write_texts(folder: Path, lengths: dict[str, float], options: dict[str, Any]) -> None:
    """What is in git itself: the descriptions, and the numbers of volumes."""
    subjects = options["subjects"]
    snrs = ", ".join(f"{subject} {snr:g}" for subject, snr in subjects.items())
    _json(
        folder / "dataset_description.json",
        {
            "Name": "Simulated fMRI of listening to generated stories",
            "BIDSVersion": "1.9.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["hearsay"],
        },
    )
    readme = (
        "Simulated responses to generated stories, in the layout of OpenNeuro ds003020.\n\n"
        "No person was scanned. Stories come from a grammar, responses from features of their\n"
        "words, a haemodynamic response and autoregressive noise. Variance of the signal over\n"
        f"that of the noise, in the voxels of derivative/rois (AC): {snrs}.\n"
    )
    (folder / "README").write_text(readme, encoding="utf-8")
    (folder / "CHANGES").write_text(f"{VERSION} 2025-01-01\n - First version.\n", encoding="utf-8")
    (folder / ".bidsignore").write_text("derivative\n", encoding="utf-8")
    rows = "".join(f"sub-{subject}\tn/a\tn/a\n" for subject in subjects)
    (folder / "participants.tsv").write_text(f"participant_id\tage\tsex\n{rows}", encoding="utf-8")
    for name in lengths:
        task = {"TaskName": name, "RepetitionTime": TR, "Instructions": "Listen to the story."}
        _json(folder / f"task-{name}_bold.json", task)
    derivative = folder / "derivative"
    _json(derivative / "respdict.json", {n: volumes_of(s) for n, s in lengths.items()})
    _json(derivative / "subject_xfms.json", {subject: f"{subject}_auto" for subject in subjects})


def write_subject(
    folder: Path, listener: Listener, features: dict[str, np.ndarray], grid: Grid, repeats: int
) -> None:
    """Responses to every story, the mask, and the auditory region of one subject."""
    import h5py

    subject = listener.name
    derivative = folder / "derivative"
    responses = derivative / "preprocessed_data" / subject
    responses.mkdir(parents=True)
    for name, heard in features.items():
        with h5py.File(responses / f"{name}.hf5", "w") as file:
            if name == TEST_STORY:
                each = [trimmed_and_scored(listener.run(name, heard, r)) for r in range(repeats)]
                file["data"] = np.mean(each, axis=0)
                file["individual_repeats"] = np.stack(each)
            else:
                file["data"] = trimmed_and_scored(listener.run(name, heard))
    transforms = derivative / "pycortex-db" / subject / "transforms" / f"{subject}_auto"
    transforms.mkdir(parents=True)
    _nifti(transforms / "mask_thick.nii.gz", grid.mask)
    _json(derivative / "rois" / f"{subject}.json", {"AC": grid.auditory})


def write_raw_run(
    folder: Path, listener: Listener, name: str, features: np.ndarray, grid: Grid, seed: int
) -> None:
    """One subject's raw run of one story: the same run as in its responses, with drift, int16."""
    func = folder / f"sub-{listener.name}" / "ses-1" / "func"
    func.mkdir(parents=True)
    stem = f"sub-{listener.name}_ses-1_task-{name}_bold"
    scan = raw_scan(listener.run(name, features), seed=f"{seed} {listener.name} {name}")
    volumes = grid.volumes(scan, outside=150.0)
    _nifti(func / f"{stem}.nii.gz", np.round(volumes).astype(np.int16))
    _json(func / f"{stem}.json", {"TaskName": name, "RepetitionTime": TR})


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def _nifti(path: Path, volumes: np.ndarray) -> None:
    import nibabel

    affine = np.diag([VOXEL_SIZE] * 3 + [1.0])
    affine[:3, 3] = -VOXEL_SIZE * (np.array(GRID) - 1) / 2
    image = nibabel.Nifti1Image(volumes, affine)
    image.header.set_xyzt_units("mm", "sec")
    if volumes.ndim == 4:
        image.header.set_zooms([VOXEL_SIZE] * 3 + [TR])
    nibabel.save(image, path)


def main(
    folder: Path = typer.Option(help="dataset to write; one that this step wrote is replaced"),
    settings: str = typer.Option(
        help="stories, seconds, test_seconds, subjects (name: signal-to-noise), voxels, repeats "
        "and seed, as JSON"
    ),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Generate, simulate, write, commit, and only then show the dataset under its name."""
    options = json.loads(settings)
    seed = options["seed"]
    run = Run(STEP, settings=options, seed=seed)
    lengths = story_lengths(options)
    grid = make_grid(options["voxels"])
    spoken: dict[str, list[Word]] = {n: story(f"{seed} {n}", s) for n, s in lengths.items()}
    vocabulary = word_features(seed)
    features = {n: vocabulary.volumes(w, volumes_of(lengths[n])) for n, w in spoken.items()}

    with whole_dataset(folder, folder.name, VERSION, run.id) as dataset:
        write_texts(dataset, lengths, options)
        grids = dataset / "derivative" / "TextGrids"
        grids.mkdir(parents=True)
        for number, (name, words) in enumerate(spoken.items()):
            tiers = story_tiers(words, lengths[name], f"{seed} {name}", overlap=name == TEST_STORY)
            (grids / f"{name}.TextGrid").write_bytes(story_file(tiers, number))
        for subject, snr in options["subjects"].items():
            listener = Listener(subject, snr, features, options["voxels"], grid.auditory, seed)
            write_subject(dataset, listener, features, grid, options["repeats"])
            if subject == next(iter(options["subjects"])):
                first = next(name for name in lengths if name != TEST_STORY)
                write_raw_run(dataset, listener, first, features[first], grid, seed)
    run.write(
        record,
        stories=list(lengths),
        words={name: len(words) for name, words in spoken.items()},
        rows={name: volumes_of(s) - 2 * TRIM for name, s in lengths.items()},
        auditory_voxels=len(grid.auditory),
    )


if __name__ == "__main__":
    typer.run(main)
