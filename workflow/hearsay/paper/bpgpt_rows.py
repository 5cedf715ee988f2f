"""Rows and columns of the BP-GPT paper's tables, the same for all four.

The paper's tables are wide, one column a subject and measure; here each setting is a group of
rows, one a subject, with every measure's published value, measured value, interval and difference.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hearsay.paper.bpgpt import CONTROLS, MEASURES, NO_SYNONYMS, Measured, Measurements
from hearsay.paper.tables import Column, Row, Table, is_missing

NOT_RUN = "not run: not in this configuration"
BESIDE = {  # rows below a subject's own, by input
    "shuffled": "shuffled",
    "zero": "zero",
    "noise": "noise",
    "noise-trained": "trained on noise",
    "null": "no fMRI",
    "single": "single repeats",
}


@dataclass(frozen=True)
class Block:
    """The rows of one setting in a table.

    Attributes
    ----------
    label : heading of the group.
    setting : our setting; empty where the values are published only.
    model : the input that was decoded.
    protocol : of the measured scores.
    published : setting in the published file; empty where it has none.
    optional : left out where no subject has scores.
    controls : whether controls and single repeats stand below each subject.
    """

    label: str
    setting: str = ""
    model: str = "fmri"
    protocol: str = "bp-gpt"
    published: str = ""
    optional: bool = False
    controls: bool = False


def build_table(
    blocks: list[Block], measurements: Measurements, published: pd.DataFrame, notes: list[str]
) -> Table:
    """The table of `blocks`; `published` holds the rows of this table of the paper alone.

    Measured and published values are in percent, except length ratio and counts.
    """
    rows = [row for block in blocks for row in _block_rows(block, measurements, published)]
    columns = []
    for column in table_columns(measurements.meteor):
        # A column that nothing fills is kept for the CSV only.
        empty = all(is_missing(row.cells.get(column.key)) for row in rows)
        columns.append(replace(column, shown=False) if empty else column)
    return Table(columns, rows, [*_general_notes(measurements), *notes])


def table_columns(meteor: str = "meteor") -> list[Column]:
    """All columns; those that are not for the page stay in the CSV."""
    columns = [
        Column("row", "Subject"),
        *(Column(key, key, shown=False) for key in ("subject", "setting", "input", "protocol")),
        Column("published_source", "Source of the published values", shown=False),
    ]
    hidden: list[Column] = []
    probabilities: list[Column] = []
    for measure, name in MEASURES.items():
        key = key_of(measure)
        head = f"{name} (no synonyms)" if measure == "meteor" and meteor == NO_SYNONYMS else name
        columns += [
            Column(f"{key}_published", "published", "number", head, 2, source="published_source"),
            Column(key, "measured", "number", head, 2),
            Column(f"{key}_interval", "interval", "text", head),
            Column(f"{key}_difference", "difference", "difference", head, 2),
        ]
        probabilities.append(Column(f"{key}_p", name, "probability", "p, all controls"))
        whats = ["low", "high", "p_mismatch"]
        whats += [f"{what}_vs_{_key(control)}" for control in CONTROLS for what in ("p", "by")]
        hidden += [Column(f"{key}_{what}", what, "number", head, shown=False) for what in whats]
    return [
        *columns,
        *probabilities,
        Column("wer", "WER", "number", decimals=2),
        Column("length_ratio", "length", "number", "Outputs", 2),
        Column("distinct", "distinct", "number", "Outputs", 0),
        Column("windows", "windows", "count", "Outputs"),
        Column("wer_published", "WER, published", "number", decimals=2, shown=False),
        *(Column(f"wer_{what}", what, "number", shown=False) for what in ("low", "high", "p")),
        *hidden,
        Column("run", "Run", "run"),
    ]


def key_of(measure: str) -> str:
    """A measure's part of a column's key."""
    return measure.replace("-", "")


def _key(control: str) -> str:
    return control.replace("-", "_")


def _block_rows(block: Block, measurements: Measurements, published: pd.DataFrame) -> list[Row]:
    theirs = published[published["setting"] == block.published]
    found = {
        subject: _scored(block, subject, block.model, measurements)
        for subject in measurements.subjects
    }
    if block.optional and not any(found.values()):
        return []
    rows = []
    for subject in dict.fromkeys([*measurements.subjects, *theirs["subject"]]):
        cells = {
            "row": subject,
            "subject": subject,
            "setting": block.setting or block.published,
            "input": block.model if block.setting else "",
            "protocol": block.protocol if block.setting else "",
            **_published_cells(theirs[theirs["subject"] == subject]),
        }
        measured = found.get(subject)
        if not block.setting:  # published values alone: nothing that could be run
            if "published_source" in cells:
                reason = "" if subject in measurements.subjects else NOT_RUN
                rows.append(Row(cells, block.label, reason))
        elif measured is None:
            if not block.optional:
                rows.append(Row(cells, block.label, NOT_RUN))
        else:
            rows.append(Row(_compared(cells, measured, block, measurements), block.label))
            if block.controls:
                rows += _control_rows(block, subject, measurements)
    return rows


def _scored(block: Block, subject: str, model: str, measurements: Measurements) -> Measured | None:
    """Scores of a row, or None where there are none under the block's protocol."""
    measured = measurements.find(block.setting, subject, model)
    under = measured and any(name.startswith(f"{block.protocol}/") for name in measured.values)
    return measured if under else None


