"""Prepare one subject's stories: responses of chosen voxels, z-scored, with the words heard.

Voxels are fixed from the training stories alone before a single response or word of the others is
used; of those, no more than that they are whole and of the right length is known by then. The test
story comes last. One story is in memory at a time.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import typer
from tqdm import tqdm

from hearsay.brain.stories import (
    Stories,
    Story,
    add_story,
    digest_of,
    split_stories,
    write_header,
)
from hearsay.brain.voxel_selection import FOLDS, Sums, fold_of, select
from hearsay.brain.voxels import METHODS, file_of, mask_columns, read_indices
from hearsay.brain.word_features import Embeddings, Reduction, features_of_rows
from hearsay.corpora.present import read_present, read_respdict, stories_of, the_one
from hearsay.corpora.responses import (
    check_rows,
    read_and_count,
    read_responses,
    repeats_of,
    shape_of,
    zscore,
)
from hearsay.corpora.textgrid import Word, read_words
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run

STEP = "hearsay.brain.prepare_stories"


@dataclass(frozen=True)
class Material:
    """What one story is made from: its files, its rows and columns, its words."""

    name: str
    responses: Path
    rows: int
    columns: int
    words: list[Word]


def gather(
    subject: str, present: Path, clone: Path, raw: list[Path], wanted: list[str] | None
) -> list[Material]:
    """Find and check every story's files, in order of names.

    Parameters
    ----------
    subject : for messages.
    present : list of the files that are there.
    clone : folder of the dataset.
    raw : response files made from raw runs, named by story; they go before the dataset's own.
    wanted : names of stories; all that have responses if None.

    Raises
    ------
    InputError
        naming every story that is unknown, or whose files are missing, damaged or disagree.
    """
    files = read_present(present)
    responses = stories_of(files, "responses", clone) | {path.stem: path for path in raw}
    textgrids = stories_of(files, "textgrid", clone)
    trs = read_respdict(the_one(files, "respdict", clone, present))
    names = sorted(responses if wanted is None else set(wanted))
    if unknown := [name for name in names if name not in responses]:
        raise InputError(
            f"{subject}: no responses of {', '.join(unknown)}; there are "
            f"{', '.join(sorted(responses)) or 'none'}"
        )
    found, problems = [], []
    for name in tqdm(names, desc=f"{subject}: checking", **_bar()):
        try:
            found.append(_material(name, responses[name], textgrids, trs))
        except InputError as error:
            problems.append(str(error))
    columns = {material.columns for material in found}
    if len(columns) > 1:
        listed = ", ".join(f"{m.name} {m.columns}" for m in found)
        problems.append(f"the stories' responses differ in their number of voxels ({listed})")
    if problems:
        raise InputError(
            f"{subject}: {len(problems)} of {len(names)} stories cannot be used: "
            + "; ".join(problems)
        )
    if not found:
        raise InputError(f"{subject}: no story; fetch the subject, or name some in `stories`")
    return found


def _material(name: str, path: Path, textgrids: dict[str, Path], trs: dict[str, int]) -> Material:
    rows, columns = shape_of(path)
    if name not in trs:
        raise InputError(f"{path}: respdict.json has no story {name}; leave it out of `stories`")
    check_rows(path, rows, name, trs[name])
    if name not in textgrids:
        raise InputError(f"{name}: no TextGrid; fetch it, or leave the story out of `stories`")
    words = read_words(textgrids[name])
    if not words:
        raise InputError(f"{textgrids[name]}: no words; leave {name} out of `stories`")
    return Material(name, path, rows, columns, words)


def select_by_encoding(
    training: list[Material], count: int, encoder: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Voxels that an encoding model predicts best, and facts for the record."""
    embeddings = Embeddings(encoder)
    raw = {m.name: features_of_rows(m.words, m.rows, embeddings) for m in training}
    reduction = Reduction.fit(raw.values())
    features = {name: reduction(x) for name, x in raw.items()}
    fold = fold_of(features)
    width = next(iter(features.values())).shape[1]
    sums = [Sums(width, training[0].columns) for _ in range(min(FOLDS, len(training)))]
    for material in tqdm(training, desc="choosing voxels", **_bar()):
        y = zscore(read_responses(material.responses))
        sums[fold[material.name]].add(features[material.name], y)
    chosen = select(sums, count)
    values = chosen.correlations[chosen.voxels]
    return chosen.voxels, {
        "alpha": chosen.alpha,
        "features": width,
        "correlation_mean": round(float(values.mean()), 6),
        "correlation_least": round(float(values.min()), 6),
        "correlation_of_all": round(float(chosen.correlations.mean()), 6),
    }


