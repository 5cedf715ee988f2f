"""Run records of a results folder: which run made a file, and from which files."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from hearsay.errors import InputError, reason_of
from hearsay.files import finished_below, sha256_of, unfinished

SUFFIX = ".run.json"
# What every record holds (`hearsay.provenance.Run`); a step may add to it.
RECORD_PARTS = ["id", "step", "settings", "seed", "code", "inputs", "wall_seconds", "finished"]
RECORD_PARTS += ["commit", "versions", "hardware"]
# Results whose run's record has the name of another of its results.
SHARED = {
    "weights": "training",
    "history": "training",
    "trajectory": "training",
    "window_scores": "scores",
}
# Folders of the resources that rules fill; others hold what is in git.
FETCHED = frozenset({"datasets", "models", "simulated", "speech", "text"})
CLONES = frozenset({"datasets", "simulated"})  # of these, that git-annex owns
COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Record:
    """One run record: the file it stands in and what it says."""

    path: Path
    content: dict[str, Any]

    @property
    def id(self) -> str:
        """12 hexadecimal digits, equal for equal runs."""
        return str(self.content["id"])

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 by path of what the run read, as the paths were then."""
        return {str(one["path"]): str(one["sha256"]) for one in self.content["inputs"]}

    @property
    def source(self) -> str:
        """Archive, folder or address that the run read without a checksum; empty if none."""
        return str(self.content.get("source") or "")


