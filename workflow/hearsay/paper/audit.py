"""The cross-system audit: what every model's weights measure, beside its own test score.

None of the five papers publishes these values: Martin and Mahoney relate α̂ to the accuracy of image
networks. Here the same metrics, and controls that need no power law, stand beside the scores of the
models that this workflow trains. Models are compared within a task only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.paper.plans import from_json

CLAIMS = {"alpha": "α, mean", "alpha_hat": "α̂, mean", "alpha_hat_sum": "α̂, sum (Eq. 3)"}
CONTROLS = {
    "log_spectral_norm": "log λmax",
    "log_frobenius_norm": "log ‖W‖²",
    "stable_rank": "stable rank",
    "depth": "depth",
}
METRICS = CLAIMS | CONTROLS
SYSTEMS = {"lm": "EGRU", "asr": "QuartzNet", "slu": "WaBERT", "brain": "BP-GPT"}
DIRECTIONS = {"lower": -1.0, "higher": 1.0}
NO_SCORE = "no test score"


@dataclass(frozen=True)
class Measure:
    """A test score.

    Attributes
    ----------
    label : what it is called, with its unit.
    metrics : its names in a score file; the first that is there counts.
    better : ``"lower"`` or ``"higher"``.
    """

    label: str
    metrics: tuple[str, ...]
    better: str

    @property
    def sign(self) -> float:
        """Times this, a score is larger where the model is better."""
        return DIRECTIONS[self.better]


@dataclass(frozen=True)
class Task:
    """Models that are compared with each other, by the same test scores.

    Attributes
    ----------
    system, name : the folder of the system, and what a reader is told.
    scores, subject, input : name of the score file, and its ``subject_or_language``; its ``model``
        where that tells inputs apart, else empty.
    models : run and seed by name of the audited model; seed None where the file has one seed only.
    """

    system: str
    name: str
    scores: str
    subject: str
    measures: tuple[Measure, ...]
    models: Mapping[str, tuple[str, int | None]]
    input: str = ""


@dataclass(frozen=True)
class Audited:
    """The audit of one file of weights.

    Attributes
    ----------
    metrics : by name; empty where no matrix was fitted, or one holds NaN or Inf.
    status : how many matrices were fitted, and what became of the others.
    fitted, matrices, small_tail : numbers of matrices.
    record, convention : id of the run record, how tensors became matrices.
    """

    metrics: Mapping[str, float]
    status: str
    fitted: int
    matrices: int
    small_tail: int
    record: str
    convention: str


@dataclass(frozen=True)
class Pair:
    """A model of a task: its audit, that of its untrained weights if there is one, its scores.

    `scores` are by label of the measure; what the file does not hold is NaN. `score_record` is the
    id of the run record behind the first that it has, empty where there is none.
    """

    model: str
    run: str
    seed: int | None
    audited: Audited
    scores: Mapping[str, float]
    untrained: Audited | None = None
    snapshots: Mapping[int, Audited] = field(default_factory=dict)
    score_record: str = ""

    def measured(self, task: Task) -> Measure:
        """The first of the task's measures that the model was scored by; the first one if none."""
        held = (m for m in task.measures if not math.isnan(self.scores[m.label]))
        return next(held, task.measures[0])

    def metric(self, name: str) -> float:
        """A metric of the trained weights; NaN where there is none."""
        return self.audited.metrics.get(name, math.nan)


def read_tasks(text: str) -> list[Task]:
    """Read the tasks as the rules hand them on: a JSON list of the fields of `Task`."""
    try:
        tasks = [
            Task(
                **{
                    **entry,
                    "measures": tuple(
                        Measure(**{**each, "metrics": tuple(each["metrics"])})
                        for each in entry["measures"]
                    ),
                    "models": {name: tuple(pair) for name, pair in entry["models"].items()},
                }
            )
            for entry in from_json(text, "--tasks")
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"--tasks: not a list of tasks with their models: {error}") from None
    for task in tasks:
        if wrong := [m.better for m in task.measures if m.better not in DIRECTIONS]:
            raise InputError(f"--tasks: {task.name}: better is lower or higher, not {wrong[0]!r}")
        if not task.measures or any(len(pair) != 2 for pair in task.models.values()):
            raise InputError(f"--tasks: {task.name}: needs measures, and models with run and seed")
    return tasks