def choose_voxels(
    subject: str,
    options: dict[str, Any],
    training: list[Material],
    thick: Path | None,
    encoder: Path | None,
) -> tuple[np.ndarray, str, dict[str, Any]]:
    """Columns to read, how they were chosen, and facts; sees training stories only.

    Parameters
    ----------
    subject : fills ``{subject}`` in the path of a file.
    options : method, file, roi and count.
    training : checked training stories.
    thick : the subject's mask, for the method ``mask``.
    encoder : folder of the encoder, for the method ``select``.
    """
    method, columns = options["method"], training[0].columns
    roi = options.get("roi")
    named = f" [{roi}]" if roi is not None else ""
    if method == "all":
        return np.arange(columns, dtype=np.int64), f"all {columns}", {}
    if method == "indices":
        path = file_of(options.get("file"), subject, method)
        return read_indices(path, columns, roi), f"indices: {path.name}{named}", {}
    if method == "mask":
        path = file_of(options.get("file"), subject, method)
        assert thick is not None
        voxels = mask_columns(path, thick, roi)
        if voxels[-1] >= columns:
            raise InputError(
                f"{path}: voxel {voxels[-1]} of the mask, but {subject}'s responses have {columns} "
                "columns; is the mask another subject's?"
            )
        return voxels, f"mask: {path.name}{named}", {}
    if method == "select":
        if encoder is None:
            raise InputError("voxels.method: 'select' needs an encoder for features of the words")
        voxels, facts = select_by_encoding(training, options["count"], encoder)
        return voxels, f"select: {len(voxels)} of {columns} by an encoding model", facts
    raise InputError(f"voxels.method: no method {method!r}; there are {', '.join(METHODS)}")


def load_story(material: Material, split: str, voxels: np.ndarray) -> tuple[Story, dict[str, Any]]:
    """One story with its responses at `voxels`, and what was replaced in them."""
    x, bad = read_and_count(material.responses, voxels)
    story = Story(material.name, split, zscore(x), material.words)
    facts = {"split": split, "rows": material.rows, "words": len(material.words)}
    facts |= {"not_finite_values": bad.values, "not_finite_voxels": bad.voxels}
    facts["constant_voxels"] = int((~story.responses.any(axis=0)).sum())
    count = repeats_of(material.responses) if split == "test" else 0
    if count:
        each = [zscore(read_responses(material.responses, voxels, repeat=k)) for k in range(count)]
        if len(each[0]) != len(x):
            raise InputError(
                f"{material.responses}: individual_repeats have {len(each[0])} rows, "
                f"data {len(x)}; fetch the file anew"
            )
        story = replace(story, repeats=np.stack(each))
        facts["repeats"] = count
    return story, facts


def _bar() -> dict[str, Any]:
    quick = sys.stderr.isatty()
    return {"file": sys.stderr, "unit": "story", "mininterval": 0.1 if quick else 5.0}


def main(
    subject: str = typer.Option(help="name of the subject"),
    clone: Path = typer.Option(help="folder of the dataset"),
    present: Path = typer.Option(help="list of the files that are there"),
    raw: list[Path] = typer.Option([], help="responses made from raw runs, named by story"),
    encoder: Path | None = typer.Option(None, help="folder of the encoder, to choose voxels by"),
    settings: str = typer.Option(
        help="dataset, version, stories, test_story, validation and voxels as JSON"
    ),
    out: Path = typer.Option(help="HDF5 file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Check all stories, choose voxels by the training stories, then write every story."""
    options = json.loads(settings)
    voxels_of = dict(options["voxels"])
    if voxels_of.get("file"):
        voxels_of["file"] = voxels_of["file"].replace("{clone}", str(clone))
    method = voxels_of["method"]
    wanted = options["stories"]
    materials = gather(subject, present, clone, raw, wanted)
    split = split_stories(
        [material.name for material in materials], options["test_story"], options["validation"]
    )
    # The list of files has the checksums of all that lies in the clone.
    inputs = [present, *raw]
    thick = None
    if method in ("indices", "mask"):
        inputs.append(file_of(voxels_of.get("file"), subject, method))
        if not inputs[-1].is_file():
            raise InputError(f"{inputs[-1]}: no such file of voxels; correct voxels.file")
    if method == "mask":
        thick = the_one(read_present(present), "mask", clone, present)
    if method == "select" and encoder is not None:
        inputs.append(encoder)
    run = Run(STEP, settings={**options, "subject": subject}, inputs=inputs)

    training = [material for material in materials if split[material.name] == "train"]
    voxels, how, facts = choose_voxels(subject, voxels_of, training, thick, encoder)

    header = Stories(
        subject=subject,
        dataset=options["dataset"],
        version=options["version"],
        voxels=voxels,
        voxel_digest=digest_of(voxels),
        voxel_method=how,
        stories={},
        columns=training[0].columns,
    )
    table = {}
    last_comes_test = sorted(materials, key=lambda m: (split[m.name] == "test", m.name))
    with whole_file(out) as temporary, h5py.File(temporary, "w") as file:
        write_header(file, header)
        for material in tqdm(last_comes_test, desc=f"{subject}: stories", **_bar()):
            story, table[material.name] = load_story(material, split[material.name], voxels)
            add_story(file, story)
    run.write(
        record,
        voxels={"count": len(voxels), "of": header.columns, "digest": header.voxel_digest, **facts},
        stories=table,
    )
    print(f"{subject}: {len(materials)} stories, {how}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
