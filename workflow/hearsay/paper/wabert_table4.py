"""Table 4 of the WaBERT paper: the word pieces that BERT takes tokens of speech for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hearsay.paper.command import run_command
from hearsay.paper.plans import from_json
from hearsay.paper.run_beside import run_beside
from hearsay.paper.tables import Column, Row, Table, write_table
from hearsay.paper.wabert import PUBLISHED, Published, read_published
from hearsay.paper.wabert_states import Utterance, chosen, read_runs
from hearsay.provenance import Run

STEP = "hearsay.paper.wabert_table4"
PLACES = 9  # word pieces side by side, as many as the paper shows
SHOWN = 3  # utterances, where none is asked for
NOTES = [
    "Top-1 to top-5: the likeliest word pieces at each place, by BERT's upper layers and head over "
    "tokens of speech; the number of tokens is the transcript's. Of the paper's utterance only the "
    "places that it prints are known.",
]


def published_rows(published: dict[str, Published]) -> list[Row]:
    """The paper's places."""
    if not published:
        return []
    first = next(iter(published.values()))
    group = "The paper's utterance (parts of it)"
    cells = {f"place_{k}": label for k, label in enumerate(first.values, 1)}
    rows = [Row({"rank": "Label", "source": first.source, **cells}, group, given=True)]
    for row in published.values():
        cells = {f"place_{k}": value for k, value in enumerate(row.values.values(), 1)}
        rows.append(Row({"rank": row.row, "source": row.source, **cells}, group, given=True))
    return rows


def utterance_rows(utterance: Utterance, run: str, record: str) -> list[Row]:
    """An utterance's places, `PLACES` side by side; `record` is the id of the run of its states."""
    rows = []
    assert utterance.top is not None
    ranks = len(utterance.top[0]) if utterance.top else 0
    for start in range(0, len(utterance.pieces), PLACES):
        these = slice(start, start + PLACES)
        shown = [utterance.pieces[these], *zip(*utterance.top[these], strict=True)]
        group = f"{utterance.id}: {utterance.transcript}"
        if len(utterance.pieces) > PLACES:
            group += f" ({start + 1}–{min(start + PLACES, len(utterance.pieces))})"
        for rank, pieces in zip(
            ["Label", *(f"Top-{k + 1}" for k in range(ranks))], shown, strict=True
        ):
            cells: dict[str, Any] = {f"place_{k}": piece for k, piece in enumerate(pieces, 1)}
            cells |= {"utterance": utterance.id, "run_name": run, "records": record}
            rows.append(Row({"rank": rank, **cells}, group, given=rank == "Label"))
    return rows


def finding(utterances: Sequence[Utterance], run: str) -> str:
    """How often the right piece is the first, and among the first five."""
    first = within = total = 0
    for utterance in utterances:
        for piece, top in zip(utterance.pieces, utterance.top or [], strict=True):
            first, within, total = first + (top[0] == piece), within + (piece in top), total + 1
    if not total:
        return "Cannot be told in this configuration."
    return (
        f"{run}, {len(utterances)} utterances: the right word piece is the likeliest at "
        f"{first} of {total} places ({100 * first / total:.1f} %) and among the five likeliest at "
        f"{within} ({100 * within / total:.1f} %)."
    )


def main(
    states: Annotated[str, typer.Option(help="run=states.npz of the aligner that is shown")],
    utterances: Annotated[str, typer.Option(help="JSON: ids that are shown; [] for the first 3")],
    csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
    markdown: Annotated[Path, typer.Option(help="table for a README")],
    tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
    json: Annotated[Path, typer.Option(help="table for the result page")],
    run: Annotated[Path, typer.Option(help="run record")],
    published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
) -> None:
    """Write Table 4: the five likeliest word pieces at every place of some utterances."""
    runs, paths = read_runs([states])
    ((name, found),) = runs.items()
    ids = from_json(utterances, "--utterances")
    record = Run(STEP, settings={"run": name, "utterances": ids}, inputs=[*paths, published])
    readable = all(each.top is not None for each in found.values())
    rows = published_rows(read_published(published, "4"))
    notes = list(NOTES)
    if readable:
        for each in chosen(found, ids, SHOWN):
            rows += utterance_rows(each, name, run_beside(paths[0]))
    else:
        notes.append(f"{name}: its text encoder has no head that predicts word pieces.")
    columns = [
        Column("rank", "Rank"),
        *[
            Column(f"place_{k}", f"piece {k}", source="source" if k == 1 else "")
            for k in range(1, PLACES + 1)
        ],
        Column("utterance", "utterance", shown=False),
        Column("run_name", "name of the run", shown=False),
        Column("source", "Source of the published values", shown=False),
        Column("records", "run of the states", shown=False),
    ]
    table = Table(columns, rows, notes)
    write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
    told = finding(list(found.values()) if readable else [], name)
    record.write(run, findings=[{"subject": "Table 4", "text": told}])


if __name__ == "__main__":
    run_command(main)
