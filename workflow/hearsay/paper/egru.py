"""What the tables and figures of the EGRU paper read: score files, published values, the rows.

Paper: Schöne, Khan Nazeer, Mayr, Kappel and Subramoney, "An efficient RNN Language Model using
activity sparsity and sparse back-propagation through time".
"""

import json
import math
import re
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
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
NOT_RUN = "not run: not in this configuration"
MILLION = 1e6


@dataclass(frozen=True)
class RowPlan:
    """One row of a table.

    Attributes
    ----------
    run : name of the run, or None for a published row that nothing was run for.
    published : row of the published file that it stands beside, or None.
    title : of the run, a few words.
    why : ``not run: …``, where there are no scores of it.
    seeds : that the configuration asks for; empty where it does not say.
    """

    run: str | None = None
    published: str | None = None
    title: str = ""
    why: str = ""
    seeds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What the run is called in sentences and beside points."""
        return self.title or self.run or self.published or ""


@dataclass(frozen=True)
class Measured:
    """Scores of one run, by seed.

    Attributes
    ----------
    model : egru, gru or lstm.
    seeds : metrics by name, for each seed that ended with a test perplexity.
    failed : seeds without one.
    predictions : test tokens that the perplexity is over, None where the file does not say.
    records : ids of the seeds' run records.
    """

    run: str
    model: str
    seeds: dict[int, dict[str, float]]
    failed: list[int] = field(default_factory=list)
    predictions: int | None = None
    records: list[str] = field(default_factory=list)

    def values(self, metric: str) -> list[float]:
        """A metric of every seed; empty where any seed lacks it, so that n holds for all."""
        found = [metrics.get(metric, math.nan) for metrics in self.seeds.values()]
        return found if all(map(math.isfinite, found)) else []

    def mean(self, metric: str) -> float | None:
        """Mean over seeds. No seed is chosen by its result."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> tuple[float, float] | None:
        """Smallest and largest seed, None with one seed alone."""
        values = self.values(metric)
        return (min(values), max(values)) if len(values) > 1 else None

    def deviation(self, metric: str) -> float | None:
        """Standard deviation over seeds (n − 1), None with one seed alone."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else None

    def layers(self, quantity: str) -> list[float]:
        """Mean of ``{quantity}_layer1``, ``_layer2``, … for as many layers as there are."""
        found: list[float] = []
        while (value := self.mean(f"{quantity}_layer{len(found) + 1}")) is not None:
            found.append(value)
        return found


def read_plans(text: str, *, option: str = "--rows") -> list[RowPlan]:
    """Read ``[{"run": …, "published": …, "title": …}, …]``, in the order of the rows."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InputError(f"{option}: not JSON: {error}") from None
    return plans_of(entries, option)


def plans_of(entries: Any, option: str) -> list[RowPlan]:
    """Check the rows of one corpus.

    Raises
    ------
    InputError
        for what is no such list, a row of neither run nor published values, and a run named twice.
    """
    form = '{"run": …, "published": …, "title": …}'
    try:
        plans = [
            RowPlan(**{**entry, "seeds": tuple(entry.get("seeds") or ())}) for entry in entries
        ]
    except (TypeError, AttributeError) as error:
        raise InputError(f"{option}: not a list of {form}: {error}") from None
    for plan in plans:
        texts = [value for key, value in asdict(plan).items() if key != "seeds"]
        if not all(value is None or isinstance(value, str) for value in texts):
            raise InputError(f"{option}: every part of a row but seeds is text, not {texts}")
        if not (plan.run or plan.published):
            raise InputError(f"{option}: a row names neither a run nor a published row")
        if plan.why and not plan.why.startswith("not run"):
            raise InputError(f'{option}: why begins with "not run", not {plan.why!r}')
    runs = [plan.run for plan in plans if plan.run]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise InputError(f"{option}: named twice: {', '.join(twice)}")
    return plans


