"""Your own recordings, listed in a table: the kind ``table``.

A TSV file with the columns ``path`` (of the audio, from the table's folder) and ``sentence``, and,
if wanted, ``id``, ``speaker``, ``split``, and ``start`` and ``end`` in seconds and ``channel``
(from 0) for utterances in longer recordings. Either each part has a table of its name
(``train.tsv``), or there is one table whose column ``split`` tells the parts.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import Table, check_count, read_table
from hearsay.errors import InputError

_NEEDED = ["path", "sentence"]


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """List the utterances of `parts`, in the order of the table.

    Parameters
    ----------
    source : folder or archive that holds the table and the audio.
    parts : names of tables, or values of the column ``split``.
    options : ``table`` names the table where there are several; ``counts`` has the rows that parts
        must have.

    Raises
    ------
    InputError
        for a source without a table or with several, a table without a column that is needed, a
        part without rows, and another number of rows than ``counts`` says.
    """
    tables = [name for name in source.names() if name.lower().endswith(".tsv")]
    counts = options.get("counts") or {}
    listing = Listing()
    for part in parts:
        name, split = _table_of(source, tables, part, options.get("table"))
        needed = [*_NEEDED, "split"] if split else _NEEDED
        table = read_table(source, name, needed)
        rows = 0
        for number, row in zip(table.lines, table.rows(), strict=True):
            if isinstance(row, Rejected):
                rows += 1
                listing.rejected.append(row)
            elif not split or row["split"].strip() == part:
                rows += 1
                _add(listing, row, source, table, number[0])
        place = f"{source.path} ({name})"
        if rows == 0:
            there = _splits(table) if split else "no rows"
            raise InputError(f"{place}: no rows for {part!r}; it has {there}; correct parts")
        check_count(place, part, rows, counts)
    return listing


def _table_of(
    source: Source, tables: Sequence[str], part: str, named: str | None
) -> tuple[str, bool]:
    """Name of a part's table, and whether its column ``split`` tells the part's rows."""
    if named is not None:
        found = [name for name in tables if f"/{name}".endswith(f"/{named}")]
        if len(found) != 1:
            raise InputError(
                f"{source.path}: {len(found) or 'no'} tables are named {named!r} (there are: "
                f"{', '.join(tables[:5]) or 'none'}); correct options.table"
            )
        return found[0], True
    own = [name for name in tables if f"/{name}".endswith(f"/{part}.tsv")]
    if len(own) == 1:
        return own[0], False
    if not own and len(tables) == 1:
        return tables[0], True
    raise InputError(
        f"{source.path}: {len(own) or 'no'} tables are named {part}.tsv, and there is not one "
        f"table alone (there are: {', '.join(tables[:5]) or 'none'}); name it in options.table"
    )


def _splits(table: Table) -> str:
    found = {row["split"].strip() for row in table.rows() if not isinstance(row, Rejected)}
    return "the splits " + ", ".join(map(repr, sorted(found)[:8])) if found else "no rows"


def _add(listing: Listing, row: dict[str, str], source: Source, table: Table, line: int) -> None:
    audio = _audio(source, table.name, row["path"].strip())
    times = [row.get(name, "").strip() for name in ("start", "end")]
    name = row.get("id", "").strip() or _identity(row["path"].strip(), times)
    try:
        start, end = (_seconds(value) for value in times)
        channel = int(row["channel"]) if row.get("channel", "").strip() else None
    except ValueError as error:
        detail = f"{table.name}, line {line}: {error}"
        listing.rejected.append(Rejected(name, "bad-row", detail))
        return
    listing.recordings.append(
        Recording(
            id=name,
            text=row["sentence"],
            speaker=row.get("speaker", "").strip(),
            audio=audio,
            start=start,
            end=end,
            channel=channel,
        )
    )


def _audio(source: Source, table: str, path: str) -> str:
    """Name of the audio in the source: from the table's folder, or from the top."""
    path = path.replace("\\", "/").removeprefix("./")
    folder = table.rpartition("/")[0]
    beside = f"{folder}/{path}" if folder else path
    return path if path in source and beside not in source else beside


def _identity(path: str, times: Sequence[str]) -> str:
    folder, _, last = path.rpartition("/")
    stem = last.rpartition(".")[0] or last
    return "-".join([f"{folder}/{stem}" if folder else stem, *filter(None, times)])


def _seconds(value: str) -> float | None:
    if not value:
        return None
    seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{value!r} is no time in seconds")
    return seconds
