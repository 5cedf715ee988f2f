"""Training histories, one CSV a seed and one row an epoch, and their mean over seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError

Histories = list[pd.DataFrame]  # of one run, one a seed


def read_history(
    path: Path, wanted: Callable[[str], bool], required: Sequence[str] = ()
) -> pd.DataFrame:
    """Read the columns of ``history.csv`` that are `wanted`, indexed by epoch; values may be NaN.

    Raises
    ------
    InputError
        for a file that is no table of numbers, has no epoch, has one twice, or lacks a column of
        `required`.
    """
    try:
        frame = pd.read_csv(path)
        if "epoch" not in frame or frame.empty:
            raise InputError(f"{path}: not a training history: it has no epochs")
        if missing := [name for name in required if name not in frame]:
            raise InputError(f"{path}: lacks the columns {', '.join(missing)}")
        columns = ["epoch", *(name for name in frame if name != "epoch" and wanted(str(name)))]
        frame = frame[columns].apply(pd.to_numeric).astype(float).set_index("epoch")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a training history: {error}") from None
    if frame.index.has_duplicates or frame.index.hasnans:
        raise InputError(f"{path}: an epoch comes twice or has no number")
    return frame.sort_index()


def over_seeds(histories: Histories, column: str) -> pd.DataFrame:
    """By epoch: columns mean, low, high over the seeds that have a value there."""
    wide = pd.concat([frame[column] for frame in histories if column in frame], axis=1)
    wide = wide.dropna(how="all").sort_index()
    return pd.DataFrame(
        {"mean": wide.mean(axis=1), "low": wide.min(axis=1), "high": wide.max(axis=1)}
    )
