"""What the tables of the WaBERT paper read: score files, published values, the rows.

Paper: Yao, Song, Xu, Yang, Chen and Deng, "WaBERT: A Low-resource End-to-end Model for Spoken
Language Understanding and Speech-to-BERT Alignment", 2022.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.paper.runs import RowPlan, SeedScores, by_seed, from_json, plans_of, records_of
from hearsay.paper.tables import Column, Row, is_missing
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "wabert.csv"
SURE = 0.05  # probability below which a difference is told as one
PUBLISHED_COLUMNS = ["table", "row", "section", "column", "value", "source"]
FORM = '{"run": …, "published": …, "title": …, "why": …, "seeds": […], "note": …}'


@dataclass(frozen=True)
class WabertPlan(RowPlan):
    """One row.

    Attributes
    ----------
    note : what stands in for what.
    comparable : parts, with spaces between, on which it is measured as the paper was.
    """

    note: str = ""
    comparable: str = ""

    def compared(self, part: str) -> bool:
        """Whether its numbers on `part` and the paper's are of the same."""
        return part in self.comparable.split()


@dataclass(frozen=True)
class Published:
    """One row of the paper.

    Attributes
    ----------
    values : text as printed, by column.
    """

    row: str
    section: str
    values: Mapping[str, str]
    source: str

    def number(self, column: str) -> float | None:
        """A value as a number, None where the paper has none."""
        return float(self.values[column]) if column in self.values else None


@dataclass(frozen=True)
class Measured(SeedScores):
    """Scores of one row on one part, by seed.

    Attributes
    ----------
    utterances : of the part; None where the file does not say.
    """

    utterances: int | None = None


def read_plans(
    text: str, published: Mapping[str, Published], option: str = "--rows"
) -> list[WabertPlan]:
    """Read ``[{"run": …, "published": …}, …]``, in the order of the rows.

    Raises
    ------
    InputError
        for what is no such list, a run that is named twice, and a published row that is not the
        table's.
    """
    plans = plans_of(from_json(text, option), option, WabertPlan, FORM)
    runs = [plan.run for plan in plans if plan.run]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise InputError(f"{option}: named twice: {', '.join(twice)}")
    if unknown := [p.published for p in plans if p.published and p.published not in published]:
        raise InputError(
            f"{option}: the table has no published row {unknown[0]!r}; it has "
            f"{'; '.join(published)}"
        )
    return plans


def read_published(path: Path | str, number: str) -> dict[str, Published]:
    """Rows of table `number` by name, in the paper's order.

    Raises
    ------
    InputError
        for a file of another form, and a value that stands there twice.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    if list(frame.columns) != PUBLISHED_COLUMNS:
        raise InputError(f"{path}: its columns must be {', '.join(PUBLISHED_COLUMNS)}")
    if len(twice := frame[frame.duplicated(["table", "row", "column"])]):
        raise InputError(f"{path}: more than one value of {' '.join(twice.iloc[0][:4])}")
    found = {}
    for row, its in frame[frame["table"] == number].groupby("row", sort=False):
        values = dict(zip(its["column"], its["value"], strict=True))
        first = its.iloc[0]
        found[str(row)] = Published(str(row), first["section"], values, first["source"])
    return found


def read_measured(path: Path, part: str) -> dict[str, Measured]:
    """Scores of every row on `part`, by its name; metrics without a part are added to each.

    Raises
    ------
    InputError
        for a score file of another system, without the part, or with a value twice.
    """
    frame = read_scores(path)
    if other := sorted(set(frame["system"]) - {"slu"}):
        raise InputError(f"{path}: holds scores of {', '.join(other)}, not of slu alone")
    parts = sorted(set(frame["subject_or_language"]) - {""})
    if part not in parts:
        raise InputError(f"{path}: holds no scores on {part}; there are: {', '.join(parts)}")
    frame = frame[frame["subject_or_language"].isin([part, ""])]
    if len(twice := frame[frame.duplicated(["experiment", "seed", "metric"])]):
        run, seed, metric = twice.iloc[0][["experiment", "seed", "metric"]]
        raise InputError(f"{path}: more than one {metric} of {run}, seed {seed}")
    found = {}
    for run, rows in frame.groupby("experiment", sort=False):
        counts = rows["n"].dropna()
        if not (rows["subject_or_language"] == part).any():
            continue
        found[str(run)] = Measured(
            str(run),
            rows["model"].iloc[0],
            by_seed(rows),
            records=records_of(rows, sorted(set(rows["seed"]))),
            utterances=int(counts.iloc[0]) if len(counts) else None,
        )
    return found


def spread_text(measured: Measured, metric: str, scale: float = 1.0, decimals: int = 1) -> str:
    """Smallest to largest seed; empty with one seed."""
    limits = measured.spread(metric)
    return between(limits, scale, decimals) if limits else ""


def between(limits: tuple[float, float], scale: float = 1.0, decimals: int = 1) -> str:
    """Two limits as text."""
    return "–".join(f"{scale * each:.{decimals}f}" for each in limits)


def filled(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """`columns`, where what no row fills is kept for the CSV only; the run's says why not."""
    empty = {c.key for c in columns if all(is_missing(row.cells.get(c.key)) for row in rows)}
    return [replace(c, shown=False) if c.kind != "run" and c.key in empty else c for c in columns]


def missing_seeds(plans: Sequence[WabertPlan], measured: Mapping[str, Measured]) -> list[str]:
    """Notes on seeds that were asked for and have no scores."""
    notes = []
    for plan in plans:
        found = measured.get(plan.run or "")
        if found is None:
            continue
        if absent := [seed for seed in plan.seeds if seed not in found.seeds]:
            notes.append(f"{plan.name}: no scores of seed {', '.join(map(str, absent))}.")
    return notes


def run_cells(plan: WabertPlan, measured: Measured | None) -> dict[str, Any]:
    """Cells that every table has of a run."""
    cells: dict[str, Any] = {
        "title": (plan.title or plan.run) if plan.run else "",
        "run_name": plan.run,
        "published_row": plan.published,
        "note": plan.note,
    }
    if measured is not None:
        cells |= {
            "model": measured.model,
            "seeds": len(measured.seeds),
            "utterances": measured.utterances,
            "records": " ".join(measured.records),
            "run": measured.records[0],
        }
    return cells
