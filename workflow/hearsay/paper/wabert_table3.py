"""Table 3 of the WaBERT paper: sentiment on SLUE-VoxCeleb, with the majority row that it lacks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.command import run_command
from hearsay.paper.plans import settings_of
from hearsay.paper.runs import NOT_RUN
from hearsay.paper.tables import Column, Row, Table, write_table
from hearsay.paper.wabert import (
    PUBLISHED,
    SURE,
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
from hearsay.paper.wabert_plans import WabertPlan, read_plans
from hearsay.provenance import Run

STEP = "hearsay.paper.wabert_table3"
FIRST, OWN = "Without any input", "Rows of our own"
MAJORITY = "majority"
MEASURES = {"recall": "weighted recall", "f1": "weighted f1", "macro_f1": "macro f1"}
HEADS = {"recall": "weighted recall, %", "f1": "weighted F1, %", "macro_f1": "macro F1, %"}


def columns() -> list[Column]:
    """All columns; those that are not for the page stay in the CSV."""
    found = [
        Column("speech", "Speech"),
        Column("lm", "LM"),
        Column("text", "Text"),
        Column("title", "Our run"),
        Column("note", "What stands in", wraps=True),
        Column("seeds", "Seeds", "count"),
    ]
    for key, head in HEADS.items():
        if key != "macro_f1":
            found.append(Column(f"{key}_published", "published", "number", head, 2, "source"))
        found += [
            Column(key, "measured", "number", head, 2),
            Column(f"{key}_spread", "smallest–largest seed", "text", head),
            Column(f"{key}_interval", "95 % interval", "text", head),
        ]
        if key != "macro_f1":
            found.append(Column(f"{key}_difference", "difference", "difference", head, 2))
    hidden = {
        "run_name": "name of the run",
        "published_row": "published row",
        "source": "Source of the published values",
        "model": "kind",
        "mcnemar_all": "McNemar's p of every seed",
        "records": "runs of all seeds",
    }
    return [
        *found,
        Column("macro_recall", "macro recall, %", "number", "", 2),
        Column("mcnemar", "McNemar's p against speech alone", "probability"),
        Column("utterances", "Utterances", "count"),
        *[Column(key, label, shown=False) for key, label in hidden.items()],
        Column("run", "Run", "run"),
    ]


def p_values(found: Measured) -> list[float]:
    """McNemar's p against the run of speech alone, of every seed."""
    metrics = {m for each in found.seeds.values() for m in each if m.startswith("mcnemar p")}
    return found.values(min(metrics)) if len(metrics) == 1 else []


def measured_cells(found: Measured) -> dict[str, Any]:
    """Cells of what was measured, in per cent."""
    cells: dict[str, Any] = {}
    for key, metric in MEASURES.items():
        value = found.mean(metric)
        low, high = found.mean(f"{metric} low"), found.mean(f"{metric} high")
        cells[key] = None if value is None else 100 * value
        cells[f"{key}_spread"] = spread_text(found, metric, 100)
        if low is not None and high is not None:
            cells[f"{key}_interval"] = between((low, high), 100)
    macro, values = found.mean("macro recall"), p_values(found)
    cells["macro_recall"] = None if macro is None else 100 * macro
    # Of several seeds the largest: what holds has to hold for all of them.
    cells["mcnemar"] = max(values) if values else None
    cells["mcnemar_all"] = " ".join(f"{value:.4g}" for value in values)
    return cells


def names_of(row: str) -> dict[str, str]:
    """``a | b | c`` as the first three columns."""
    parts = [part.strip() for part in row.split("|")]
    return dict(zip(("speech", "lm", "text"), parts if len(parts) == 3 else [row], strict=False))


def rows_of(
    plans: Sequence[WabertPlan],
    measured: Mapping[str, Measured],
    published: Mapping[str, Published],
    part: str,
) -> list[Row]:
    """The majority, the paper's rows with their runs, and our own."""
    rows = []
    if MAJORITY in measured:
        found = measured[MAJORITY]
        cells = run_cells(WabertPlan(run=MAJORITY), found) | {"speech": "the commonest sentiment"}
        cells |= {"seeds": None, "title": ""}
        rows.append(Row(cells | measured_cells(found), FIRST))
    for name, theirs in published.items():
        beside = [plan for plan in plans if plan.published == name]
        for plan in beside or [WabertPlan(published=name)]:
            rows.append(_row(plan, measured, theirs, part))
    return rows + [_row(plan, measured, None, part) for plan in plans if plan.published is None]


