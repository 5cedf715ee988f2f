"""The score rows behind a table's cells."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pandas as pd

from hearsay.errors import InputError, reason_of
from hearsay.files import finished_below
from hearsay.lineage import Lineage, Record
from hearsay.metrics.scores import SCORE_COLUMNS, read_scores
from hearsay.paper.tables import Column, Row, is_missing

NAMES = ["experiment", "subject_or_language", "model", "metric"]
# What one cell's scores have in common: all but the seed, or but the seed and the subject.
ALIKE = (NAMES, [name for name in NAMES if name != "subject_or_language"])
_HEADER = len(",".join(SCORE_COLUMNS))
SCALES = (1.0, 100.0, 1e-6)  # values stand in tables as they are, in percent or in millions
LIKE = 0.5  # at least, of a metric and a column that holds a count or a difference


@dataclass
class CellScores:
    """Score rows of one cell.

    Attributes
    ----------
    column : key of the cell; empty where no single cell can be named.
    found : whether the mean of the rows is the cell; else they are all that its runs measured
        of what the row names.
    rows : ``file`` and the columns of a score file.
    """

    column: str
    found: bool
    rows: pd.DataFrame


def has_scores(file: Path) -> bool:
    """Whether a file is a score file, by its header, whatever its name.

    One that is empty has none: it is by its name, so that reading it tells what is wrong.
    """
    try:
        with file.open("rb") as stream:
            head = stream.readline(_HEADER + 2)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {reason_of(error)}") from None
    return head.rstrip() == ",".join(SCORE_COLUMNS).encode() or (
        not head and file.name.endswith("scores.csv")
    )


def score_files(results: Path) -> list[Path]:
    """All finished score files below `results`."""
    return [file for file in finished_below(results) if file.suffix == ".csv" and has_scores(file)]


def scores_behind(
    lineage: Lineage, own: Record | None, runs: list[str], row: Row, columns: list[Column]
) -> list[CellScores]:
    """Score rows that the number cells of a row were computed from.

    Parameters
    ----------
    own : the table's record, whose inputs are its score files; without one all are looked through.
    runs : ids of the runs behind the row.
    columns : whose cells are asked for.

    A table does not say which rows a cell came from. They are the rows of its runs with the cell's
    value as their mean over seeds (and over subjects); of a cell that is no such mean, a difference
    or a ratio, all of its runs that bear the row's names are given.
    """
    rows = _rows(lineage, own, runs)
    if rows.empty:
        return []
    told, rest = [], False
    named = _narrowed(rows, {str(v) for v in row.cells.values() if isinstance(v, str)})
    for column in columns:
        value = row.cells.get(column.key)
        if column.kind in ("text", "run") or isinstance(value, str):
            continue
        if value is None or is_missing(value):
            continue
        # A published value, and what it differs by, are no score of ours.
        if column.key.endswith("published"):
            continue
        alike = _with_mean([named, rows], float(value), column)
        if alike is not None:
            told.append(CellScores(column.key, True, alike))
        rest = rest or alike is None
    if rest and (len(columns) == 1 or not told):
        told.append(CellScores(columns[0].key if len(columns) == 1 else "", False, named))
    return told


def _rows(lineage: Lineage, own: Record | None, runs: list[str]) -> pd.DataFrame:
    read = [lineage.located(path) for path in own.inputs] if own else []
    files = [file for file in read if file.suffix == ".csv" and file.is_file() and has_scores(file)]
    files = files if own else score_files(lineage.results)
    frames = []
    for file in files:
        scores = read_scores(file)
        scores = scores[scores["run"].isin(runs)]
        if len(scores):
            frames.append(scores.assign(file=str(lineage.target_of(file))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _narrowed(rows: pd.DataFrame, texts: Iterable[str]) -> pd.DataFrame:
    """The rows that bear the names in `texts`, of each kind of name that they hold."""
    for name in NAMES:
        if (bearing := rows[name].isin(set(texts))).any():
            rows = rows[bearing]
    return rows


def _with_mean(choices: list[pd.DataFrame], value: float, column: Column) -> pd.DataFrame | None:
    """The rows of one metric with this mean; of several the metric that is called most alike.

    Those of a later choice are looked at only where an earlier one has none.
    """
    for rows in choices:
        found: list[pd.DataFrame] = []
        for keys in ALIKE:
            groups = [alike for _, alike in rows.groupby(keys, sort=False, dropna=False)]
            means = [alike["value"].mean() for alike in groups]
            found += [
                alike
                for alike, mean in zip(groups, means, strict=True)
                if any(math.isclose(value, scale * mean, rel_tol=1e-9) for scale in SCALES)
            ]
        names = [_likeness(str(one["metric"].iloc[0]), column.key) for one in found]
        if found and (column.kind not in ("count", "difference") or max(names) >= LIKE):
            return found[names.index(max(names))]
    return None


def _likeness(metric: str, key: str) -> float:
    # "wer demo-en/dev" is nearer to "wer" than "validation_wer", and to "coraal", a test, too.
    alike = SequenceMatcher(None, metric, key).ratio() + metric.startswith(key)
    return alike - (metric.startswith("validation") and not key.startswith("validation"))


def score_lines(told: list[CellScores], limit: int) -> list[str]:
    """Score rows for a terminal, at most `limit` of a cell."""
    lines = []
    for cell in told:
        head = f"  {cell.column}: mean of" if len(cell.rows) > 1 else f"  {cell.column}:"
        if not cell.found:
            what = cell.column or "these cells"
            head = f"  {what}: computed from more than one score; scores of the runs behind it:"
        lines.append(head)
        lines += [f"    {_line(one)}" for one in cell.rows.head(limit).to_dict("records")]
        if len(cell.rows) > limit:
            lines.append(f"    and {len(cell.rows) - limit} more (--json shows all)")
    return lines


def _line(row: dict[Any, Any]) -> str:
    names = " ".join(str(row[name]) for name in NAMES if row[name])
    n, seed = ("–" if pd.isna(row[key]) else row[key] for key in ("n", "seed"))
    return f"{row['file']}: {names} = {row['value']:.6g} (n {n}, seed {seed}, run {row['run']})"


def as_dicts(told: list[CellScores]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {
            "column": cell.column,
            "mean": cell.found,
            "rows": [
                {k: None if pd.isna(v) else v for k, v in row.items()}
                for row in cell.rows.to_dict("records")
            ],
        }
        for cell in told
    ]
