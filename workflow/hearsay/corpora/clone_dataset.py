"""Clone one dataset at its pinned version: all names and keys, and no content."""

import json
import sys
from pathlib import Path

import typer

from hearsay.corpora.dataset_listing import manifest_path
from hearsay.corpora.repository import commit_of, datalad, git, locked, remove_tree, tree
from hearsay.errors import InputError
from hearsay.provenance import Run

STEP = "hearsay.corpora.clone_dataset"


def clone_dataset(source: str, version: str, clone: Path) -> str:
    """Clone `source` (an address or a path) to `clone`, check `version` out, return its commit.

    A clone of the same source and version is left as it is; where the source is a path and its tag
    has moved, as that of a dataset that was made again, the clone follows it and keeps what was
    fetched and is still the same. The folder appears when all is there.

    Raises
    ------
    InputError
        for a source that cannot be cloned, an unknown version (the message lists the tags), and a
        folder that holds something else.
    """
    place = Path(source).expanduser()
    source = str(place.resolve()) if place.exists() else source
    with locked(clone.with_name(f".{clone.name}.lock")):
        if clone.exists():
            return _same(source, version, clone)
        partial = clone.with_name(f".{clone.name}.partial")
        if partial.exists():
            remove_tree(partial)
        try:
            complaints = datalad(clone.parent, "clone", source, partial.name)
            if complaints:
                raise InputError(
                    f"{source} could not be cloned: {complaints[0]}; check the address and the "
                    "network, or name a local copy as the dataset's source"
                )
            commit = _commit(partial, version, source)
            git(partial, "checkout", "--quiet", "--detach", commit)
            partial.replace(clone)
        finally:
            if partial.exists():
                remove_tree(partial)
    return commit


def _commit(clone: Path, version: str, source: str) -> str:
    try:
        return commit_of(clone, version)
    except InputError as error:
        raise InputError(str(error).replace(str(clone), source)) from None


def _same(source: str, version: str, clone: Path) -> str:
    remedy = (
        f"remove the clone (`chmod -R u+w {clone} && rm -r {clone}`; what was fetched goes with it)"
    )
    if not (clone / ".git").exists():
        raise InputError(f"{clone}: a folder that is no clone; move it away")
    found = git(clone, "config", "--get", "remote.origin.url").strip()
    if found.removesuffix("/.git") != source.rstrip("/").removesuffix("/.git"):
        raise InputError(
            f"{clone}: a clone of {found}, not of {source}; {remedy}, or set the source back"
        )
    here = git(clone, "rev-parse", "HEAD").strip()
    commit = commit_of(clone, version)
    if Path(source).exists() and here == commit != commit_of(Path(source), version):
        print(f"{clone}: version {version} of {source} is another now; following", file=sys.stderr)
        git(clone, "fetch", "--quiet", "--force", "--tags", "origin")
        commit = here = commit_of(Path(source), version)
        git(clone, "checkout", "--quiet", "--detach", commit)
    if here != commit:
        raise InputError(
            f"{clone}: at commit {here[:12]}, not at version {version} ({commit[:12]}); {remedy}, "
            "or set the version back"
        )
    return commit


def main(
    dataset: str = typer.Option(help="name of the dataset in the configuration"),
    settings: str = typer.Option(help="source, version and manifest as JSON"),
    clone: Path = typer.Option(help="folder to clone to"),
    record: Path = typer.Option(help="run record to write, with the commit that was taken"),
) -> None:
    """Clone, check the version out, and compare its commit with the manifest's."""
    options = json.loads(settings)
    run = Run(STEP, settings=options)
    source, version = options["source"], options["version"]
    commit = clone_dataset(source, version, clone)
    if options.get("manifest"):
        expected = json.loads(manifest_path(options["manifest"]).read_text(encoding="utf-8"))
        if expected["version"] == version and expected["commit"] != commit:
            raise InputError(
                f"{dataset}: version {version} of {source} is commit {commit}, but "
                f"{options['manifest']} says {expected['commit']}: the tag was moved; check it, "
                "then write the manifest again or name the commit as the version"
            )
    files = tree(clone)
    annexed = [entry for entry in files.values() if entry.annexed]
    facts = {"files": len(files), "annexed": len(annexed), "bytes": sum(e.bytes for e in annexed)}
    run.write(
        record, dataset=dataset, source=source, version=version, dataset_commit=commit, **facts
    )
    print(f"{dataset} {version}: {len(files)} files, commit {commit}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
