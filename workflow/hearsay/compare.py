"""Two results folders side by side: ``python -m hearsay.compare A B``.

Rows of all score files and tables are matched by what names them, and their numbers and texts held
against each other; equal ones are counted and hidden. Then it is said which runs differ in
settings, seed, code, commit or data, with both values, and which files only one folder has; those
that are being written, or that a killed step left, are named apart.

Example:

  python -m hearsay.compare results/paper ../other-clone/results/paper --tolerance 0.001
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from hearsay.cell_scores import score_files
from hearsay.command_line import run_app
from hearsay.errors import InputError
from hearsay.files import files_below, unfinished, whole_file
from hearsay.lineage import Lineage, table_files
from hearsay.metrics.scores import read_scores
from hearsay.paper.tables import Row, Table, is_missing, read_table
from hearsay.run_facts import Values, run_lines, unlike_runs
from hearsay.storage import told_if_unreadable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
COLUMNS = ["file", "row", "column", "a", "b", "difference"]
Cell = float | str
Cells = dict[tuple[str, str], Cell]  # by row and column
_NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass
class Comparison:
    """What differs between two results folders.

    Attributes
    ----------
    rows : one row a number or text that differs or that one folder lacks: `COLUMNS`, `difference`
        of numbers is b - a.
    equal : how many are equal within the tolerance, by file.
    runs : facts that differ by run record that both folders have, each with both values
        (`hearsay.run_facts.unlike_runs`).
    only : files that one folder alone has, by ``"a"`` and ``"b"``.
    unfinished : files and folders that are being written or that killed steps left, likewise; they
        count as no difference.
    """

    rows: pd.DataFrame
    equal: Counter[str]
    runs: dict[str, dict[str, Values]]
    only: dict[str, list[str]]
    unfinished: dict[str, list[str]]


def compare_folders(a: Path, b: Path, tolerance: float = 0.0) -> Comparison:
    """Hold the score files, tables and run records of `a` and `b` against each other.

    Two numbers are equal if they differ by `tolerance` at most, two texts if they are the same but
    for such numbers. Raises InputError for a folder that does not exist or has no results, and for
    a file that cannot be read.
    """
    files = _files(a, b)
    rows: list[dict[str, Any]] = []
    equal: Counter[str] = Counter()
    for name in sorted(files[0].keys() & files[1].keys()):
        pair = _cells(files[0][name], files[1][name])
        for key in sorted(pair[0].keys() | pair[1].keys()):
            left, right = pair[0].get(key), pair[1].get(key)
            if _alike(left, right, tolerance):
                equal[name] += 1
                continue
            values = [name, *key, left, right, _difference(left, right)]
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    lineages = [Lineage(a), Lineage(b)]
    every = [
        one.keys() | {path.relative_to(of.results).as_posix() for path in of.records}
        for one, of in zip(files, lineages, strict=True)
    ]
    return Comparison(
        pd.DataFrame(rows, columns=COLUMNS),
        equal,
        unlike_runs(*lineages),
        {"a": sorted(every[0] - every[1]), "b": sorted(every[1] - every[0])},
        {"a": _unfinished(a), "b": _unfinished(b)},
    )


def _unfinished(results: Path) -> list[str]:
    found = {unfinished(path.relative_to(results)) for path in files_below(results)}
    return sorted(path.as_posix() for path in found if path is not None)


def _files(a: Path, b: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Score files and tables (as JSON) of both by their path within the results."""
    names: set[str] = set()
    for results in (a, b):
        if not results.is_dir():
            raise InputError(f"{results}: no such folder")
        found = [*score_files(results), *table_files(results)]
        if not found:
            raise InputError(
                f"{results}: holds neither score files nor tables/; nothing to compare"
            )
        names |= {path.relative_to(results).as_posix() for path in found}
    # What is a score file in one folder is one in the other, or is told to be none.
    there = [{name: one / name for name in names if (one / name).is_file()} for one in (a, b)]
    return there[0], there[1]


def _alike(a: Cell | None, b: Cell | None, tolerance: float) -> bool:
    if a is None or b is None or isinstance(a, str) != isinstance(b, str):
        return False
    if a == b:  # infinities too, whose difference is no number
        return True
    if isinstance(a, str) or isinstance(b, str):
        texts = str(a), str(b)
        if tolerance == 0 or _NUMBER.sub("", texts[0]) != _NUMBER.sub("", texts[1]):
            return False
        numbers = [map(_value, _NUMBER.findall(text)) for text in texts]
        return all(abs(x - y) <= tolerance for x, y in zip(*numbers, strict=True))
    return abs(b - a) <= tolerance


def _value(text: str) -> float:
    return float(text.replace("−", "-"))


def _difference(a: Cell | None, b: Cell | None) -> float | None:
    return b - a if isinstance(a, float) and isinstance(b, float) else None


