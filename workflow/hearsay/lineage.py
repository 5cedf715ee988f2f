"""Run records of a results folder: which run made a file, and from which files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from hearsay.errors import InputError, reason_of
from hearsay.files import sha256_of

SUFFIX = ".run.json"
# What every record holds (`hearsay.provenance.Run`); a step may add to it.
RECORD_PARTS = ["id", "step", "settings", "seed", "code", "inputs", "wall_seconds", "finished"]
RECORD_PARTS += ["commit", "versions", "hardware"]


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

    A record stands beside its results and has the name of one of them, up to a dot; a training's
    is ``training.run.json``.
    """
    if not (name := file.name):
        return
    yield file.with_name(f"{name}{SUFFIX}")
    while "." in name.lstrip("."):
        name = name.rpartition(".")[0]
        yield file.with_name(f"{name}{SUFFIX}")
    if name in ("weights", "history", "trajectory"):
        yield file.with_name(f"training{SUFFIX}")


@dataclass
class Lineage:
    """The run records below `results`.

    Paths in records are relative to the folder that Snakemake ran in. Where `results` has moved
    since, files are still found: by the part of their path that lies within `results`.
    """

    results: Path
    _checksums: dict[Path, str] = field(default_factory=dict)

    @cached_property
    def records(self) -> dict[Path, Record]:
        """All records by their path."""
        if not self.results.is_dir():
            raise InputError(f"{self.results}: no such folder; give the one that holds tables/")
        paths = sorted(p for p in self.results.rglob(f"*{SUFFIX}") if p.is_file())
        return {path: read_record(path) for path in paths}

    @cached_property
    def by_id(self) -> dict[str, list[Record]]:
        """Records by their id; more than one where a run's results were copied."""
        found: dict[str, list[Record]] = {}
        for record in self.records.values():
            found.setdefault(record.id, []).append(record)
        return found

    def located(self, path: str) -> Path:
        """Where an input that a record names lies now."""
        parts, base = Path(path).parts, self.results.resolve()
        # results/demo in a record, the folder's own last names here.
        for k in range(1, len(parts)):
            if base.parts[-k:] == parts[:k]:
                return self.results.joinpath(*parts[k:])
        if Path(path).is_absolute():
            return Path(path)
        for root in [Path.cwd(), *base.parents]:
            if (root / path).exists():
                return root / path
        return Path(path)

    def maker_of(self, file: Path) -> Record | None:
        """The record of the run that made `file`; None of what no run here made."""
        return next((self.records[p] for p in possible_records(file) if p in self.records), None)

    def state_of(self, file: Path, recorded: str) -> str:
        """``"unchanged"``, ``"changed since"`` or ``"missing"``, by the recorded SHA-256."""
        if not file.exists():
            return "missing"
        if file not in self._checksums:
            self._checksums[file] = sha256_of(file)
        return "unchanged" if self._checksums[file] == recorded else "changed since"
