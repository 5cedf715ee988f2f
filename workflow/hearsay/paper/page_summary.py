"""What came out at a glance: claims by verdict, rows by state, counted for every paper."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

from hearsay.paper.claims import UNCHECKED
from hearsay.paper.tables import Row, Table, is_missing

# How the steps of tables and figures tell what became of a claim.
_VERDICTS = {
    "hold": re.compile(
        r": holds (?:for \d+ of \d+ subjects? )?\("
        r"|^Smaller α̂ goes with better accuracy, as claimed"
    ),
    "partly": re.compile(r": holds for \d+ of \d+ (?:subjects? )?only \("),
    "fail": re.compile(
        r": does not hold (?:here|for [^(]+) \(|: does not beat every control by any measure"
        r"|^Larger α̂ goes with better accuracy, against the claim"
    ),
    "undecided": re.compile(
        rf": {re.escape(UNCHECKED)}\.|^τ of α̂ has the (?:claimed sign|sign against the claim)"
    ),
}
_BEATS = re.compile(r"beats every control by (?:(?!beats? every control).)*", re.DOTALL)
_PUBLISHED = "_published"


@dataclass(frozen=True)
class Counts:
    """Checks of claims that hold, hold for some cases only, do not hold, are undecided; rows that
    were measured, those of them beside a published value and those with a difference from it, and
    rows and items that were not run.
    """

    hold: int = 0
    partly: int = 0
    fail: int = 0
    undecided: int = 0
    measured: int = 0
    beside: int = 0
    compared: int = 0
    absent: int = 0
    items_absent: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        names = [field.name for field in fields(self)]
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def claims(self) -> int:
        """All checks of claims."""
        return self.hold + self.partly + self.fail + self.undecided

    @property
    def rows(self) -> int:
        """All rows."""
        return self.measured + self.absent


def count(
    tables: Iterable[Table], findings: Iterable[dict[str, str]], items_absent: int = 0
) -> Counts:
    """Counts of one paper from its tables and findings (each with ``subject`` and ``text``).

    What two tables tell in the same words is counted once.
    """
    tables = list(tables)
    told = {finding["text"]: finding["subject"] for finding in findings}
    kinds = [kind for text, subject in told.items() for kind in verdicts(subject, text)]
    return Counts(
        **{kind: kinds.count(kind) for kind in _VERDICTS},
        measured=sum(len(table.measured) for table in tables),
        beside=sum(is_beside(row) for table in tables for row in table.measured),
        compared=sum(is_compared(row) for table in tables for row in table.measured),
        absent=sum(bool(row.not_run) for table in tables for row in table.rows),
        items_absent=items_absent,
    )


def verdicts(subject: str, text: str) -> list[str]:
    """Names of the fields of `Counts` that a finding adds one to, once for each verdict in it.

    A finding about the paper's own values says nothing about this run.
    """
    if subject.endswith(", published"):
        return []
    kinds = [kind for kind, told in _VERDICTS.items() for _ in told.findall(text)]
    beats = ["partly" if ", not by " in told else "hold" for told in _BEATS.findall(text)]
    return kinds + beats


def is_beside(row: Row) -> bool:
    """Whether the row holds a measured value and the published value of the same quantity."""
    return any(
        key.endswith(_PUBLISHED)
        and not is_missing(value)
        and not is_missing(row.cells.get(key.removesuffix(_PUBLISHED)))
        for key, value in row.cells.items()
    )


def is_compared(row: Row) -> bool:
    """Whether the row holds a difference of a measured from a published value."""
    return any(
        key.endswith("_difference") and not is_missing(value) for key, value in row.cells.items()
    )
