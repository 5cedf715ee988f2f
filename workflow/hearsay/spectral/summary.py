"""Summaries of an audit: means and sums over the successful fits, and counts of every status."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hearsay.spectral.columns import STATUSES, SUCCESSES

# The label of a whole group of a convolution; "0,2" or "group 1 / 0,2" is at one kernel position.
WHOLE_GROUP = r"group \d+"


def summarise(frame: pd.DataFrame) -> pd.Series:
    """Summarise an audit (the frame of `audit`, or its CSV read back) as one number a metric.

    Returns
    -------
    Series, float64, by metric: depth (weights with at least one success), matrices (all rows),
    status_ok ... status_skipped (their counts), then over the rows of status ok or small_tail:
    alpha, alpha_hat, alpha_hat_normalised, log_spectral_norm, log_frobenius_norm, stable_rank,
    log_stable_rank (means; the last over its finite values), and alpha_hat_sum,
    alpha_hat_normalised_sum: Eq. 3 as it is written, without the 1/N_L of an average. NaN where
    there is no success. Two means are in the scales of the tools that made the published values,
    whatever the convention's: alpha_hat_unnormalised of the eigenvalues of W^T W, as in
    WeightWatcher 0.1.2, and alpha_hat_rescaled as in 0.2.7: of these times k^2 / 2 for a slice of a
    k x k convolution, and times 1/2 for any other matrix.

    Raises ValueError for a frame with a status that no audit gives.
    """
    return summary_table(frame)["value"]


def summary_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with, beside each `value`, the number `n` of rows it summarises (Int64).

    n is the number of successes (of finite values, for log_stable_rank) for means and sums, and
    missing for counts.
    """
    unknown = set(frame["status"]) - set(STATUSES)
    if unknown:
        raise ValueError(f"no audit gives the status {', '.join(map(str, sorted(unknown)))}")
    successes = frame[frame["status"].isin(SUCCESSES)]
    rows: dict[str, tuple[float, int | None]] = {
        "depth": (successes["name"].nunique(), None),
        "matrices": (len(frame), None),
    }
    for status in STATUSES:
        rows[f"status_{status}"] = (int((frame["status"] == status).sum()), None)

    def mean(column: str) -> None:
        rows[column] = (successes[column].mean(), int(successes[column].count()))

    def total(column: str) -> None:  # Eq. 3
        rows[f"{column}_sum"] = (successes[column].sum(min_count=1), len(successes))

    mean("alpha")
    mean("alpha_hat")
    total("alpha_hat")
    mean("alpha_hat_normalised")
    total("alpha_hat_normalised")
    unnormalised = _unnormalised(successes)
    successes = successes.assign(
        alpha_hat_unnormalised=unnormalised,
        alpha_hat_rescaled=unnormalised + _rescaling(successes),
    )
    mean("alpha_hat_unnormalised")
    mean("alpha_hat_rescaled")
    for column in ("log_spectral_norm", "log_frobenius_norm", "stable_rank", "log_stable_rank"):
        mean(column)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "n"])
    table.index.name = "metric"
    return table.astype({"value": "float64", "n": "Int64"})


def _unnormalised(successes: pd.DataFrame) -> pd.Series:
    """alpha_hat of each row without the 1/N of Eq. 2, also where the convention has it."""
    without = successes["alpha_hat_normalised"] + successes["alpha"] * np.log10(
        successes["N"].astype(float)
    )
    normalised = successes["alpha_hat"] == successes["alpha_hat_normalised"]
    return successes["alpha_hat"].where(~normalised, without)


def _rescaling(successes: pd.DataFrame) -> pd.Series:
    """What the scale of WeightWatcher 0.2.7 (W times sqrt(positions / 2)) adds to alpha_hat."""
    sizes = successes["shape"].str.split("x").map(lambda shape: [int(side) for side in shape])
    labels = successes["slice"].astype(str)  # read back, "0" may be a number
    labels = labels.where(successes["slice"].notna(), "")
    is_slice = successes["kind"].str.startswith("conv") & labels.ne("")
    is_slice &= ~labels.str.fullmatch(WHOLE_GROUP)
    positions = sizes.map(lambda shape: math.prod(shape[2:])).where(is_slice, 1)
    return successes["alpha"] * np.log10(positions.astype(float) / 2)


def score_rows(frame: pd.DataFrame, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of a score file: the summary of the model whose `frame` its audit gave.

    A matrix without a fit is counted by its status only. `names` are the columns that all rows
    share: system, experiment, model and run.
    """
    table = summary_table(frame).itertuples()
    return [{**names, "metric": row.Index, "value": row.value, "n": row.n} for row in table]