def _published_cells(values: pd.DataFrame) -> dict[str, Any]:
    if values.empty:
        return {}
    known = {
        f"{key_of(m)}_published": v for m, v in values[["metric", "value"]].itertuples(index=False)
    }
    return {**known, "published_source": values["source"].iloc[0]}


def _compared(
    cells: dict[str, Any], measured: Measured, block: Block, measurements: Measurements
) -> dict[str, Any]:
    """`cells` with the measured ones; no difference between METEOR with synonyms and without."""
    cells = cells | measured_cells(measured, block.protocol, measurements)
    for measure in MEASURES:
        key = key_of(measure)
        ours, theirs = cells.get(key), cells.get(f"{key}_published")
        alike = measure != "meteor" or measurements.meteor == "meteor"
        if alike and not (is_missing(ours) or is_missing(theirs)):
            cells[f"{key}_difference"] = cells[key] - cells[f"{key}_published"]
    return cells


def _control_rows(block: Block, subject: str, measurements: Measurements) -> list[Row]:
    rows = []
    for model, words in BESIDE.items():
        measured = _scored(block, subject, model, measurements)
        if measured is not None:
            cells = {
                "row": f"{subject}, {words}",
                "subject": subject,
                "setting": block.setting,
                "input": model,
                "protocol": block.protocol,
            }
            cells |= measured_cells(measured, block.protocol, measurements)
            rows.append(Row(cells, block.label))
    return rows


def measured_cells(measured: Measured, protocol: str, measurements: Measurements) -> dict[str, Any]:
    """A row's measured cells under one protocol."""

    def value(measure: str, what: str = "", scale: float = 1.0) -> float | None:
        found = measured.values.get(measurements.metric(protocol, measure, what), math.nan)
        return None if math.isnan(found) else scale * found

    cells: dict[str, Any] = {"run": measured.run}
    for measure in MEASURES:
        key = key_of(measure)
        low, high = value(measure, "ci-low", 100), value(measure, "ci-high", 100)
        cells |= {
            key: value(measure, scale=100),
            f"{key}_low": low,
            f"{key}_high": high,
            f"{key}_p": value(measure, "p"),
            f"{key}_p_mismatch": value(measure, "p-mismatch"),
        }
        if low is not None and high is not None:
            cells[f"{key}_interval"] = f"{low:.2f}–{high:.2f}"
        for control in CONTROLS:
            cells[f"{key}_p_vs_{_key(control)}"] = value(measure, f"p-vs-{control}")
            cells[f"{key}_by_vs_{_key(control)}"] = value(measure, f"difference-vs-{control}", 100)
    return cells | {
        "wer": value("wer", scale=100),
        "wer_low": value("wer", "ci-low", 100),
        "wer_high": value("wer", "ci-high", 100),
        "wer_p": value("wer", "p"),
        "length_ratio": value("length-ratio"),
        "distinct": value("distinct-outputs", scale=100),
        "windows": measured.counts.get(measurements.metric(protocol, "bleu-1")),
    }


def _general_notes(measurements: Measurements) -> list[str]:
    notes = [
        "In percent, but for p, length and windows. Interval: 95 %, by a bootstrap over blocks of "
        "windows. Difference: measured minus published. Length: words decoded for one heard, which "
        "METEOR and the recall of BERTScore reward. Distinct: different outputs among the windows.",
    ]
    if measurements.meteor == NO_SYNONYMS:
        notes.append(
            "No WordNet was found: the measured METEOR knows no synonyms. The published one does; "
            "the two are not compared."
        )
    return notes
