"""Rows, columns and notes of the EGRU paper's two tables, which have the same form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hearsay.paper.egru import (
    CORPORA,
    MILLION,
    PREDICTIONS,
    SECOND_HAND,
    Measured,
    comparable,
)
from hearsay.paper.plans import RowPlan
from hearsay.paper.runs import NOT_RUN
from hearsay.paper.tables import Column, Row, Table, is_missing

PAPER_ROWS = "Models of the paper"
OWN_ROWS = "Models of our own"
NO_PERPLEXITY = "not run: no seed ended with a test perplexity"
PERPLEXITIES = {"validation": "Validation perplexity", "test": "Test perplexity"}
SPARSITIES = {
    "activity_sparsity": "Activity sparsity, %",
    "backward_sparsity": "Backward sparsity, %",
}
OPERATIONS = {  # by metric; those of the CSV alone are a dense model's of the same sizes
    "effective_macs": "with decoder",
    "effective_macs_rnn": "without decoder",
    "effective_macs_lookup": "with decoder, lookup table",
    "dense_macs": "dense, with decoder",
    "dense_macs_rnn": "dense, without decoder",
}
COUNTS = {"hidden": "hidden_size", "embedding": "embedding_size", "epochs": "epochs"}


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the table with what is known of it: scores, published values, or both."""

    plan: RowPlan
    measured: Measured | None
    published: pd.Series | None


def entries_of(
    plans: list[RowPlan], measured: Mapping[str, Measured], published: pd.DataFrame
) -> list[Entry]:
    """The published rows in the paper's order, each with its runs; then the runs of our own.

    `published` holds the rows of this table alone. A run in which every seed failed has no scores.
    """
    entries = []
    for _, row in published.iterrows():
        beside = [plan for plan in plans if plan.published == row["row"]]
        for plan in beside or [RowPlan(published=row["row"])]:
            entries.append(Entry(plan, _scores(plan, measured), row))
    own = [plan for plan in plans if plan.published is None]
    return entries + [Entry(plan, _scores(plan, measured), None) for plan in own]


def _scores(plan: RowPlan, measured: Mapping[str, Measured]) -> Measured | None:
    found = measured.get(plan.run or "")
    return found if found is not None and found.seeds else None


def build_table(
    number: str,
    plans: list[RowPlan],
    measured: Mapping[str, Measured],
    published: pd.DataFrame,
    why: str = "",
) -> Table:
    """The table: `published` is the whole file, `why` the reason of rows that have no scores."""
    entries = entries_of(plans, measured, published[published["table"] == number])
    rows = []
    for entry in entries:
        reason = ""
        if entry.measured is None:
            failed = (entry.plan.run or "") in measured
            reason = entry.plan.why or (NO_PERPLEXITY if failed else why or NOT_RUN)
        group = OWN_ROWS if entry.published is None else PAPER_ROWS
        rows.append(Row(_cells(entry, number), group, reason))
    columns = []
    for column in table_columns(_most_layers(entries)):
        # What nothing fills is kept for the CSV only; but the run's column says why not.
        empty = column.kind != "run" and all(is_missing(row.cells.get(column.key)) for row in rows)
        columns.append(replace(column, shown=False) if empty else column)
    return Table(columns, rows, notes_of(number, plans, measured, published))


def table_columns(layers: int = 0) -> list[Column]:
    """All columns; those that are not for the page stay in the CSV. `layers`: how many have one."""
    size, million, macs = "Size", "Parameters, millions", "Effective MAC, millions"
    columns = [
        Column("row", "Model"),
        Column("run_name", "Our run"),
        Column("model", "model", shown=False),
        Column("published_source", "Source of the published values", shown=False),
        Column("hidden_published", "hidden, published", "count", size),
        Column("hidden", "hidden", "count", size),
        Column("embedding", "embedding", "count", size),
        Column("parameters_published", "published", "text", million, source="published_source"),
        Column("parameters_millions", "measured", "number", million, 3),
        Column("seeds", "Seeds", "count"),
    ]
    for key, head in PERPLEXITIES.items():
        columns += [
            Column(f"{key}_published", "published", "number", head, 1, source="published_source"),
            Column(key, "measured", "number", head, 2),
            Column(f"{key}_spread", "smallest–largest", "text", head),
            Column(f"{key}_difference", "difference", "difference", head, 2),
        ]
    for key, head in SPARSITIES.items():
        columns += [
            Column(f"{key}_published", "published", "number", head, 1, source="published_source"),
            Column(key, "measured", "number", head, 1),
        ]
        if key == "activity_sparsity":
            columns.append(Column("active_layers", "active by layer", "text", head))
        else:
            columns.append(Column("backward_layers", "by layer", "text", head))
    columns.append(
        Column("effective_mac_published", "published", "text", macs, source="published_source")
    )
    columns += [
        Column(f"{metric}_millions", label, "number", macs, 3, shown="dense" not in metric)
        for metric, label in OPERATIONS.items()
    ]
    hidden = [f"{key}_{what}" for key in PERPLEXITIES for what in ("low", "high", "deviation")]
    hidden += [f"{key}_layer{k + 1}" for key in SPARSITIES for k in range(layers)]
    return [
        *columns,
        Column("tokens_per_second", "Tokens/s, training", "number", decimals=0),
        Column("epochs", "Epochs", "count"),
        Column("predictions", "test tokens predicted", "count", shown=False),
        *(Column(key, key, "number", shown=False) for key in hidden),
        Column("records", "runs of all seeds", shown=False),
        Column("run", "Run", "run"),
    ]