def _cells(a: Path, b: Path) -> tuple[Cells, Cells]:
    """Numbers and texts of a file in both folders, by row and column."""
    if a.suffix == ".json":
        tables = [read_table(a), read_table(b)]
        names = _naming(tables)
        return _table_cells(tables[0], names), _table_cells(tables[1], names)
    scores = [read_scores(a), read_scores(b)]
    # Where each folder has one seed of everything, the seeds are compared with each other.
    parts = ["system", "experiment", "subject_or_language", "model"]
    if any(each.duplicated([*parts, "metric"]).any() for each in scores):
        parts.append("seed")
    return _score_cells(scores[0], parts), _score_cells(scores[1], parts)


def _score_cells(scores: pd.DataFrame, names: list[str]) -> Cells:
    found: Cells = {}
    for row in scores.to_dict("records"):
        label = " ".join(str(row[c]) for c in names if not _empty(row[c]))
        for column, value in ((row["metric"], row["value"]), (f"n of {row['metric']}", row["n"])):
            if not _empty(value):
                found[_free(found, label, str(column))] = float(value)
    return found


def _naming(tables: list[Table]) -> list[str]:
    """Keys of the columns that name a row.

    The first alone, if it tells the rows of a group apart; else with it all columns of text
    without digits, as text that holds some may be a measurement.
    """
    texts = [c.key for c in tables[0].columns if c.kind == "text" and c.shown]
    rows = [row for table in tables for row in table.rows]
    if all(_unique([_label(row, texts[:1]) for row in table.rows]) for table in tables):
        return texts[:1]
    more = [k for k in texts[1:] if not any(_has_digits(row.cells.get(k)) for row in rows)]
    return texts[:1] + more


def _unique(labels: list[str]) -> bool:
    return len(set(labels)) == len(labels)


def _label(row: Row, names: list[str]) -> str:
    label = " ".join(str(row.cells[key]) for key in names if not is_missing(row.cells.get(key)))
    return f"{row.group}: {label}" if row.group else label


def _table_cells(table: Table, names: list[str]) -> Cells:
    found: Cells = {}
    # A run's id is a digest of the facts that are told of the runs.
    keys = [c.key for c in table.columns if c.kind != "run" and c.key not in [*names, "records"]]
    for row in table.rows:
        label = _label(row, names)
        for key, value in [*((key, row.cells.get(key)) for key in keys), ("not_run", row.not_run)]:
            if not is_missing(value):
                cell = float(value) if isinstance(value, int | float) else str(value)
                found[_free(found, label, key)] = cell
    return found


def _has_digits(cell: Any) -> bool:
    return any(character.isdigit() for character in str(cell or ""))


def _free(taken: Cells, label: str, column: str) -> tuple[str, str]:
    """Rows of one name are told apart by their order."""
    key, k = (label, column), 1
    while key in taken:
        k += 1
        key = (f"{label} ({k})", column)
    return key


def _empty(value: Any) -> bool:
    return value is pd.NA or is_missing(value)


def as_text(comparison: Comparison, limit: int) -> str:
    """What differs, for a terminal: at most `limit` cells a file and runs a fact."""
    lines = []
    for name, rows in comparison.rows.groupby("file", sort=True):
        lines.append(f"{name}: {len(rows)} differ, {comparison.equal[str(name)]} equal")
        for row in rows.head(limit).to_dict("records"):
            a, b = _shown(row["a"]), _shown(row["b"])
            difference = "" if _empty(row["difference"]) else f" ({_shown(row['difference'])})"
            lines.append(f"  {row['row']} | {row['column']}: {a} | {b}{difference}")
        if len(rows) > limit:
            lines.append(f"  and {len(rows) - limit} more (--limit, --csv)")
    same = [name for name in comparison.equal if name not in set(comparison.rows["file"])]
    lines.append(f"{len(same)} files have equal numbers only")
    lines += run_lines(comparison.runs, limit)
    for side, names in comparison.only.items():
        lines += [f"only in {side.upper()}: {name}" for name in names]
    for side, names in comparison.unfinished.items():
        told = f"unfinished in {side.upper()}, being written or left by a killed step: "
        lines += [told + name for name in names]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if _empty(value):
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@app.command(help=__doc__)
def compare(
    a: Path = typer.Argument(help="A results folder, such as results/paper."),
    b: Path = typer.Argument(help="Another."),
    tolerance: float = typer.Option(0.0, min=0.0, help="Numbers this near count as equal."),
    limit: int = typer.Option(10, min=0, help="Differences shown of each file and fact."),
    csv: Path | None = typer.Option(None, help="Write every differing number and text here."),
) -> None:
    """Put two results folders side by side."""
    with told_if_unreadable():
        comparison = compare_folders(a, b, tolerance)
    if csv is not None:
        with whole_file(csv) as temporary:
            comparison.rows.to_csv(temporary, index=False)
    print(as_text(comparison, limit))


if __name__ == "__main__":
    run_app(app, "python -m hearsay.compare")
