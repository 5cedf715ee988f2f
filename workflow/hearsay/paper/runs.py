"""What the tables of models trained here share: scores by seed, named paths."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores

NOT_RUN = "not run: not in this configuration"


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
