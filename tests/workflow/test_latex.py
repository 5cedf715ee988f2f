"""The demo's tables as LaTeX: read by a parser, held against the CSV beside them, compiled.

Of the JSON only the columns are taken: which are shown, and how a number is rounded.
"""

import csv
import re

import pytest
from latex_text import as_read, body_rows, compiled, read_back, without_compiler

from hearsay.paper.tables import EMPTY, plain, read_table

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def tables(demo):
    """LaTeX, shown columns and rows of the CSV, by name."""
    found = {}
    for path in (demo / "results" / "demo" / "tables").glob("*.tex"):
        with path.with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        found[path.stem] = (path, read_table(path.with_suffix(".json")).shown, rows)
    return found


def shown_text(row, column):
    """What the LaTeX must show of a row of the CSV: a text, or a number as the column rounds it."""
    if column.kind == "run" and row["not_run"]:
        return without_apostrophe(row["not_run"])
    value = row[column.key]
    if not value:
        return EMPTY
    if column.kind in ("text", "run"):
        return without_apostrophe(value)
    return plain(float(value), column)


def without_apostrophe(text):
    """A text as it was before it was kept from being a spreadsheet's formula."""
    return text[1:] if re.match(r"'[=+\-@\t\n]", text) else text


def test_every_cell_says_what_the_csv_beside_it_holds(tables):
    assert len(tables) >= 19
    numbers = 0
    for name, (path, columns, rows) in tables.items():
        lines = body_rows(path.read_text("utf-8"))
        assert len(lines) == len(rows), name
        for cells, row in zip(lines, rows, strict=True):
            assert len(cells) == len(columns), (name, cells)
            for cell, column in zip(cells, columns, strict=True):
                wanted = shown_text(row, column)
                cell, _, letter = cell.partition(r"\textsuperscript")
                sourced = bool(column.source and row[column.key] and row[column.source])
                assert bool(letter) == sourced, (name, cell, row)
                if column.kind in ("text", "run") or wanted == EMPTY:
                    assert read_back(cell) == as_read(wanted), (name, cell)
                else:
                    found = re.fullmatch(r"\$([^$]*)\$", cell)
                    assert found, (name, cell)
                    number = re.sub(r"\\times10\^\{(-?\d+)\}", r"e\1", found[1])
                    assert float(number) == float(wanted), (name, cell)
                    numbers += 1
    assert numbers >= 100


@without_compiler
def test_all_tables_compile(tables, tmp_path):
    compiled(tmp_path, [rf"\input{{{path}}}\clearpage" for path, _, _ in tables.values()])
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