def read_audits(paths: list[Path]) -> dict[str, Audited]:
    """Read summaries of audits (``spectral/trained/*.scores.csv``), by name of the model.

    Raises
    ------
    InputError
        for a file of another system and for a model in two files.
    """
    audits: dict[str, Audited] = {}
    for path in paths:
        frame = read_scores(path)
        if other := sorted(set(frame["system"]) - {"spectral"}):
            raise InputError(f"{path}: holds scores of {', '.join(other)}, not audits alone")
        for name, rows in frame.groupby("model", sort=False):
            if name in audits or rows["metric"].duplicated().any():
                raise InputError(f"{path}: {name} is audited more than once")
            audits[str(name)] = _audited(rows)
    return audits


def _audited(rows: pd.DataFrame) -> Audited:
    values = dict(zip(rows["metric"], rows["value"].astype(float), strict=True))
    counts = {
        metric.removeprefix("status_"): int(value)
        for metric, value in values.items()
        if metric.startswith("status_") and value > 0
    }
    fitted = counts.get("ok", 0) + counts.get("small_tail", 0)
    broken = counts.get("not_finite", 0)
    failed = [
        f"{count} {status.replace('_', ' ')}"
        for status, count in counts.items()
        if status not in ("ok", "small_tail")
    ]
    status = f"{fitted} fitted" if fitted else "no fit"
    if broken:
        status = f"no metric: {broken} with NaN or Inf"
    told = f"{status} ({', '.join(failed)})" if failed and not broken else status
    usable = fitted and not broken
    return Audited(
        {m: values[m] for m in METRICS if usable and math.isfinite(values.get(m, math.nan))},
        told,
        fitted,
        int(values.get("matrices", 0)),
        counts.get("small_tail", 0),
        str(rows["run"].iloc[0]),
        str(rows["experiment"].iloc[0]),
    )


def joined(
    task: Task, audits: Mapping[str, Audited], scores: Mapping[str, pd.DataFrame]
) -> list[Pair]:
    """The task's models, each with its audits and its own test scores.

    Raises
    ------
    InputError
        for a model without an audit, a score file that is not given, two values of one score.
    """
    if task.scores not in scores:
        raise InputError(f"--scores: none is named {task.scores}, which {task.name} needs")
    frame = scores[task.scores]
    pairs = []
    for name, (run, seed) in task.models.items():
        if name not in audits:
            raise InputError(f"--audit: no file holds {name}; audit it first")
        snapshots = {
            int(other.rpartition("/epoch-")[2]): audit
            for other, audit in audits.items()
            if other.startswith(f"{name}/epoch-")
        }
        found = {m.label: _score(frame, task, m, run, seed) for m in task.measures}
        values = {label: value for label, (value, _) in found.items()}
        record = next((run_id for _, run_id in found.values() if run_id), "")
        untrained = snapshots.get(0)
        pairs.append(Pair(name, run, seed, audits[name], values, untrained, snapshots, record))
    return pairs


def _score(
    frame: pd.DataFrame, task: Task, measure: Measure, run: str, seed: int | None
) -> tuple[float, str]:
    """A model's score and the id of its run record; NaN and empty where the file has none."""
    rows = frame[(frame["experiment"] == run) & (frame["subject_or_language"] == task.subject)]
    if seed is not None:
        rows = rows[rows["seed"] == seed]
    if task.input:
        rows = rows[rows["model"] == task.input]
    for metric in measure.metrics:
        found = rows[rows["metric"] == metric]
        if len(found) > 1:
            raise InputError(f"{task.scores}: more than one {metric} of {run}, {task.name}")
        if len(found) and math.isfinite(found["value"].iloc[0]):
            return float(found["value"].iloc[0]), str(found["run"].iloc[0])
    return math.nan, ""


def read_named_scores(named: list[tuple[str, Path]]) -> dict[str, pd.DataFrame]:
    """Score files by name."""
    return {name: read_scores(path) for name, path in named}
