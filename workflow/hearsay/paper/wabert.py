"""What the tables of the WaBERT paper read: score files, published values, the rows.

Paper: Yao, Song, Xu, Yang, Chen and Deng, "WaBERT: A Low-resource End-to-end Model for Spoken
Language Understanding and Speech-to-BERT Alignment", 2022.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.paper.published import WABERT, read_lines
from hearsay.paper.runs import SeedScores, by_seed, records_of
from hearsay.paper.tables import Column, Row, is_missing
from hearsay.paper.wabert_plans import WabertPlan
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "wabert.csv"
SURE = 0.05  # probability below which a difference is told as one


@dataclass(frozen=True)
class Published:
    """One row of the paper.

    Attributes
    ----------
    values : text as printed, by column.
    """

    row: str
    section: str
    values: dict[str, str]
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


def read_published(path: Path | str, number: str) -> dict[str, Published]:
    """Rows of table `number` by name, in the paper's order; errors as `read_lines`."""
    found: dict[str, Published] = {}
    for _, row in read_lines(path, WABERT):
        if row["table"] == number:
            new = Published(row["row"], row["section"], {}, row["source"])
            found.setdefault(row["row"], new).values[row["column"]] = row["value"]
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
