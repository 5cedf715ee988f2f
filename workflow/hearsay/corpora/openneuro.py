"""Datasets of OpenNeuro: which files one subject needs, and how many bytes they are.

``python -m hearsay.corpora.openneuro plan`` lists them from a clone without any content, or from
a manifest without a clone; ``… manifest`` writes a manifest from a clone or a bare repository.
"""

import difflib
import json
import re
import shutil
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import typer

from hearsay.corpora.dataset_listing import Dataset, manifest_of, read_dataset
from hearsay.corpora.keys import Entry, is_present
from hearsay.corpora.present import KINDS
from hearsay.errors import InputError
from hearsay.files import write_text

# Scans of a story that the public responses leave out: 10 TRs at its start and 10 at its end.
TRIMMED = 20

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True)
class File(Entry):
    """A file that a subject needs: what it is, and the story that it belongs to (or "")."""

    kind: str = ""
    story: str = ""


@dataclass(frozen=True)
class Plan:
    """What one subject needs.

    Attributes
    ----------
    stories : rows of responses (TRs) of each story that the subject has, by its name.
    absent : stories that the dataset knows but that this subject has no responses of.
    files : all files, each once, in the order of kinds and stories.
    """

    subject: str
    stories: dict[str, int]
    absent: tuple[str, ...]
    files: tuple[File, ...]

    def of(self, kind: str) -> list[File]:
        """Files of one of `KINDS`."""
        return [file for file in self.files if file.kind == kind]

    def bytes(self, *kinds: str) -> int:
        """Bytes of all files, or of those of the kinds named."""
        return sum(file.bytes for file in self.files if not kinds or file.kind in kinds)


def derivative_folder(clone: Path) -> Path:
    """Folder of the derivatives: ``derivative`` until version 3.1.0, later ``derivatives``."""
    for name in ("derivative", "derivatives"):
        if (clone / name).is_dir():
            return clone / name
    raise InputError(f"{clone}: neither a folder derivative nor derivatives; is it the dataset?")


# --- plan ---------------------------------------------------------------------------------------


def plan(
    source: Path | str | Dataset,
    subject: str,
    stories: Collection[str] | None = None,
    raw: Collection[str] = (),
    mask: bool = True,
) -> Plan:
    """List the files of one subject.

    Parameters
    ----------
    source : a clone, a manifest, or what `read_dataset` made of one.
    stories : names of the stories wanted; None for all that the subject has.
    raw : stories of which the raw scans are wanted too.
    mask : with the subject's pycortex mask, where there is one.

    Raises
    ------
    InputError
        for a subject or story that the dataset does not know, and for raw scans that it lacks;
        the message lists the valid names, or the nearest of many.
    """
    dataset = source if isinstance(source, Dataset) else read_dataset(source)
    if subject not in dataset.subjects:
        raise _unknown(dataset, "subject", subject, dataset.subjects)
    for story in [*(stories or ()), *raw]:
        if story not in dataset.scans:
            raise _unknown(dataset, "story", story, dataset.scans)
    wanted = sorted({*(dataset.scans if stories is None else stories), *raw})
    root = dataset.derivatives
    found: dict[str, list[File]] = {kind: [] for kind in KINDS}
    here, absent = {}, []
    for story in wanted:
        responses = dataset.files.get(f"{root}/preprocessed_data/{subject}/{story}.hf5")
        words = dataset.files.get(f"{root}/TextGrids/{story}.TextGrid")
        if words is None or (responses is None and story not in raw):
            absent.append(story)
            continue
        here[story] = dataset.scans[story] - TRIMMED
        found["responses"] += _as_files([responses] if responses else [], "responses", story)
        found["textgrid"] += _as_files([words], "textgrid", story)
    for story in sorted(set(raw)):
        found["raw"] += _as_files(_raw_runs(dataset, subject, story), "raw", story)
    if mask:
        transforms = f"{root}/pycortex-db/{re.escape(subject)}/transforms"
        masks = _matching(dataset, rf"{transforms}/[^/]+/mask_thick\.nii\.gz")
        found["mask"] += _as_files(masks, "mask", "")
    respdict = dataset.files.get(f"{root}/respdict.json")
    found["respdict"] += _as_files([respdict] if respdict else [], "respdict", "")
    files = tuple(file for kind in KINDS for file in found[kind])
    return Plan(subject, here, tuple(absent), files)


def _matching(dataset: Dataset, pattern: str) -> list[Entry]:
    compiled = re.compile(pattern)
    return [entry for path, entry in dataset.files.items() if compiled.fullmatch(path)]


def _as_files(entries: Iterable[Entry], kind: str, story: str) -> list[File]:
    return [File(entry.path, entry.key, entry.bytes, kind, story) for entry in entries]


