"""What the tables and figures of the EGRU paper read: score files, published values, the rows.

Paper: Schöne, Khan Nazeer, Mayr, Kappel and Subramoney, "An efficient RNN Language Model using
activity sparsity and sparse back-propagation through time".
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError
from hearsay.paper.plans import RowPlan
from hearsay.paper.published import EGRU, read_lines
from hearsay.paper.runs import SeedScores, by_seed, read_seed_scores, records_of
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "egru.csv"
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


def read_published(path: Path | str) -> pd.DataFrame:
    """Read the published values: the columns of `EGRU`; errors as `read_lines`.

    Perplexities and sparsities (percent) are numbers, NaN where the paper has none; parameters and
    operations are text as printed, such as ``7.3M``.
    """
    rows = [row for _, row in read_lines(path, EGRU)]
    frame = pd.DataFrame(rows, columns=list(EGRU.columns))
    for column in EGRU.numbers:
        frame[column] = pd.to_numeric(frame[column].replace("", None)).astype(float)
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
