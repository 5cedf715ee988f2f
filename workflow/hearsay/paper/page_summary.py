"""What came out at a glance: claims by verdict, rows by state, counted for every paper."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from hearsay.paper.claims import VERDICTS
from hearsay.paper.tables import Row, Table, is_missing

_PUBLISHED = "_published"


@dataclass(frozen=True)
class Counts:
    """Checks of claims that hold, hold for some cases only, do not hold, are undecided. Rows that
    were measured; those of them beside a published value, with a difference from it, that count
    their seeds, that have one seed. Rows that hold what was given. Rows and items that were not
    run.
    """

    hold: int = 0
    partly: int = 0
    fail: int = 0
    undecided: int = 0
    measured: int = 0
    beside: int = 0
    compared: int = 0
    seeded: int = 0
    one_seed: int = 0
    given: int = 0
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
        return self.measured + self.given + self.absent


def count(
    tables: Iterable[Table], findings: Iterable[Mapping[str, Any]], items_absent: int = 0
) -> Counts:
    """Counts of one paper from its tables and `findings` (`hearsay.paper.claims.Finding`).

    What two tables tell in the same words is counted once.
    """
    tables = list(tables)
    told = {one["text"]: one["verdicts"] for one in findings if "verdicts" in one}
    kinds = [kind for verdicts in told.values() for kind in verdicts]
    return Counts(
        **{kind: kinds.count(kind) for kind in VERDICTS},
        measured=sum(not row.given for table in tables for row in table.measured),
        beside=sum(is_beside(row) for table in tables for row in table.measured),
        compared=sum(is_compared(row) for table in tables for row in table.measured),
        seeded=sum(_seeds(row) is not None for table in tables for row in table.measured),
        one_seed=sum(_seeds(row) == 1 for table in tables for row in table.measured),
        given=sum(row.given for table in tables for row in table.measured),
        absent=sum(bool(row.not_run) for table in tables for row in table.rows),
        items_absent=items_absent,
    )


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


def _seeds(row: Row) -> int | None:
    """Over how many seeds the row is; None where that makes no difference to it."""
    value = row.cells.get("seeds")
    return None if value is None or is_missing(value) else int(value)
