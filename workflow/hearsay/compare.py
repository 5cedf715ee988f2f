"""Two results folders side by side: ``python -m hearsay.compare A B``.

Rows of all score files and tables are matched by what names them, and their numbers held against
each other; equal ones are counted and hidden. Then it is said which runs differ in settings, seed,
code, commit or data, and which files only one folder has.

Example:

  python -m hearsay.compare results/paper ../other-clone/results/paper --tolerance 0.001
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from hearsay.command_line import run_app
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.lineage import SUFFIX, Lineage, Record
from hearsay.metrics.scores import SCORE_COLUMNS, read_scores
from hearsay.paper.tables import Table, is_missing, read_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
COLUMNS = ["file", "row", "column", "a", "b", "difference"]
FACTS = ("settings", "seed", "code", "commit", "inputs")


@dataclass
class Comparison:
    """What differs between two results folders.

    Attributes
    ----------
    rows : one row a number that differs or that one folder lacks: `COLUMNS`, `difference` is b - a.
    equal : how many numbers are equal within the tolerance, by file.
    runs : facts that differ (`FACTS`) by run record that both folders have.
    only : files that one folder alone has, by ``"a"`` and ``"b"``.
    """

    rows: pd.DataFrame
    equal: Counter[str]
    runs: dict[str, list[str]]
    only: dict[str, list[str]]


def compare_folders(a: Path, b: Path, tolerance: float = 0.0) -> Comparison:
    """Hold the score files, tables and run records of `a` and `b` against each other.

    Two numbers are equal if they differ by `tolerance` at most. Raises InputError for a folder
    that does not exist or has no results, and for a file that cannot be read.
    """
    files = [_files(a), _files(b)]
    rows: list[dict[str, Any]] = []
    equal: Counter[str] = Counter()
    for name in sorted(files[0].keys() & files[1].keys()):
        pair = [_numbers(one[name]) for one in files]
        for key in sorted(pair[0].keys() | pair[1].keys()):
            left, right = pair[0].get(key), pair[1].get(key)
            if left is not None and right is not None and abs(right - left) <= tolerance:
                equal[name] += 1
                continue
            difference = None if left is None or right is None else right - left
            values = [name, *key, left, right, difference]
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    records = [_records(one) for one in (a, b)]
    both = records[0].keys() & records[1].keys()
    runs = {name: _unlike(records[0][name], records[1][name]) for name in sorted(both)}
    every = [one.keys() | record.keys() for one, record in zip(files, records, strict=True)]
    return Comparison(
        pd.DataFrame(rows, columns=COLUMNS),
        equal,
        {name: facts for name, facts in runs.items() if facts},
        {"a": sorted(every[0] - every[1]), "b": sorted(every[1] - every[0])},
    )


def _files(results: Path) -> dict[str, Path]:
    """Score files and tables (as JSON) by their path within the results."""
    if not results.is_dir():
        raise InputError(f"{results}: no such folder")
    found = list(results.rglob("scores.csv"))
    found += [p for p in results.glob("tables/*.json") if not p.name.endswith(SUFFIX)]
    if not found:
        raise InputError(f"{results}: holds neither score files nor tables/; nothing to compare")
    return {path.relative_to(results).as_posix(): path for path in found}


def _records(results: Path) -> dict[str, Record]:
    records = Lineage(results).records
    return {path.relative_to(results).as_posix(): record for path, record in records.items()}


def _numbers(path: Path) -> dict[tuple[str, str], float]:
    """Numbers by row and column."""
    return _table_numbers(read_table(path)) if path.suffix == ".json" else _scores(path)


def _scores(path: Path) -> dict[tuple[str, str], float]:
    names = [c for c in SCORE_COLUMNS if c not in ("value", "n", "metric", "run")]
    found: dict[tuple[str, str], float] = {}
    for row in read_scores(path).to_dict("records"):
        label = " ".join(str(row[c]) for c in names if not _empty(row[c]))
        for column, value in ((row["metric"], row["value"]), (f"n of {row['metric']}", row["n"])):
            if not _empty(value):
                found[_free(found, label, str(column))] = float(value)
    return found


def _table_numbers(table: Table) -> dict[tuple[str, str], float]:
    texts = [c.key for c in table.columns if c.kind == "text" and c.shown]
    found: dict[tuple[str, str], float] = {}
    for row in table.rows:
        # Text that holds digits may be a measurement; the first column and the group name a row.
        names = [texts[0]] if texts else []
        names += [key for key in texts[1:] if not _has_digits(row.cells.get(key))]
        label = " ".join(str(row.cells[key]) for key in names if not is_missing(row.cells.get(key)))
        label = f"{row.group}: {label}" if row.group else label
        for column in table.columns:
            value = row.cells.get(column.key)
            if column.kind != "run" and isinstance(value, int | float) and not is_missing(value):
                found[_free(found, label, column.key)] = float(value)
    return found


def _has_digits(cell: Any) -> bool:
    return any(character.isdigit() for character in str(cell or ""))


def _free(taken: dict[tuple[str, str], float], label: str, column: str) -> tuple[str, str]:
    """Rows of one name are told apart by their order."""
    key, k = (label, column), 1
    while key in taken:
        k += 1
        key = (f"{label} ({k})", column)
    return key


def _empty(value: Any) -> bool:
    return value is pd.NA or is_missing(value)


def _unlike(a: Record, b: Record) -> list[str]:
    """Names of facts that differ; settings by their key, inputs by checksum."""
    found = []
    for fact in FACTS:
        if fact == "inputs":
            if sorted(a.inputs.values()) != sorted(b.inputs.values()):
                found.append("data")
        elif fact == "settings":
            left, right = a.content["settings"], b.content["settings"]
            found += [f"settings.{key}" for key in _unlike_keys(left, right)]
        elif a.content.get(fact) != b.content.get(fact):
            found.append(fact)
    return found


def _unlike_keys(a: Any, b: Any, prefix: str = "") -> list[str]:
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return [] if a == b else [prefix or "(all)"]
    found = []
    for key in sorted(a.keys() | b.keys()):
        path = f"{prefix}.{key}" if prefix else str(key)
        if key not in a or key not in b:
            found.append(path)
        else:
            found += _unlike_keys(a[key], b[key], path)
    return found


def as_text(comparison: Comparison, limit: int) -> str:
    """What differs, for a terminal: at most `limit` numbers a file."""
    lines = []
    for name, rows in comparison.rows.groupby("file", sort=True):
        lines.append(f"{name}: {len(rows)} differ, {comparison.equal[str(name)]} equal")
        for row in rows.head(limit).to_dict("records"):
            a, b, d = (_number(row[key]) for key in ("a", "b", "difference"))
            lines.append(f"  {row['row']} | {row['column']}: {a} | {b} ({d})")
        if len(rows) > limit:
            lines.append(f"  and {len(rows) - limit} more (--limit, --csv)")
    same = [name for name in comparison.equal if name not in set(comparison.rows["file"])]
    lines.append(f"{len(same)} files have equal numbers only")
    # A commit alone differs in all runs at once: counted, not listed.
    facts = Counter(fact for found in comparison.runs.values() for fact in found)
    lines += [f"runs that differ in {fact}: {count}" for fact, count in facts.most_common()]
    for side, names in comparison.only.items():
        lines += [f"only in {side.upper()}: {name}" for name in names]
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "none" if is_missing(value) else f"{value:.6g}"


@app.command(help=__doc__)
def compare(
    a: Path = typer.Argument(help="A results folder, such as results/paper."),
    b: Path = typer.Argument(help="Another."),
    tolerance: float = typer.Option(0.0, min=0.0, help="Numbers this near count as equal."),
    limit: int = typer.Option(10, min=0, help="Differing numbers shown of each file."),
    csv: Path = typer.Option(None, help="Write every differing number here."),
) -> None:
    """Put two results folders side by side."""
    comparison = compare_folders(a, b, tolerance)
    if csv is not None:
        with whole_file(csv) as temporary:
            comparison.rows.to_csv(temporary, index=False)
    print(as_text(comparison, limit))


if __name__ == "__main__":
    run_app(app, "python -m hearsay.compare")