def read_record(path: Path) -> Record:
    """Read one record; raises `InputError` that names the file and what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if missing := [part for part in RECORD_PARTS if part not in content]:
            raise InputError(f"{path}: not a run record: it lacks {', '.join(missing)}")
        record = Record(path, content)
        _ = record.inputs  # that they have paths and checksums
        return record
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a run record: {reason_of(error)}; delete it and run Snakemake again"
        ) from None


def possible_records(file: PurePath) -> Iterator[PurePath]:
    """Where the record of the run that made `file` may stand, the likeliest first.

    A record stands beside its results and has the name of one of them, up to a dot, or one of the
    names in `SHARED`; that of a folder stands beside the folder.
    """
    if not (name := file.name):
        return
    yield file.with_name(f"{name}{SUFFIX}")
    while "." in name.lstrip("."):
        name = name.rpartition(".")[0]
        yield file.with_name(f"{name}{SUFFIX}")
    if name in SHARED:
        yield file.with_name(f"{SHARED[name]}{SUFFIX}")
    # The name of a folder is told whole: its dots are those of a version.
    for above in file.parents:
        if above.name:
            yield above.with_name(f"{above.name}{SUFFIX}")
        if above.name in SHARED:
            yield above.with_name(f"{SHARED[above.name]}{SUFFIX}")


def table_files(results: Path) -> list[Path]:
    """The finished tables of `results`, as JSON."""
    found = sorted(results.glob("tables/*.json"))
    return [p for p in found if not p.name.endswith(SUFFIX) and not unfinished(Path(p.name))]


def command_of(record: Record, target: PurePath | str, snakemake: str) -> str:
    """The shell command that makes a run's results again, in the folder that Snakemake ran in.

    Parameters
    ----------
    target : the record's file as Snakemake knows it: relative to that folder.
    snakemake : Snakemake with the run's configuration, such as ``"snakemake --cores 1"``.

    Returns
    -------
    One line that checks out the record's commit and runs that step anew. A commit that is none, or
    whose files were changed, cannot be checked out: of it only the latter.
    """
    commit = str(record.content["commit"])
    checkout = f"git checkout {commit} && " if COMMIT.fullmatch(commit) else ""
    return f"{checkout}{snakemake} -f {shlex.quote(str(target))}"


@dataclass
class Lineage:
    """The run records of `results`, and those elsewhere that they lead to.

    Paths in records are relative to the folder that Snakemake ran in (`root`). Where `results` has
    moved since, or has another name, its files are still found: by the part of their path that
    lies within it.
    """

    results: Path
    _checksums: dict[Path, str] = field(default_factory=dict)
    _elsewhere: dict[Path, Record] = field(default_factory=dict)

    @cached_property
    def records(self) -> dict[Path, Record]:
        """All records below `results` by their path."""
        if not self.results.is_dir():
            raise InputError(f"{self.results}: no such folder; give the one that holds tables/")
        paths = [path for path in finished_below(self.results) if path.name.endswith(SUFFIX)]
        return {path: read_record(path) for path in paths}

    @cached_property
    def by_id(self) -> dict[str, list[Record]]:
        """Records by their id; more than one where a run's results were copied."""
        found: dict[str, list[Record]] = {}
        for record in self.records.values():
            found.setdefault(record.id, []).append(record)
        return found

    @cached_property
    def named(self) -> PurePath:
        """`results` as its records name it, such as ``results/demo``, wherever it lies now."""
        votes: Counter[tuple[str, ...]] = Counter()
        for record in self.records.values():
            for path in record.inputs:
                parts = PurePath(path).parts
                ends = [k for k in range(1, len(parts)) if ".." not in parts[k:]]
                # The longest end that is here, as an end of it may be too.
                within = (k for k in ends if self.results.joinpath(*parts[k:]).exists())
                if k := next(within, 0):
                    votes[parts[:k]] += 1
        if votes:
            return PurePath(*votes.most_common(1)[0][0])
        here = self.results.absolute()  # of no record that names another's file
        inside = here.is_relative_to(Path.cwd())
        return here.relative_to(Path.cwd()) if inside else PurePath(*here.parts[-2:])

    @cached_property
    def root(self) -> Path | None:
        """The folder that Snakemake ran in; None where `results` was moved away from it."""
        parts = self.named.parts
        for here in (self.results.absolute(), self.results.resolve()):
            if parts and here.parts[-len(parts) :] == parts:
                return here.parents[len(parts) - 1]
        same = (Path.cwd() / self.named).resolve() == self.results.resolve()
        return Path.cwd() if same else None

    def located(self, path: str) -> Path:
        """Where a file that a record names lies now."""
        file = Path(path)
        if file.is_relative_to(self.named):
            return self.results / file.relative_to(self.named)
        if file.is_absolute():
            return file
        return next((root / file for root in self._roots if (root / file).exists()), file)

    @property
    def _roots(self) -> list[Path]:
        """Where the resources may lie, the likeliest first."""
        ran_in = [self.root] if self.root else []
        return [*ran_in, Path.cwd(), *self.results.resolve().parents[:-1]]

    def target_of(self, file: Path) -> PurePath:
        """`file` as Snakemake knows it: relative to the folder that it ran in."""
        if file.is_relative_to(self.results):
            return self.named / file.relative_to(self.results)
        inside = (file.relative_to(root) for root in self._roots if file.is_relative_to(root))
        return next(inside, file)

    def remade_by(self, path: str) -> PurePath:
        """What Snakemake makes to have a file that a record names: it, as a rule.

        A generated text is made as a folder, and of a clone only the record is an output.
        """
        file = PurePath(path)
        if file.is_relative_to(self.named):
            inside = file.relative_to(self.named).parts
            return self.named / "text" / inside[1] if inside[:1] == ("text",) else file
        for k, part in enumerate(file.parts[:-1]):
            if part in CLONES:
                clone = PurePath(*file.parts[: k + 2])
                return clone.with_name(f"{clone.name}{SUFFIX}")
        return file

    def maker_of(self, file: Path) -> Record | None:
        """The record of the run that made `file`; None of what no run of this workflow made."""
        for path in map(Path, possible_records(file)):
            if path in self.records:
                return self.records[path]
            if path not in self._elsewhere and path.is_file():
                self._elsewhere[path] = read_record(path)
            if path in self._elsewhere:
                return self._elsewhere[path]
        return None

    def is_made(self, path: str) -> bool:
        """Whether a step of this workflow makes the file that a record names, by where it lies.

        That is all of `results`, and what was fetched or simulated into a folder ``resources``;
        published values and manifests of datasets stand there too, and are in git.
        """
        file = PurePath(path)
        if file.is_relative_to(self.named):
            return True
        parts = file.parts
        after = parts[parts.index("resources") + 1 :] if "resources" in parts else ()
        # resources/models/…, or resources/demo/models/… in the demo.
        return any(part in FETCHED for part in after[:2])

    def state_of(self, file: Path, recorded: str) -> str:
        """``"unchanged"``, ``"changed since"`` or ``"missing"``, by the recorded SHA-256."""
        if not file.exists():
            return "missing"
        return "unchanged" if self.checksum_of(file) == recorded else "changed since"

    def checksum_of(self, file: Path) -> str:
        """SHA-256 of a file or folder as it is now, computed once."""
        if file not in self._checksums:
            self._checksums[file] = sha256_of(file)
        return self._checksums[file]
