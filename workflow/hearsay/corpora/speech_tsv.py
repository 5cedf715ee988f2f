"""Tables of clips as corpora of speech have them: columns by header, tabs alone part the fields.

Quotation marks mean nothing: Common Voice writes sentences with unbalanced ones as they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hearsay.corpora.speech_source import Rejected, Source
from hearsay.errors import InputError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Table:
    """A TSV file: its name in the source, its columns, and its other lines as bytes, with numbers.

    The first line is the header, and the second the first row. Empty lines are left out.
    """

    name: str
    columns: list[str]
    lines: list[tuple[int, bytes]]

    def rows(self) -> Iterator[dict[str, str] | Rejected]:
        """Every row by column; one with another number of fields, or not in UTF-8, is rejected."""
        for number, line in self.lines:
            name = f"{self.name.rpartition('/')[2]}, line {number}"
            try:
                fields = line.decode("utf-8").split("\t")
            except UnicodeDecodeError as error:
                byte = f"byte {error.start + 1} of it, 0x{line[error.start]:02x}, is not UTF-8"
                yield Rejected(name, "bad-row", byte)
                continue
            if len(fields) != len(self.columns):
                yield Rejected(
                    name,
                    "bad-row",
                    f"{len(fields)} fields, but the header has {len(self.columns)}",
                )
                continue
            yield dict(zip(self.columns, fields, strict=True))


def read_table(source: Source, name: str, needed: Sequence[str]) -> Table:
    """Read a TSV file of a source.

    Raises
    ------
    InputError
        for a header that lacks a column that is needed, or names one twice.
    """
    # Only \\n ends a line: Unicode's other separators may stand in a sentence.
    lines = source.read(name).removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    lines = [line.removesuffix(b"\r") for line in lines]
    columns = lines[0].decode("utf-8", "replace").split("\t")
    place = f"{source.path} ({name})"
    for column in needed:
        if column not in columns:
            listed = ", ".join(columns)[:200] or "nothing"
            raise InputError(
                f"{place}: its first line has no column {column!r} (it has: {listed}); columns are "
                "parted by tabs, and named in the first line"
            )
    if len(set(columns)) != len(columns):
        raise InputError(f"{place}: its first line names a column twice ({', '.join(columns)})")
    rows = [(number, line) for number, line in enumerate(lines[1:], start=2) if line]
    return Table(name, columns, rows)


def check_count(place: str, part: str, found: int, counts: dict[str, int]) -> None:
    """Compare a part's number of rows with what the settings say of it.

    Raises
    ------
    InputError
        for another number.
    """
    expected = counts.get(part)
    if expected is not None and found != expected:
        raise InputError(
            f"{place}: {part} has {found} rows, not {expected} as counts.{part} says. Parts are "
            "drawn anew for every release: get the release that is meant, or correct counts"
        )
