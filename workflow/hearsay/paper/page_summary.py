"""What came out at a glance: claims by verdict, rows by state, counted for every paper."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

from hearsay.paper.claims import UNCHECKED
from hearsay.paper.tables import Row, Table, is_missing

# As `hearsay.paper.claims.verdict` tells them.
_VERDICT = re.compile(
    r": (?:(?P<hold>holds \()|(?P<partly>holds for \d+ of \d+ only \()"
    rf"|(?P<fail>does not hold here \()|(?P<unchecked>{re.escape(UNCHECKED)}\.))"
)
_PUBLISHED = "_published"


@dataclass(frozen=True)
class Counts:
    """Claims that hold, hold for some cases only, do not hold, could not be checked; rows that
    were measured, those of them beside a published value, and rows and items that were not run.
    """

    hold: int = 0
    partly: int = 0
    fail: int = 0
    unchecked: int = 0
    measured: int = 0
    compared: int = 0
    absent: int = 0
    items_absent: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        names = [field.name for field in fields(self)]
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def claims(self) -> int:
        """All claims."""
        return self.hold + self.partly + self.fail + self.unchecked

    @property
    def rows(self) -> int:
        """All rows."""
        return self.measured + self.absent


def count(tables: Iterable[Table], findings: Iterable[str], items_absent: int = 0) -> Counts:
    """Counts of one paper from its tables and the texts of its findings."""
    kinds = [match.lastgroup for text in findings for match in _VERDICT.finditer(text)]
    tables = list(tables)
    return Counts(
        *(kinds.count(kind) for kind in ("hold", "partly", "fail", "unchecked")),
        measured=sum(len(table.measured) for table in tables),
        compared=sum(is_compared(row) for table in tables for row in table.measured),
        absent=sum(bool(row.not_run) for table in tables for row in table.rows),
        items_absent=items_absent,
    )


def is_compared(row: Row) -> bool:
    """Whether the row holds a measured value and the published value of the same quantity."""
    return any(
        key.endswith(_PUBLISHED)
        and not is_missing(value)
        and not is_missing(row.cells.get(key.removesuffix(_PUBLISHED)))
        for key, value in row.cells.items()
    )
