"""Table 1 of the capacity paper: every model's metrics, measured beside published.

One row a model, in its series: accuracy, mean α and mean α̂ (measured, published, difference),
α̂ as the sum of Eq. 3 and with the 1/N of Eq. 2, and the controls that need no power law.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from hearsay.paper.capacity import (
    PUBLISHED,
    accuracies,
    conventions_of,
    read_models,
    read_published,
    read_summary,
)
from hearsay.paper.claims import Finding
from hearsay.paper.command import run_command
from hearsay.paper.tables import Column, Row, Table, is_missing, write_table
from hearsay.provenance import Run

NOT_RUN = "not run: not in this configuration"

COLUMNS = [
    Column("model", "Model"),
    Column("series", "Series", shown=False),
    Column("accuracy", "Accuracy, %", "number", decimals=2, source="accuracy_source"),
    Column("accuracy_source", "Source of the accuracy", shown=False),
    Column("alpha_published", "published", "number", "α, mean", 4, source="published_source"),
    Column("alpha", "measured", "number", "α, mean", 4),
    Column("alpha_difference", "difference", "difference", "α, mean", 4),
    Column("alpha_hat_published", "published", "number", "α̂, mean", 4, source="published_source"),
    Column("alpha_hat", "measured", "number", "α̂, mean", 4),
    Column("alpha_hat_in_their_scale", "in their scale", "number", "α̂, mean", 4),
    Column("alpha_hat_difference", "difference", "difference", "α̂, mean", 4),
    Column("published_source", "Source of the published values", shown=False),
    Column("alpha_hat_sum", "sum, Eq. 3", "number", "α̂, variants", 2),
    Column("alpha_hat_normalised", "mean, 1/N", "number", "α̂, variants", 3),
    Column("log_spectral_norm", "log λmax", "number", "Controls", 3),
    Column("log_frobenius_norm", "log ‖W‖²", "number", "Controls", 3),
    Column("depth", "depth", "count", "Controls"),
    Column("fitted", "fitted", "count", "Matrices"),
    Column("matrices", "in all", "count", "Matrices"),
    Column("small_tail", "small tail", "count", "Matrices"),
    Column("convention", "Convention", shown=False),
    Column("run", "Run", "run"),
]
RESCALING = "WeightWatcher 0.2.7"  # the tool whose α̂ is on another scale
MEASURED = [
    "alpha",
    "alpha_hat",
    "alpha_hat_sum",
    "alpha_hat_normalised",
    "alpha_hat_unnormalised",
    "alpha_hat_rescaled",
    "log_spectral_norm",
    "log_frobenius_norm",
    "depth",
    "matrices",
    "run",
    "convention",
]


def table1(summary: pd.DataFrame, published: pd.DataFrame) -> Table:
    """The table of `summary` and `published` (see `hearsay.paper.capacity`)."""
    known = accuracies(summary, published)
    rows = []
    for series in dict.fromkeys(summary["series"]):
        for model, scores in summary[summary["series"] == series].iterrows():
            accuracy = known.loc[model]
            cells = {
                "model": model,
                "series": series,
                "accuracy": accuracy["accuracy"],
                "accuracy_source": accuracy["source"],
                **{metric: scores.get(metric) for metric in MEASURED},
                "small_tail": scores.get("status_small_tail", 0),
                "fitted": scores.get("status_ok", 0) + scores.get("status_small_tail", 0),
                **_published_cells(published, model),
            }
            unnormalised = cells.pop("alpha_hat_unnormalised", None)
            rescaled = cells.pop("alpha_hat_rescaled", None)
            if not is_missing(cells["alpha_hat_published"]):
                # The difference of α̂ means something in one scale only: that of their tool.
                theirs = RESCALING in cells["published_source"]
                cells["alpha_hat_in_their_scale"] = rescaled if theirs else unnormalised
            for metric, ours in (("alpha", "alpha"), ("alpha_hat", "alpha_hat_in_their_scale")):
                published_value = cells[f"{metric}_published"]
                if not (is_missing(cells.get(ours)) or is_missing(published_value)):
                    cells[f"{metric}_difference"] = cells[ours] - published_value
            rows.append(Row(_python_numbers(cells), series))
    for series in dict.fromkeys(published["series"]):
        for model, values in published[published["series"] == series].iterrows():
            if model not in summary.index:
                cells = {
                    "model": model,
                    "series": series,
                    "accuracy": values["accuracy"],
                    "accuracy_source": values["accuracy_source"],
                    **_published_cells(published, model),
                }
                rows.append(Row(_python_numbers(cells), series, NOT_RUN))
    return Table(COLUMNS, rows, _notes(summary))


def _published_cells(published: pd.DataFrame, model: str) -> dict[str, Any]:
    if model not in published.index:
        return {"alpha_published": None, "alpha_hat_published": None}
    values = published.loc[model]
    return {
        "alpha_published": values["alpha"],
        "alpha_hat_published": values["alpha_hat"],
        "published_source": values["source"],
    }


def _python_numbers(cells: dict[str, Any]) -> dict[str, Any]:
    """Counts as int, other numbers as float, NaN as None."""
    counts = {column.key for column in COLUMNS if column.kind == "count"}
    return {
        key: None
        if is_missing(value)
        else value
        if isinstance(value, str)
        else int(value)
        if key in counts
        else float(value)
        for key, value in cells.items()
    }


def _notes(summary: pd.DataFrame) -> list[str]:
    notes = [
        "Means are over matrices; a convolution counts as one matrix per kernel position where "
        "the convention slices it. Published means are over such slices.",
        "α has no scale; α̂ has. WeightWatcher 0.2.7 multiplied λ by k²/2 for a kernel of "
        "k × k and by 1/2 for dense layers, 0.1.2 did not, nor do we. Beside each published α̂ "
        "stands ours in the scale of the tool that made it; the difference is between these two.",
        "Controls are means over the same matrices of log λmax and log ‖W‖² (base 10), and the "
        "number of weights with a fit.",
        f"{' '.join(conventions_of(summary))} Small tail: fewer than 20 eigenvalues in the fitted "
        "tail; such fits are counted among the fitted.",
    ]
    failures = []
    for model, scores in summary.iterrows():
        counts = {
            metric.removeprefix("status_").replace("_", " "): int(scores[metric])
            for metric in summary.columns
            if metric.startswith("status_")
            and metric not in ("status_ok", "status_small_tail")
            and scores[metric] > 0
        }
        if counts:
            failures.append(f"{model} ({', '.join(f'{n} {why}' for why, n in counts.items())})")
    if failures:
        notes.append(f"Without a fit, and in no mean: {'; '.join(failures)}.")
    return notes


def findings(table: Table) -> list[Finding]:
    """What was compared, in sentences for the page."""
    compared = [row for row in table.rows if "alpha_difference" in row.cells]
    absent = sum(bool(row.not_run) for row in table.rows)
    measured = len(table.rows) - absent
    sentences = [f"{_models(measured)} measured."]
    if compared:
        worst = max(compared, key=lambda row: abs(row.cells["alpha_difference"]))
        sentences[0] = (
            f"{_models(measured)} measured, {len(compared)} of them with published values: mean α "
            f"differs by at most {abs(worst.cells['alpha_difference']):.2g} "
            f"({worst.cells['model']})."
        )
    if absent:
        sentences.append(
            f"{_models(absent)} with a published value or accuracy not run: not in this "
            "configuration."
        )
    return [{"subject": "Models", "text": " ".join(sentences)}]


def _models(n: int) -> str:
    return f"{n} model" if n == 1 else f"{n} models"


def main(
    summary: Annotated[Path, typer.Option(help="spectral/summary.csv")],
    models: Annotated[str, typer.Option(help='JSON: [{"model": …, "series": …}, …], in order')],
    csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
    markdown: Annotated[Path, typer.Option(help="table for a README")],
    tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
    json: Annotated[Path, typer.Option(help="table for the result page")],
    run: Annotated[Path, typer.Option(help="run record")],
    published: Annotated[Path, typer.Option(help="the authors' own values")] = PUBLISHED,
) -> None:
    """Write Table 1: every model's metrics, measured beside published."""
    audited = read_models(models)
    table = table1(read_summary(summary, audited), read_published(published))
    record = Run(
        "hearsay.paper.capacity_table1",
        settings={"models": [asdict(model) for model in audited]},
        inputs=[summary, published],
    )
    write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
    record.write(run, findings=findings(table))


if __name__ == "__main__":
    run_command(main)