def _raw_runs(dataset: Dataset, subject: str, story: str) -> list[Entry]:
    def runs(task: str) -> list[Entry]:
        name = (
            rf"sub-{subject}/(?:ses-[^/]+/)?func/sub-[^/]*task-{task}(?:_run-[^_/]+)?_bold\.nii\.gz"
        )
        return _matching(dataset, name)

    found = runs(re.escape(story))
    if not found:
        tasks = {entry.path.split("task-")[1].split("_")[0] for entry in runs("[^_/]+")}
        if not tasks:
            raise InputError(
                f"{dataset.name}: no raw scans of {subject} are listed (a manifest lists none; "
                "plan from a clone)"
            )
        raise _unknown(dataset, f"raw scans of {subject} for story", story, tasks)
    return found


def _unknown(dataset: Dataset, what: str, name: str, valid: Iterable[str]) -> InputError:
    names = sorted(valid)
    if len(names) > 30:
        near = difflib.get_close_matches(name, names, n=5) or names[:5]
        listing = f"nearest of {len(names)}: {', '.join(near)}"
    else:
        listing = f"it has: {', '.join(names) or 'none'}"
    return InputError(f"{dataset.name}: no {what} {name!r}; {listing}")


# --- on the command line ------------------------------------------------------------------------


def size_text(size: float) -> str:
    """Bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def describe(what: Plan, clone: Path | None, *, stories: bool = False) -> str:
    """Text of a plan: numbers of files, bytes needed and already there, and the free disk."""
    there = [file for file in what.files if clone is not None and is_present(clone, file)]
    present = sum(file.bytes for file in there)
    parts = ", ".join(f"{kind} {size_text(what.bytes(kind))}" for kind in KINDS if what.of(kind))
    lines = [
        f"{what.subject}: {len(what.stories)} stories, {len(what.of('textgrid'))} TextGrids; "
        f"{size_text(what.bytes())} needed ({parts}), {size_text(present)} already there, "
        f"{size_text(what.bytes() - present)} to fetch, {size_text(free_disk(clone))} free on disk"
    ]
    if what.absent:
        names = f": {', '.join(what.absent)}" if stories or len(what.absent) <= 10 else ""
        lines += [f"  {len(what.absent)} of the dataset's stories are not there{names}"]
    if stories:
        lines += [f"  {'story':<44} {'rows':>5} {'bytes':>14}"]
        for story, rows in what.stories.items():
            size = sum(file.bytes for file in what.files if file.story == story)
            lines += [f"  {story:<44} {rows:>5} {size:>14,}"]
    return "\n".join(lines)


def free_disk(folder: Path | None) -> int:
    """Free bytes where `folder` is or would be."""
    place = (folder or Path()).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


@app.command("plan")
def _plan(
    clone: Path | None = typer.Option(None, help="Clone (or bare repository) of the dataset."),
    manifest: Path | None = typer.Option(None, help="Manifest, if there is no clone."),
    subject: list[str] = typer.Option([], help="A subject; all if none is given."),
    stories: bool = typer.Option(False, help="List the stories with their rows and bytes."),
    raw: list[str] = typer.Option([], help="A story of which the raw scans are wanted too."),
) -> None:
    """Print what subjects need, without fetching anything and without network."""
    cloned = clone is not None and clone.exists()
    source = clone if cloned or manifest is None else manifest
    if source is None:
        raise InputError("name a dataset: --clone DIR or --manifest FILE")
    dataset = read_dataset(source)
    plans = [plan(dataset, name, raw=raw) for name in subject or dataset.subjects]
    for one in plans:
        print(describe(one, clone, stories=stories))
    if len(plans) > 1:  # TextGrids are every subject's: counted once
        total = sum({file.path: file.bytes for one in plans for file in one.files}.values())
        print(f"together: {size_text(total)}")


@app.command("manifest")
def _manifest(
    clone: Path = typer.Option(help="Clone or bare repository of the dataset."),
    version: str = typer.Option(help="Tag or commit."),
    out: Path = typer.Option(help="JSON to write, one file a line."),
    dataset: str | None = typer.Option(None, help="Its name, if its address does not say it."),
) -> None:
    """Write the manifest that lets a subject be planned without a clone."""
    content = manifest_of(clone, version, dataset)
    parts = []
    for name, value in content.items():
        text = json.dumps(value)
        if isinstance(value, dict):
            rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            text = f"{{\n{rows}\n }}"
        parts.append(f" {json.dumps(name)}: {text}")
    write_text(out, "{\n" + ",\n".join(parts) + "\n}\n")
    print(
        f"{out}: {len(content['files'])} files of {content['dataset']} {version}", file=sys.stderr
    )


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        sys.exit(f"error: {error}")