def read_paths(options: list[str], option: str) -> list[tuple[str, Path]]:
    """Split each ``name=path`` at its first equals sign; names may come more than once."""
    pairs = [text.partition("=") for text in options]
    for text, (name, _, path) in zip(options, pairs, strict=True):
        if not (name and path):
            raise InputError(f"{option}: must be name=path, not {text!r}")
    return [(name, Path(path)) for name, _, path in pairs]


def settings_of(plans: list[RowPlan]) -> list[dict[str, Any]]:
    """`plans` for a run record."""
    return [asdict(plan) for plan in plans]


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
            raise InputError(f"{path}: line {(frame[column] == '').idxmax() + 2} lacks {column}")
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


def check_published(plans: list[RowPlan], published: pd.DataFrame, option: str = "--rows") -> None:
    """Refuse rows that stand beside a published row that the table does not have."""
    known = list(published["row"])
    if unknown := [p.published for p in plans if p.published and p.published not in known]:
        raise InputError(
            f"{option}: the table has no published row {unknown[0]}; it has {', '.join(known)}"
        )


def read_measurements(path: Path, corpus: str, plans: list[RowPlan]) -> dict[str, Measured]:
    """Read ``lm/{corpus}/scores.csv``: the scores of every run that has any, by its name.

    Raises
    ------
    InputError
        if the file holds another system, corpus or run, one metric of one seed twice, a value
        without a seed, two kinds of model in one run, or perplexities over different numbers of
        tokens.
    """
    frame = read_scores(path)
    if other := sorted(set(frame["system"]) - {"lm"}):
        raise InputError(f"{path}: holds scores of {', '.join(other)}, not of lm alone")
    if other := sorted(set(frame["subject_or_language"]) - {corpus}):
        raise InputError(f"{path}: holds scores on {', '.join(other)}, not on {corpus} alone")
    known = {plan.run for plan in plans}
    if unknown := sorted(set(frame["experiment"]) - known):
        raise InputError(f"{path}: holds {', '.join(unknown)}, which --rows does not name")
    if frame["seed"].isna().any():
        raise InputError(f"{path}: line {frame['seed'].isna().idxmax() + 2} has no seed")
    if len(twice := frame[frame.duplicated(["experiment", "seed", "metric"])]):
        run, seed, metric = twice.iloc[0][["experiment", "seed", "metric"]]
        raise InputError(f"{path}: more than one {metric} of {run}, seed {seed}")
    return {
        str(run): _measured(path, str(run), rows)
        for run, rows in frame.groupby("experiment", sort=False)
    }


def _measured(path: Path, run: str, rows: pd.DataFrame) -> Measured:
    if len(models := sorted(set(rows["model"]))) > 1:
        raise InputError(f"{path}: {run} is {' and '.join(models)}; one run is one kind of model")
    seeds: dict[int, dict[str, float]] = {}
    failed = []
    for seed, its in rows.groupby("seed"):
        metrics = dict(zip(its["metric"], its["value"].astype(float), strict=True))
        if math.isfinite(metrics.get("test_perplexity", math.nan)):
            seeds[int(seed)] = metrics
        else:
            failed.append(int(seed))
    tested = rows[(rows["metric"] == "test_perplexity") & rows["n"].notna()]
    counts = sorted(set(tested["n"].astype(int)))
    if len(counts) > 1:
        raise InputError(
            f"{path}: test perplexities of {run} are over {' and '.join(map(str, counts))} tokens"
        )
    records = rows[rows["seed"].isin(list(seeds))].sort_values("seed", kind="stable")["run"]
    return Measured(
        run,
        models[0],
        seeds,
        failed,
        counts[0] if counts else None,
        list(dict.fromkeys(records)),
    )


def comparable(measured: Measured, table: str) -> bool:
    """Whether the perplexity is over the very test tokens that the paper's table is about."""
    return measured.predictions == PREDICTIONS.get(table)
