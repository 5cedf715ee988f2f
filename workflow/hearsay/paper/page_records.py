"""Run records as the result page shows them: which came from which, and how to make one again."""

from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from hearsay import lineage
from hearsay.errors import InputError
from hearsay.lineage import RECORD_PARTS, possible_records
from hearsay.paper.claims import VERDICTS, Finding


class Record(lineage.Record):
    """A run record and what its step added to it; its id is its anchor on the page."""

    @property
    def name(self) -> str:
        """Name of the record's file without its endings."""
        return self.path.name.removesuffix(".json").removesuffix(".run")

    @property
    def findings(self) -> list[Finding]:
        """Sentences for the summary."""
        return self.content.get("findings", [])

    @property
    def more(self) -> dict[str, Any]:
        """What the step recorded beyond the parts that every record has."""
        known = {*RECORD_PARTS, "findings"}
        return {key: value for key, value in self.content.items() if key not in known and value}

    def again(self, command: str) -> str:
        """The shell command that makes the run's results again (`hearsay.lineage.command_of`).

        `command` starts Snakemake with the page's configuration.
        """
        return lineage.command_of(self, self.path.as_posix(), command)


def read_record(path: Path) -> Record:
    """Read the run record at `path`; an `InputError` names what is wrong with it."""
    record = Record(path, lineage.read_record(path).content)
    try:
        wrong = [one for one in record.findings if set(one) - {"verdicts"} != {"subject", "text"}]
    except TypeError as error:
        raise InputError(f"{path}: not a run record: {error}") from None
    if wrong:
        raise InputError(f"{path}: a finding has a subject and a text, not {wrong[0]}")
    for finding in record.findings:
        told = finding.get("verdicts", [])
        if not isinstance(told, list) or any(one not in VERDICTS for one in told):
            raise InputError(f"{path}: verdicts are a list of {', '.join(VERDICTS)}, not {told!r}")
    return record


class Origins:
    """Which of the page's `records` made the inputs of which."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {record.id: record for record in records}
        self._at = {PurePath(record.path): record.id for record in self._records.values()}

    def maker(self, path: str) -> str:
        """Id of the run that wrote the file at `path`; empty where the page does not show it."""
        return next((self._at[p] for p in possible_records(PurePath(path)) if p in self._at), "")

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
