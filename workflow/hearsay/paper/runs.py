"""What the tables of models trained here share: planned rows, scores by seed, named paths."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores

NOT_RUN = "not run: not in this configuration"


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
class SeedScores:
    """Scores of one run, by seed.

    Attributes
    ----------
    model : kind of model, as the score file names it.
    seeds : metrics by name, for each seed that ended with a result.
    failed : seeds without one.
    records : ids of the seeds' run records.
    """

    run: str
    model: str
    seeds: dict[int, dict[str, float]]
    failed: list[int] = field(default_factory=list)
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


def from_json(text: str, option: str) -> Any:
    """What the JSON text of `option` holds."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{option}: not JSON: {error}") from None


Plan = TypeVar("Plan", bound=RowPlan)


def plans_of(
    entries: Any,
    option: str,
    kind: type[Plan],
    form: str = '{"run": …, "published": …, "title": …}',
) -> list[Plan]:
    """Check the rows of a table: a list of the fields of `kind`, in the order of the rows.

    Raises
    ------
    InputError
        for what is no such list, a value of another type than the field's, a row of neither run nor
        published values, and a reason that does not begin with ``not run``.
    """
    try:
        plans = [kind(**{**entry, "seeds": tuple(entry.get("seeds") or ())}) for entry in entries]
    except (TypeError, AttributeError) as error:
        raise InputError(f"{option}: not a list of {form}: {error}") from None
    for plan in plans:
        values = asdict(plan)
        if not all(type(seed) is int for seed in values.pop("seeds")):
            raise InputError(f"{option}: seeds are whole numbers, not {list(plan.seeds)}")
        for key, value in values.items():
            if isinstance(getattr(kind, key, None), bool):
                if not isinstance(value, bool):
                    raise InputError(f"{option}: {key} is true or false, not {value!r}")
            elif value is not None and not isinstance(value, str):
                raise InputError(f"{option}: {key} of a row is text, not {value!r}")
        if not (plan.run or plan.published):
            raise InputError(f"{option}: a row names neither a run nor a published row")
        if plan.why and not plan.why.startswith("not run"):
            raise InputError(f'{option}: why begins with "not run", not {plan.why!r}')
    return plans


def settings_of(plans: Sequence[RowPlan]) -> list[dict[str, Any]]:
    """`plans` for a run record."""
    return [asdict(plan) for plan in plans]


def check_published(plans: Sequence[RowPlan], known: list[str], option: str = "--rows") -> None:
    """Refuse rows that stand beside a published row that is not among `known`, the table's."""
    if unknown := [p.published for p in plans if p.published and p.published not in known]:
        raise InputError(
            f"{option}: the table has no published row {unknown[0]}; it has {', '.join(known)}"
        )


def read_paths(options: list[str], option: str) -> list[tuple[str, Path]]:
    """Split each ``name=path`` at its first equals sign; names may come more than once."""
    pairs = [text.partition("=") for text in options]
    for text, (name, _, path) in zip(options, pairs, strict=True):
        if not (name and path):
            raise InputError(f"{option}: must be name=path, not {text!r}")
    return [(name, Path(path)) for name, _, path in pairs]


def read_seed_scores(path: Path, system: str, subject: str) -> pd.DataFrame:
    """Read a score file of `system` on `subject` (a corpus, a language) alone.

    Raises
    ------
    InputError
        if the file holds another system or subject, a value without a seed, one metric of one seed
        twice, or two kinds of model in one run.
    """
    frame = read_scores(path)
    if other := sorted(set(frame["system"]) - {system}):
        raise InputError(f"{path}: holds scores of {', '.join(other)}, not of {system} alone")
    if other := sorted(set(frame["subject_or_language"]) - {subject}):
        raise InputError(f"{path}: holds scores on {', '.join(other)}, not on {subject} alone")
    if frame["seed"].isna().any():
        raise InputError(f"{path}: line {frame['seed'].isna().argmax() + 2} has no seed")
    if len(twice := frame[frame.duplicated(["experiment", "seed", "metric"])]):
        run, seed, metric = twice.iloc[0][["experiment", "seed", "metric"]]
        raise InputError(f"{path}: more than one {metric} of {run}, seed {seed}")
    for _, rows in frame.groupby("experiment", sort=False):
        if len(models := sorted(set(rows["model"]))) > 1:
            raise InputError(
                f"{path}: {rows['experiment'].iloc[0]} is {' and '.join(models)}; one run is one "
                "kind of model"
            )
    return frame


def by_seed(rows: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Metrics by name for each seed of the rows of one run."""
    return {
        int(its["seed"].iloc[0]): dict(zip(its["metric"], its["value"].astype(float), strict=True))
        for _, its in rows.groupby("seed")
    }


def records_of(rows: pd.DataFrame, seeds: Sequence[int]) -> list[str]:
    """Ids of the run records of `seeds`, each once, the first seed's first."""
    kept = rows[rows["seed"].isin(list(seeds))].sort_values("seed", kind="stable")
    return list(dict.fromkeys(kept["run"]))
