"""Run records as the result page shows them: which came from which, and how to make one again."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from hearsay.errors import InputError

RECORD_PARTS = ["id", "step", "settings", "seed", "code", "inputs", "wall_seconds", "finished"]
RECORD_PARTS += ["commit", "versions", "hardware"]
SUFFIX = ".run.json"
TRAINED = ("weights.safetensors", "history.csv")  # their record is training.run.json


@dataclass(frozen=True)
class Record:
    """A run record and what its step added to it."""

    path: Path
    content: dict[str, Any]

    @property
    def id(self) -> str:
        """Anchor on the page."""
        return self.content["id"]

    @property
    def name(self) -> str:
        """Name of the record's file without its endings."""
        return self.path.name.removesuffix(".json").removesuffix(".run")

    @property
    def findings(self) -> list[dict[str, str]]:
        """Sentences for the summary."""
        return self.content.get("findings", [])

    @property
    def more(self) -> dict[str, Any]:
        """What the step recorded beyond the parts that every record has."""
        known = {*RECORD_PARTS, "findings"}
        return {key: value for key, value in self.content.items() if key not in known and value}

    def again(self, command: str) -> str:
        """Shell commands, a line each, that check out the record's commit and run its step anew.

        `command` starts Snakemake with the page's configuration. A commit that is none, or whose
        files were changed, cannot be checked out and has no line.
        """
        commit = self.content["commit"]
        clean = len(commit) == 40 and all(digit in "0123456789abcdef" for digit in commit)
        lines = [f"git checkout {commit}"] if clean else []
        return "\n".join([*lines, f"{command} -f {shlex.quote(self.path.as_posix())}"])


def read_record(path: Path) -> Record:
    """Read the run record at `path`; an `InputError` names what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if missing := [part for part in RECORD_PARTS if part not in content]:
            raise InputError(f"{path}: not a run record: it lacks {', '.join(missing)}")
        record = Record(path, content)
        for finding in record.findings:
            if set(finding) != {"subject", "text"}:
                raise InputError(f"{path}: a finding has a subject and a text, not {finding}")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a run record: {error}") from None
    return record


class Lineage:
    """Which of `records` made the inputs of which, told from the names of files."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {record.id: record for record in records}
        self._of_stem = {
            record.path.as_posix().removesuffix(SUFFIX): key
            for key, record in self._records.items()
        }

    def maker(self, path: str) -> str:
        """Id of the run that wrote the file at `path`; empty where the page does not show it."""
        file = PurePath(path)
        name = "training" if file.name in TRAINED else file.name.partition(".")[0]
        return self._of_stem.get((file.parent / name).as_posix(), "")

    def behind(self, record: Record) -> list[Record]:
        """All runs from which `record` came, nearest first."""
        found: dict[str, None] = {}
        waiting = [record.id]
        for key in waiting:
            for entry in self._records[key].content["inputs"]:
                maker = self.maker(entry["path"])
                if maker and maker != record.id and maker not in found:
                    found[maker] = None
                    waiting.append(maker)
        return [self._records[key] for key in found]

    def seeds(self, record: Record) -> list[Any]:
        """Seeds of the runs behind `record`, each once, in order of their text."""
        seeds = {str(r.content["seed"]): r.content["seed"] for r in self.behind(record)}
        return [seeds[text] for text in sorted(seeds) if seeds[text] is not None]
