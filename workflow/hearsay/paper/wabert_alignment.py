"""Tables 1 and 2 of the WaBERT paper: how far word boundaries are from where they should be.

Beside the paper's rows stand aligners that hear nothing, and what no aligner of this kind can be
better than: without these a number of milliseconds says little.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hearsay.paper.plans import refuse_twice, settings_of
from hearsay.paper.runs import NOT_RUN
from hearsay.paper.tables import Column, Row, Table, write_table
from hearsay.paper.wabert import (
    PUBLISHED,
    Measured,
    Published,
    between,
    filled,
    missing_seeds,
    read_measured,
    read_published,
    run_cells,
    spread_text,
)
from hearsay.paper.wabert_alignment_claims import REFERENCES, claims_told
from hearsay.paper.wabert_plans import WabertPlan, read_plans
from hearsay.provenance import Run

PAPER_ROWS = "Rows of the paper"
OWN_ROWS = "Rows of our own"
GROUPS = {
    "trivial": "Aligners that hear nothing",
    "floor": "What is told the true times",
    "forced": "Forced alignment of letters",
}
TOLERANCES = ("50", "100", "500", "1000")
ABOUT = {
    "1": "mean and median of the absolute errors of word boundaries",
    "2": "shares of word boundaries within tolerances",
}


def columns_of(number: str) -> list[Column]:
    """All columns; those that are not for the page stay in the CSV."""
    columns = [
        Column("row", "Approach"),
        Column("title", "Our run"),
        Column("note", "What stands in", wraps=True),
        Column("seeds", "Seeds", "count"),
        Column("utterances", "Utterances", "count"),
    ]
    if number == "1":
        for key in ("mean", "median"):
            columns += [
                Column(f"{key}_published", "published", "number", f"{key}, ms", 2, source="source"),
                Column(key, "measured", "number", f"{key}, ms", 1),
                Column(f"{key}_spread", "smallest–largest seed", "text", f"{key}, ms"),
                Column(f"{key}_difference", "difference", "difference", f"{key}, ms", 1),
            ]
        columns.append(Column("mean_interval", "95 % interval of the mean", "text"))
        for name, key in REFERENCES.items():
            group = f"mean less that of {name}"
            columns += [
                Column(f"less_{key}", "difference", "difference", group, 1),
                Column(f"less_{key}_interval", "95 % interval", "text", group),
                Column(f"p_{key}", "p", "probability", group),
            ]
        columns.append(Column("bias", "bias, ms", "difference", "", 1))
    else:
        for tolerance in TOLERANCES:
            group = f"< {tolerance} ms"
            columns += [
                Column(f"within_{tolerance}_published", "published", "number", group, 4, "source"),
                Column(f"within_{tolerance}", "measured", "number", group, 4),
                Column(f"within_{tolerance}_spread", "smallest–largest seed", "text", group),
                Column(f"within_{tolerance}_difference", "difference", "difference", group, 4),
            ]
    return [
        *columns,
        *[
            Column(key, label, shown=False)
            for key, label in (
                ("run_name", "name of the run"),
                ("published_row", "published row"),
                ("source", "Source of the published values"),
                ("model", "preset, or what it is"),
                ("part", "part"),
                ("missing", "boundaries without a time"),
                ("records", "runs of all seeds"),
            )
        ],
        Column("run", "Run", "run"),
    ]


def measured_cells(number: str, found: Measured) -> dict[str, Any]:
    """Cells of what was measured."""
    if number == "2":
        cells: dict[str, Any] = {}
        for tolerance in TOLERANCES:
            cells[f"within_{tolerance}"] = found.mean(f"accuracy {tolerance}")
            spread = spread_text(found, f"accuracy {tolerance}", decimals=4)
            cells[f"within_{tolerance}_spread"] = spread
        return cells
    cells = {
        "mean": found.mean("mae"),
        "mean_spread": spread_text(found, "mae"),
        "median": found.mean("median"),
        "median_spread": spread_text(found, "median"),
        "bias": found.mean("bias"),
        "missing": found.mean("missing"),
    }
    low, high = found.mean("mae_low"), found.mean("mae_high")
    if low is not None and high is not None:
        cells["mean_interval"] = between((low, high))
    for name, key in REFERENCES.items():
        metric = f"mae less {name}"
        cells[f"less_{key}"] = found.mean(metric)
        low, high = found.mean(f"{metric} low"), found.mean(f"{metric} high")
        if low is not None and high is not None:
            cells[f"less_{key}_interval"] = f"{low:+.1f} to {high:+.1f}"
        # Of several seeds the largest: what holds has to hold for all of them.
        values = found.values(f"p against {name}")
        cells[f"p_{key}"] = max(values) if values else None
    return cells


def published_cells(number: str, row: Published) -> dict[str, Any]:
    """Cells of the paper's values."""
    if number == "2":
        cells: dict[str, Any] = {f"within_{t}_published": row.number(t) for t in TOLERANCES}
    else:
        cells = {f"{key}_published": row.number(key) for key in ("mean", "median")}
    return cells | {"source": row.source}


