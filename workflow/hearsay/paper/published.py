"""Files of the papers' own values, checked alike when a run is planned and by its steps.

Light: imports neither numpy nor pandas.
"""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError

_MILLIONS = re.compile(r"\d+(\.\d+)?M")


@dataclass(frozen=True)
class Form:
    """What a file of published values must be like.

    Attributes
    ----------
    columns : all of them, in order.
    key : columns in which no two rows are the same.
    filled : columns that are never empty.
    numbers : columns of finite numbers; an empty cell is none.
    millions : columns of millions as printed, such as ``7.3M``; an empty cell is none.
    worded : tables, by the column ``table``, whose `numbers` are words.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    filled: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    millions: tuple[str, ...] = ()
    worded: tuple[str, ...] = ()


ASR = Form(
    columns=(
        *("table", "row", "language", "model", "train", "fine_tune"),
        *("column", "value", "source"),
    ),
    key=("table", "row", "column"),
    filled=("table", "row", "language", "model", "train", "column", "value", "source"),
    numbers=("value",),
)
BPGPT = Form(
    columns=("table", "setting", "row_label", "subject", "metric", "value", "source"),
    key=("table", "setting", "subject", "metric"),
    filled=("table", "setting", "row_label", "subject", "metric", "value", "source"),
    numbers=("value",),
)
CAPACITY = Form(
    columns=("model", "series", "accuracy", "accuracy_source", "alpha", "alpha_hat", "source"),
    key=("model",),
    filled=("model",),
    numbers=("accuracy", "alpha", "alpha_hat"),
)
EGRU = Form(
    columns=(
        *("table", "row", "label", "hidden", "parameters", "effective_mac", "validation", "test"),
        *("activity_sparsity", "backward_sparsity", "source"),
    ),
    key=("table", "row"),
    filled=("table", "row", "label", "source"),
    numbers=("hidden", "validation", "test", "activity_sparsity", "backward_sparsity"),
    millions=("parameters", "effective_mac"),
)
WABERT = Form(
    columns=("table", "row", "section", "column", "value", "source"),
    key=("table", "row", "column"),
    filled=("table", "row", "column", "value", "source"),
    numbers=("value",),
    worded=("4",),
)


def read_lines(path: Path | str, form: Form) -> list[tuple[int, dict[str, str]]]:
    """Rows of a file of published values: the line on which each ends, and its cells by column.

    Raises
    ------
    InputError
        naming the file and the line that is not of the form.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    if not lines or tuple(lines[0][1]) != form.columns:
        raise InputError(f"{path}: its columns must be {', '.join(form.columns)}")
    found: list[tuple[int, dict[str, str]]] = []
    keys: set[tuple[str, ...]] = set()
    for line, cells in lines[1:]:
        if len(cells) != len(form.columns):
            raise InputError(
                f"{path}: line {line} has {len(cells)} cells, but there are {len(form.columns)} "
                "columns"
            )
        row = dict(zip(form.columns, cells, strict=True))
        if wrong := _wrong(row, form):
            raise InputError(f"{path}: line {line} {wrong}")
        key = tuple(row[column] for column in form.key)
        if key in keys:
            raise InputError(f"{path}: line {line}: more than one row of {' '.join(key)}")
        keys.add(key)
        found.append((line, row))
    return found


def _wrong(row: dict[str, str], form: Form) -> str:
    """What is wrong with a row's cells, behind the number of its line; empty if nothing is."""
    if lacking := [column for column in form.filled if not row[column].strip()]:
        return f"lacks {lacking[0]}"
    for column in form.numbers:
        text = row[column]
        if text and row.get("table") not in form.worded and not _is_number(text):
            return f"has no number as {column}: {text!r}"
    for column in form.millions:
        if row[column] and not _MILLIONS.fullmatch(row[column]):
            return f"has no millions, such as 7.3M, as {column}: {row[column]!r}"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def rows_of(path: Path | str, form: Form, number: str) -> list[str]:
    """Rows of table `number` by name, in the paper's order; errors as `read_lines`."""
    return list(
        dict.fromkeys(row["row"] for _, row in read_lines(path, form) if row["table"] == number)
    )
