"""Tidy score files: one row a value, the only thing that tables read.

Columns: ``system`` (folder of the system), ``experiment`` (its setting or convention),
``subject_or_language`` (empty where neither applies), ``model``, ``metric``, ``value`` (number),
``n`` (how many items the value summarises), ``seed``, ``run`` (id of the run record beside it).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hearsay.errors import InputError
from hearsay.files import whole_file

SCORE_COLUMNS = [
    "system",
    "experiment",
    "subject_or_language",
    "model",
    "metric",
    "value",
    "n",
    "seed",
    "run",
]


def write_scores(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write score rows; a missing ``subject_or_language``, ``n`` or ``seed`` stays empty.

    Raises ValueError for an unknown column or a missing one.
    """
    frame = pd.DataFrame(list(rows))
    unknown = set(frame.columns) - set(SCORE_COLUMNS)
    missing = {"system", "experiment", "model", "metric", "value", "run"} - set(frame.columns)
    if unknown or missing:
        raise ValueError(
            f"score rows: unknown columns {sorted(unknown)}, missing {sorted(missing)}"
        )
    frame = frame.reindex(columns=SCORE_COLUMNS)
    for column in ("n", "seed"):
        frame[column] = frame[column].astype("Int64")
    with whole_file(path) as temporary:
        frame.to_csv(temporary, index=False)


def read_scores(path: Path | str) -> pd.DataFrame:
    """Read a score file: text as text, ``value`` as float64, ``n`` and ``seed`` as Int64."""
    kinds: dict[str, type[str] | type[float] | str] = dict.fromkeys(SCORE_COLUMNS, str)
    kinds |= {"value": float, "n": "Int64", "seed": "Int64"}
    try:
        frame = pd.read_csv(
            path,
            dtype=kinds,
            keep_default_na=False,
            na_values={"value": ["", "nan"], "n": [""], "seed": [""]},
        )
    except (OSError, ValueError, OverflowError, TypeError) as error:
        raise InputError(f"{path}: not a score file: {error}") from None
    if list(frame.columns) != SCORE_COLUMNS:
        raise InputError(f"{path}: not a score file: its columns are {', '.join(frame.columns)}")
    return frame