def _row(
    plan: WabertPlan, measured: Mapping[str, Measured], theirs: Published | None, part: str
) -> Row:
    found = measured.get(plan.run or "")
    cells = run_cells(plan, found)
    if theirs is not None:
        cells |= names_of(theirs.row) | {"source": theirs.source}
        cells |= {f"{key}_published": theirs.number(key) for key in ("recall", "f1")}
    if found is not None:
        cells |= measured_cells(found)
        for key in ("recall", "f1"):
            ours, printed = cells[key], cells.get(f"{key}_published")
            if plan.compared(part) and ours is not None and printed is not None:
                cells[f"{key}_difference"] = ours - printed
    group = theirs.section if theirs is not None else OWN
    return Row(cells, group, "" if found is not None else plan.why or NOT_RUN)


def notes_of(part: str, plans: Sequence[WabertPlan], measured: Mapping[str, Measured]) -> list[str]:
    """What a reader must know to compare the numbers."""
    notes = [
        f"Measured on {part}: every utterance with one sentiment, none twice. The weighted recall "
        "is the accuracy, by definition; where most are neutral it says little, which is "
        "why SLUE itself ranks by macro F1, and why the commonest sentiment is a row.",
        "Means over seeds, none chosen by its result; intervals are bootstraps over utterances, "
        "or over speakers where the configuration says so (interval_over). McNemar's "
        "test is exact and on the same utterances; of several seeds the largest p.",
        "All recalls of the paper's own rows are whole numbers of 960ths: the 955 utterances of "
        "SLUE's first release, filled up to a multiple of 8, so that some counted twice. Fifteen "
        "utterances make the whole difference between its best graft and speech alone.",
    ]
    if any(plan.run and not plan.compared(part) for plan in plans):
        notes.append("Not the paper's test set, or not its models: no difference to it is given.")
    return notes + missing_seeds(plans, measured)


def claims_told(plans: Sequence[WabertPlan], measured: Mapping[str, Measured]) -> Told:
    """Whether grafts are better than speech alone, and anything better than the majority."""
    trained = [measured[plan.run] for plan in plans if plan.run and plan.run in measured]
    speech = next((each for each in trained if each.model == "speech"), None)
    told = []
    cases = []
    for each in trained:
        values = p_values(each)
        if each.model != "graft" or speech is None or not values:
            continue
        ours, theirs = each.mean("accuracy"), speech.mean("accuracy")
        if ours is not None and theirs is not None:
            facts = (
                f"{each.run} {100 * ours:.1f} against {100 * theirs:.1f} %, p = {max(values):.2g}"
            )
            cases.append(Case(ours > theirs and max(values) < SURE, facts))
    told.append(verdict(f"A graft is right more often than speech alone (p < {SURE})", cases))
    for metric in ("accuracy", "macro f1"):
        cases = []
        least = measured[MAJORITY].mean(metric) if MAJORITY in measured else None
        for each in trained:
            value = each.mean(metric)
            if value is not None and least is not None:
                facts = f"{each.run} {100 * value:.1f} against {100 * least:.1f} %"
                cases.append(Case(value > least, facts))
        told.append(verdict(f"What was trained beats the commonest sentiment in {metric}", cases))
    return together(told)


def main(
    rows: Annotated[
        str,
        typer.Option(
            help='JSON, in order: [{"run": …, "published": …, "title": …, "why": …, '
            '"seeds": […], "note": …, "comparable": "corpus/part"}, …]'
        ),
    ],
    part: Annotated[str, typer.Option(help="corpus/part that is shown")],
    csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
    markdown: Annotated[Path, typer.Option(help="table for a README")],
    tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
    json: Annotated[Path, typer.Option(help="table for the result page")],
    run: Annotated[Path, typer.Option(help="run record")],
    scores: Annotated[
        Path | None, typer.Option(help="slu/sentiment.csv; none where nothing was run")
    ] = None,
    published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
) -> None:
    """Write Table 3: sentiment by text, by speech and by grafts, measured beside published."""
    theirs = read_published(published, "3")
    plans = read_plans(rows, theirs)
    measured = read_measured(scores, part) if scores else {}
    record = Run(
        STEP,
        settings={"rows": settings_of(plans), "part": part},
        inputs=[*([scores] if scores else []), published],
    )
    found = rows_of(plans, measured, theirs, part)
    table = Table(filled(columns(), found), found, notes_of(part, plans, measured))
    write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
    claims = claims_told(plans, measured)
    record.write(run, findings=[claims.about(f"Table 3, {part}")])


if __name__ == "__main__":
    run_command(main)
