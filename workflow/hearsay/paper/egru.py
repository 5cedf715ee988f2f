"""What the tables and figures of the EGRU paper read: score files, published values, the rows.

Paper: Schöne, Khan Nazeer, Mayr, Kappel and Subramoney, "An efficient RNN Language Model using
activity sparsity and sparse back-propagation through time".
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hearsay.errors import InputError
from hearsay.paper.runs import (
    RowPlan,
    SeedScores,
    by_seed,
    from_json,
    plans_of,
    read_seed_scores,
    records_of,
)
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "egru.csv"
PUBLISHED_NUMBERS = ["hidden", "validation", "test", "activity_sparsity", "backward_sparsity"]
PUBLISHED_COLUMNS = [
    "table",
    "row",
    "label",
    "hidden",
    "parameters",
    "effective_mac",
    "validation",
    "test",
    "activity_sparsity",
    "backward_sparsity",
    "source",
]
SECOND_HAND = "{} second-hand"  # `table` of values that we have from a quotation alone
# The corpora of the paper, by table, and how many tokens of their test text are predicted.
CORPORA = {"1": "Penn Treebank", "2": "WikiText-2"}
PREDICTIONS = {"1": 82_429, "2": 245_568}
MILLION = 1e6


@dataclass(frozen=True)
class Measured(SeedScores):
    """Scores of one run, by seed; a seed without a test perplexity has failed.

    Attributes
    ----------
    predictions : test tokens that the perplexity is over, None where the file does not say.
    """

    predictions: int | None = None

    def layers(self, quantity: str) -> list[float]:
        """Mean of ``{quantity}_layer1``, ``_layer2``, … for as many layers as there are."""
        found: list[float] = []
        while (value := self.mean(f"{quantity}_layer{len(found) + 1}")) is not None:
            found.append(value)
        return found


def read_plans(text: str, *, option: str = "--rows") -> list[RowPlan]:
    """Read ``[{"run": …, "published": …, "title": …}, …]``, in the order of the rows."""
    return plans_of_corpus(from_json(text, option), option)


def plans_of_corpus(entries: Any, option: str) -> list[RowPlan]:
    """Check the rows of one corpus; no run is named twice."""
    plans = plans_of(entries, option, RowPlan)
    runs = [plan.run for plan in plans if plan.run]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise InputError(f"{option}: named twice: {', '.join(twice)}")
    return plans


def read_published(path: Path | str) -> pd.DataFrame:
    """Read the published values: columns `PUBLISHED_COLUMNS`.

    Perplexities and sparsities (percent) are numbers, NaN where the paper has none; parameters and
    operations are text as printed, such as ``7.3M``.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if list(frame.columns) != PUBLISHED_COLUMNS:
            raise InputError(f"{path}: its columns must be {', '.join(PUBLISHED_COLUMNS)}")
        for column in PUBLISHED_NUMBERS:
            frame[column] = pd.to_numeric(frame[column].replace("", None)).astype(float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    for column in ("table", "row", "label", "source"):
        if (frame[column] == "").any():
            raise InputError(f"{path}: line {(frame[column] == '').argmax() + 2} lacks {column}")
    for column in ("parameters", "effective_mac"):
        for line, value in enumerate(frame[column], start=2):
            if value and not re.fullmatch(r"\d+(\.\d+)?M", value):
                raise InputError(f"{path}: line {line}: {column} is millions, such as 7.3M")
    if len(twice := frame[frame.duplicated(["table", "row"])]):
        raise InputError(f"{path}: more than one row {' '.join(twice.iloc[0][['table', 'row']])}")
    return frame


def millions(printed: str) -> float:
    """``7.3M`` as 7.3, NaN for nothing."""
    return float(printed.removesuffix("M")) if printed else math.nan


def read_measurements(path: Path, corpus: str, plans: list[RowPlan]) -> dict[str, Measured]:
    """Read ``lm/{corpus}/scores.csv``: the scores of every run that has any, by its name.

    Raises
    ------
    InputError
        for what `read_seed_scores` refuses, and if the file holds another run, or perplexities over
        different numbers of tokens.
    """
    frame = read_seed_scores(path, "lm", corpus)
    known = {plan.run for plan in plans}
    if unknown := sorted(set(frame["experiment"]) - known):
        raise InputError(f"{path}: holds {', '.join(unknown)}, which --rows does not name")
    return {
        str(run): _measured(path, str(run), rows)
        for run, rows in frame.groupby("experiment", sort=False)
    }


def _measured(path: Path, run: str, rows: pd.DataFrame) -> Measured:
    found = by_seed(rows)
    failed = [
        seed
        for seed, metrics in found.items()
        if not math.isfinite(metrics.get("test_perplexity", math.nan))
    ]
    seeds = {seed: metrics for seed, metrics in found.items() if seed not in failed}
    tested = rows[(rows["metric"] == "test_perplexity") & rows["n"].notna()]
    counts = sorted(set(tested["n"].astype(int)))
    if len(counts) > 1:
        raise InputError(
            f"{path}: test perplexities of {run} are over {' and '.join(map(str, counts))} tokens"
        )
    return Measured(
        run,
        rows["model"].iloc[0],
        seeds,
        failed,
        records_of(rows, list(seeds)),
        counts[0] if counts else None,
    )


def comparable(measured: Measured, table: str) -> bool:
    """Whether the perplexity is over the very test tokens that the paper's table is about."""
    return measured.predictions == PREDICTIONS.get(table)