def _most_layers(entries: list[Entry]) -> int:
    return max(
        (len(e.measured.layers("activity_sparsity")) for e in entries if e.measured), default=0
    )


def _cells(entry: Entry, number: str) -> dict[str, Any]:
    cells: dict[str, Any] = {"row": entry.plan.name, "run_name": entry.plan.run}
    if entry.published is not None:
        cells |= _published_cells(entry.published)
    if entry.measured is not None:
        cells |= _measured_cells(entry.measured)
        for key in PERPLEXITIES:
            ours, theirs = cells.get(key), cells.get(f"{key}_published")
            alike = comparable(entry.measured, number)
            if alike and not (is_missing(ours) or is_missing(theirs)):
                cells[f"{key}_difference"] = cells[key] - cells[f"{key}_published"]
    return cells


def _published_cells(row: pd.Series) -> dict[str, Any]:
    hidden = None if math.isnan(row["hidden"]) else int(row["hidden"])
    return {
        "row": row["label"],
        "hidden_published": hidden,
        "parameters_published": row["parameters"],
        "effective_mac_published": row["effective_mac"],
        **{f"{key}_published": row[key] for key in [*PERPLEXITIES, *SPARSITIES]},
        "published_source": row["source"],
    }


def _measured_cells(measured: Measured) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "model": measured.model,
        "seeds": len(measured.seeds),
        "parameters_millions": _scaled(measured.mean("parameters"), 1 / MILLION),
        "tokens_per_second": measured.mean("training_tokens_per_second"),
        "predictions": measured.predictions,
        "records": " ".join(measured.records),
        "run": measured.records[0],
    }
    for key in PERPLEXITIES:
        metric = f"{key}_perplexity"
        cells |= {key: measured.mean(metric), f"{key}_deviation": measured.deviation(metric)}
        if (spread := measured.spread(metric)) is not None:
            low, high = spread
            cells |= {f"{key}_low": low, f"{key}_high": high}
            cells[f"{key}_spread"] = f"{low:.2f}–{high:.2f}"
    for key in SPARSITIES:
        cells[key] = _scaled(measured.mean(key), 100)
        layers = measured.layers(key)
        cells |= {f"{key}_layer{k}": 100 * value for k, value in enumerate(layers, start=1)}
        if key == "activity_sparsity":
            cells["active_layers"] = " / ".join(f"{100 * (1 - value):.1f}" for value in layers)
        else:
            cells["backward_layers"] = " / ".join(f"{100 * value:.1f}" for value in layers)
    cells |= {
        f"{metric}_millions": _scaled(measured.mean(metric), 1 / MILLION) for metric in OPERATIONS
    }
    counts = {key: measured.mean(metric) for key, metric in COUNTS.items()}
    return cells | {key: value and round(value) for key, value in counts.items()}


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def notes_of(
    number: str,
    plans: list[RowPlan],
    measured: Mapping[str, Measured],
    published: pd.DataFrame,
) -> list[str]:
    """What a reader must know to compare the numbers; what is missing comes last."""
    notes = [
        "Measured: mean over seeds, none chosen by its result; beside it the smallest and the "
        "largest seed. Difference: measured minus published. Perplexity is over every token of "
        "the text but the first, whatever the length of the chunks.",
        "Active by layer: share of units, in percent, that emit an event, layer 1 first. Backward "
        "sparsity: share of units and steps with a surrogate gradient of exactly zero, over the "
        "whole epoch of training whose weights were kept.",
        "Effective MAC: multiply-accumulates for one token of batch 1, each layer by its own "
        "activity; the input of layer 1 is dense, and with a lookup table costs nothing. The "
        "published operations do not follow from the published mean sparsity. Those of Table 1 "
        "fit with the decoder counted; those of EGRU in Table 2 fit only without it, or with an "
        "all but silent last layer, while AWD-LSTM's there hold it. Both are given, and no "
        "difference is taken.",
        "The paper's GRU drops whole rows of its recurrent weights where its EGRU drops single "
        "weights: not like for like. Here all models drop single weights.",
    ]
    quoted = published[published["table"] == SECOND_HAND.format(number)]
    if len(quoted):
        values = ", ".join(f"{row.label} {row.test:.1f}" for row in quoted.itertuples())
        source = quoted["source"].iloc[0]
        notes.append(f"Lower test perplexities, in no row above: {values} ({source}).")
    return notes + _cautions(number, plans, measured)


def _cautions(number: str, plans: list[RowPlan], measured: Mapping[str, Measured]) -> list[str]:
    notes = []
    shown = [measured[plan.run] for plan in plans if plan.run and plan.run in measured]
    apart = (one.predictions for one in shown if not comparable(one, number))
    foreign = sorted({count for count in apart if count is not None})
    if foreign and number in PREDICTIONS:
        notes.append(
            f"The measured perplexities are over {' and '.join(map(str, foreign))} tokens, not the "
            f"{PREDICTIONS[number]} of {CORPORA[number]}: another text, so they are not compared "
            "with the published ones."
        )
    elif any(one.predictions is None for one in shown):
        notes.append(
            "The scores do not say over how many tokens they are: nothing is compared with the "
            "published perplexities."
        )
    if any(len(one.records) > 1 for one in shown):
        notes.append("Run: that of the first seed; the CSV names those of all.")
    for plan in plans:
        one = measured.get(plan.run or "")
        if one is None:
            continue
        if one.failed:
            notes.append(f"{plan.name}: no test perplexity of seed {_listed(one.failed)}.")
        absent = [seed for seed in plan.seeds if seed not in one.seeds and seed not in one.failed]
        if absent:
            notes.append(f"{plan.name}: no scores of seed {_listed(absent)}.")
    return notes


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
