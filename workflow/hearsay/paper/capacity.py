"""What the tables and figures of the capacity paper read: audits, their summary, published values.

Paper: Martin and Mahoney, "Universality and Capacity Metrics in Deep Neural Networks".
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.paper.plans import refuse_twice
from hearsay.paper.published import CAPACITY, read_lines
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "capacity.csv"
AUDIT_TEXT = ["name", "aliases", "kind", "shape", "slice", "status", "reason"]
AUDIT_NUMBERS = ["N", "M", "alpha", "xmin", "D", "sigma", "n_tail", "lambda_max"]
AUDIT_NUMBERS += ["log_spectral_norm"]
FITTED = ("ok", "small_tail")  # statuses with an exponent
NORMALISING = "paper"  # the convention whose eigenvalues are of X = W^T W / N
OWN_ACCURACY = "with the model in this configuration: measured here or given there"


@dataclass(frozen=True)
class AuditedModel:
    """A model of this configuration and the architecture series it belongs to."""

    model: str
    series: str


def read_models(text: str) -> list[AuditedModel]:
    """Read ``[{"model": …, "series": …}, …]``, in the order in which models are shown."""
    try:
        models = [AuditedModel(**entry) for entry in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise InputError(
            f'--models: not a JSON list of {{"model": …, "series": …}}: {error}'
        ) from None
    refuse_twice([model.model for model in models], "--models")
    return models


def read_published(path: Path | str) -> pd.DataFrame:
    """Read the authors' published values: one row a model, indexed by it; numbers may be NaN.

    Errors as `read_lines`.
    """
    rows = [row for _, row in read_lines(path, CAPACITY)]
    frame = pd.DataFrame(rows, columns=list(CAPACITY.columns))
    return _numbers(frame, list(CAPACITY.numbers)).set_index("model")


def read_summary(path: Path | str, models: list[AuditedModel]) -> pd.DataFrame:
    """Read ``spectral/summary.csv`` as one row a model, in the order of `models`.

    Returns
    -------
    Indexed by model; a column for every metric, and ``series``, ``run`` (id of the record) and
    ``convention``.

    Raises
    ------
    InputError
        if a model has no rows, is in no series, or has two values for one metric.
    """
    scores = read_scores(path)
    known = [model.model for model in models]
    if unknown := sorted(set(scores["model"]) - set(known)):
        raise InputError(f"{path}: holds {', '.join(unknown)}, which --models does not name")
    if absent := [name for name in known if name not in set(scores["model"])]:
        raise InputError(f"{path}: no scores of {', '.join(absent)}; audit them first")
    twice = scores[scores.duplicated(["model", "metric"])]
    if len(twice):
        raise InputError(
            f"{path}: more than one value of {twice['metric'].iloc[0]} for "
            f"{twice['model'].iloc[0]}; a summary holds one convention"
        )
    wide = scores.pivot(index="model", columns="metric", values="value").reindex(known)
    wide.columns.name = None
    # Accuracy may come with another record than the audit: a row points to its audit's.
    audits = scores[scores["metric"] != "accuracy"].groupby("model", sort=False)
    wide["run"] = audits["run"].first()
    wide["convention"] = audits["experiment"].first()
    wide["series"] = [model.series for model in models]
    return wide


def series_of(summary: pd.DataFrame) -> list[str]:
    """The series of this configuration, in order; a model in none is compared with no other."""
    return [series for series in dict.fromkeys(summary["series"]) if series]


def conventions_of(summary: pd.DataFrame) -> list[str]:
    """Sentences on how the tensors of a summary became matrices, and in what scale."""
    names = list(dict.fromkeys(summary["convention"]))
    sentences = [f"Convention: {', '.join(names)}."]
    if NORMALISING in names:
        sentences.append(
            f"In the convention {NORMALISING}, our α̂ is of X = WᵀW/N (Eq. 2), and so are the "
            "controls; beside published values it is of WᵀW."
        )
    return sentences


def metric_of(summary: pd.DataFrame, metric: str) -> pd.Series:
    """One metric of every model; NaN where a model has none."""
    return summary[metric] if metric in summary else pd.Series(math.nan, index=summary.index)


def accuracies(summary: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in percent and where it is from, indexed as `summary`.

    The summary's own value goes before the published one; NaN and empty where neither exists.
    """
    own = metric_of(summary, "accuracy")
    known = published.reindex(summary.index)
    source = known["accuracy_source"].fillna("").where(known["accuracy"].notna(), "")
    return pd.DataFrame(
        {
            "accuracy": own.fillna(known["accuracy"]),
            "source": source.where(own.isna(), OWN_ACCURACY),
        }
    )


def read_audit(path: Path | str) -> pd.DataFrame:
    """Read ``spectral/{model}.csv``: text columns as text, the others as float64."""
    frame = _read_csv(path, AUDIT_TEXT + AUDIT_NUMBERS, AUDIT_NUMBERS)
    fitted = frame["status"].isin(FITTED)
    bad = frame[fitted & ~np.isfinite(frame["alpha"])]
    if len(bad):
        raise InputError(f"{path}: {bad['name'].iloc[0]} has status ok and no alpha")
    return frame


def _read_csv(path: Path | str, columns: list[str], numbers: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if missing := [column for column in columns if column not in frame]:
            raise InputError(f"{path}: lacks the columns {', '.join(missing)}")
        return _numbers(frame, numbers)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None


def _numbers(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    for column in columns:
        frame[column] = pd.to_numeric(frame[column].replace("", None)).astype(float)
    return frame