def rows_of(
    number: str,
    plans: Sequence[WabertPlan],
    measured: Mapping[str, Measured],
    published: Mapping[str, Published],
    part: str,
) -> list[Row]:
    """The published rows with their runs, our own, then those that hear nothing, and floors."""
    rows = []
    for name, theirs in published.items():
        beside = [plan for plan in plans if plan.published == name]
        for plan in beside or [WabertPlan(published=name)]:
            rows.append(_row(number, plan, measured, theirs, name, PAPER_ROWS, part))
    for plan in plans:
        if plan.published is None:
            name = plan.title or plan.run or ""
            rows.append(_row(number, plan, measured, None, name, OWN_ROWS, part))
    for kind, group in GROUPS.items():
        for name, found in measured.items():
            if found.model == kind:
                shown = name.partition(": ")[2] or name
                cells = run_cells(WabertPlan(run=name), found) | {
                    "row": shown,
                    "title": "",
                    "part": part,
                }
                cells["seeds"] = None
                rows.append(Row(cells | measured_cells(number, found), group))
    return rows


def _row(
    number: str,
    plan: WabertPlan,
    measured: Mapping[str, Measured],
    theirs: Published | None,
    name: str,
    group: str,
    part: str,
) -> Row:
    found = measured.get(plan.run or "")
    cells = run_cells(plan, found) | {"row": name, "part": part}
    if theirs is not None:
        cells |= published_cells(number, theirs)
    if found is not None:
        cells |= measured_cells(number, found)
    if plan.compared(part):
        for key in [key for key in cells if f"{key}_published" in cells]:
            ours, printed = cells[key], cells[f"{key}_published"]
            if ours is not None and printed is not None:
                cells[f"{key}_difference"] = ours - printed
    return Row(cells, group, "" if found is not None else plan.why or NOT_RUN)


def rows_of_parts(
    number: str,
    plans: Sequence[WabertPlan],
    measured: Mapping[str, Mapping[str, Measured]],
    published: Mapping[str, Published],
) -> list[Row]:
    """The rows of each part; with several, what was not run on any stands with the first alone."""
    rows = []
    for k, (part, found) in enumerate(measured.items()):
        for row in rows_of(number, plans, found, published, part):
            if len(measured) > 1:
                row.group = f"{part}: {row.group[:1].lower()}{row.group[1:]}"
            run = row.cells["run_name"]
            if k == 0 or any(run in each for each in measured.values()):
                rows.append(row)
    return rows


def notes_of(
    plans: Sequence[WabertPlan], measured: Mapping[str, Mapping[str, Measured]]
) -> list[str]:
    """What a reader must know to compare the numbers; `measured` is by part and run."""
    notes = [
        f"Measured on {', '.join(measured)}: left and right boundaries of all words pooled, "
        "errors in ms as they are (the paper's, after NeuFA, are cut to whole ms); a boundary is "
        "within a tolerance if its error is below it. Means over seeds, none chosen by its "
        "result; intervals are bootstraps over utterances, paired for differences; p is two-sided, "
        "of several seeds the largest.",
        "Aligners that hear nothing divide the audio by what is known of the text: constant alpha "
        "gives every word piece the same time, as an untrained CIF does; characters, energy gives "
        "every letter the same time between the first and the last sound. A row that does not beat "
        "constant alpha has learnt nothing about time.",
        "What is told the true times cannot be beaten by words that touch each other (perfect "
        "tiling), that also fill the audio (whole audio), or whose edges are those of frames.",
    ]
    if any(plan.run and not plan.compared(part) for plan in plans for part in measured):
        notes.append(
            "A difference to the paper is given only on its test set and with its models; the "
            "others stand beside it for orientation."
        )
    lacking = [note for found in measured.values() for note in missing_seeds(plans, found)]
    return notes + list(dict.fromkeys(lacking))


def table_command(step: str, number: str) -> Callable[..., None]:
    """The command of the step of table `number` ("1", "2"): the same options for both."""

    def main(
        rows: Annotated[
            str,
            typer.Option(
                help='JSON, in order: [{"run": …, "published": …, "title": …, "why": …, '
                '"seeds": […], "note": …, "comparable": "corpus/part"}, …]'
            ),
        ],
        part: Annotated[
            list[str], typer.Option(help="corpus/part that is shown; once for each, in order")
        ],
        csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
        markdown: Annotated[Path, typer.Option(help="table for a README")],
        tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
        json: Annotated[Path, typer.Option(help="table for the result page")],
        run: Annotated[Path, typer.Option(help="run record")],
        scores: Annotated[
            Path | None, typer.Option(help="slu/alignment.csv; none where nothing was run")
        ] = None,
        published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
    ) -> None:
        theirs = read_published(published, number)
        of_first = read_published(published, "1")
        plans = read_plans(rows, theirs)
        refuse_twice(part, "--part")
        measured = {name: read_measured(scores, name) if scores else {} for name in part}
        record = Run(
            step,
            settings={"rows": settings_of(plans), "parts": part},
            inputs=[*([scores] if scores else []), published],
        )
        found = rows_of_parts(number, plans, measured, theirs)
        table = Table(filled(columns_of(number), found), found, notes_of(plans, measured))
        write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
        findings = [
            claims_told(plans, its, of_first).about(f"Table {number}, {name}")
            for name, its in measured.items()
        ]
        record.write(run, findings=findings)

    main.__doc__ = f"Write Table {number}: {ABOUT[number]}, measured beside published."
    return main
