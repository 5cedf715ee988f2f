"""Get the files of one subject, and no others, into the clone; verify each and list them."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from tqdm import tqdm

from hearsay.corpora.annex import check_present
from hearsay.corpora.dataset_listing import Dataset, manifest_path, read_dataset
from hearsay.corpora.download import download
from hearsay.corpora.keys import check_content, is_present
from hearsay.corpora.openneuro import File, Plan, describe, free_disk, plan, size_text
from hearsay.corpora.present import COLUMNS
from hearsay.corpora.repository import commit_of, datalad, git, locked, public_addresses
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.provenance import Run

STEP = "hearsay.corpora.fetch_subject"


def fetch(clone: Path, what: Plan, jobs: int = 1, listing: Dataset | None = None) -> None:
    """Get and verify all files of a plan; those that are there stay as they are.

    One process at a time works on a clone. git-annex is asked first; where its remotes refuse,
    the file's public address is taken, of `listing` (a manifest) or as the git-annex branch
    records it.

    Raises
    ------
    InputError
        for a disk that is too small (nothing is fetched), for what cannot be had (one message
        with the first file, its key, and the number of others; what came stays), and for content
        that is not what its key says.
    """
    with locked(clone / ".git" / "hearsay.lock"):
        waiting = [file for file in what.files if not is_present(clone, file)]
        if waiting:
            _check_disk(clone, waiting)
            _get(clone, waiting, jobs, listing)
        verify(clone, what.files)


def verify(clone: Path, files: Sequence[File]) -> None:
    """Check size and checksum of every file against its key."""
    with _progress("verify", files) as bar:
        for file in files:
            if file.bytes > 0:
                check_present(clone / file.path)
            try:
                check_content(clone / file.path, file.key, bar.update)
            except InputError as error:
                raise InputError(
                    f"{error}: it was altered or is damaged; set it aside with "
                    f"`git -C {clone} annex fsck {file.path}`, then fetch again"
                ) from None


def _check_disk(clone: Path, waiting: Sequence[File]) -> None:
    needed, free = sum(file.bytes for file in waiting), free_disk(clone)
    if needed > free:
        raise InputError(
            f"{clone}: {len(waiting)} files need {size_text(needed)}, but only {size_text(free)} "
            "of the disk are free; free some, ask for fewer stories, or move the resources folder"
        )


def _get(clone: Path, waiting: list[File], jobs: int, listing: Dataset | None) -> None:
    with _progress("fetch", waiting) as bar:
        # The smallest alone first: where a remote refuses, it is not asked for every other one.
        first, *others = sorted(waiting, key=lambda file: file.bytes)
        reasons = _ask_annex(clone, [first], 1, bar.update)
        if others and is_present(clone, first):
            reasons = _ask_annex(clone, others, jobs, bar.update)
        missing = [file for file in waiting if not is_present(clone, file)]
        if not missing:
            return
        addresses = _addresses(clone, missing, listing)
        for done, file in enumerate(missing):
            reason = reasons[0] if reasons else "git-annex gave no reason"
            try:
                if file.path not in addresses:
                    raise InputError(f"git-annex: {reason}; no public address is known")
                download(clone, file, addresses[file.path], bar.update)
            except InputError as error:
                rest = len(missing) - done - 1
                raise InputError(_refusal(clone, file, str(error), rest)) from None


def _refusal(clone: Path, file: File, reason: str, rest: int) -> str:
    others = f" ({rest} more files wait)" if rest else ""
    return (
        f"{clone / file.path}: its content {file.key} could not be fetched{others}: {reason}. "
        "Check the network and run again (what has come stays), or name a copy that has the "
        f"content: `git -C {clone} remote add copy PATH && datalad get -d {clone} -s copy "
        f"{clone / file.path}`"
    )


def _ask_annex(
    clone: Path, files: Sequence[File], jobs: int, seen: Callable[[int], object]
) -> list[str]:
    """Run `datalad get`; return its complaints."""
    sizes = {str((clone / file.path).absolute()): file.bytes for file in files}

    def result(found: dict[str, Any]) -> None:
        if found["status"] == "ok":
            seen(sizes.get(found["path"], 0))

    paths = [file.path for file in files]
    complaints = []
    for start in range(0, len(paths), 500):  # a command line has an end
        some = paths[start : start + 500]
        complaints += datalad(clone, "get", "-d", ".", "-J", str(jobs), *some, result=result)
    return complaints


def _addresses(clone: Path, files: Sequence[File], listing: Dataset | None) -> dict[str, str]:
    found = {}
    for path, (address, version) in public_addresses(clone, files).items():
        found[path] = f"{quote(address, safe=':/')}?versionId={quote(version)}"
    for file in files:
        known = listing.files.get(file.path) if listing else None
        if listing and known and known.key == file.key and (a := listing.address_of(file.path)):
            found[file.path] = a
    return found


def _progress(what: str, files: Sequence[File]) -> "tqdm[Any]":
    return tqdm(
        total=sum(file.bytes for file in files),
        desc=f"{what} {len(files)} files",
        unit="B",
        unit_scale=True,
        mininterval=0.2 if sys.stderr.isatty() else 5,
        file=sys.stderr,
    )


def write_present(path: Path, what: Plan) -> None:
    """Write the list of a subject's files (see `hearsay.corpora.present`)."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for file in what.files:
            writer.writerow([file.kind, file.story, file.path, file.key, file.bytes])


def main(
    subject: str = typer.Option(help="name of the subject, as in the dataset"),
    clone: Path = typer.Option(help="clone of the dataset"),
    settings: str = typer.Option(
        help="dataset, version, source, manifest, stories, raw, mask as JSON"
    ),
    present: Path = typer.Option(help="list of the files to write, tab-separated"),
    record: Path = typer.Option(help="run record to write"),
    jobs: Annotated[int, typer.Option(help="files fetched at once")] = 1,
) -> None:
    """Plan, say what disk is needed, get what is missing, verify all, and list it."""
    options = json.loads(settings)
    run = Run(STEP, settings={**options, "subject": subject})
    dataset = read_dataset(clone)
    here, wanted = git(clone, "rev-parse", "HEAD").strip(), options["version"]
    if here != commit_of(clone, wanted):
        raise InputError(f"{clone}: at commit {here[:12]}, not at version {wanted}; clone it again")
    what = plan(dataset, subject, options["stories"], options["raw"], options["mask"])
    print(describe(what, clone), file=sys.stderr, flush=True)
    if not what.stories:
        raise InputError(f"{options['dataset']}: {subject} has none of the stories asked for")
    manifest = options["manifest"]
    listing = read_dataset(manifest_path(manifest)) if manifest else None
    fetch(clone, what, jobs, listing)
    write_present(present, what)
    facts = {"jobs": jobs, "files": len(what.files), "bytes": what.bytes(), "stories": what.stories}
    facts |= {"dataset_commit": here, "absent": list(what.absent), "source": str(clone)}
    run.write(record, subject=subject, **facts)


if __name__ == "__main__":
    typer.run(main)
