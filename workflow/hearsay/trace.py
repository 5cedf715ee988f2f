"""Where a number comes from: ``python -m hearsay.trace <table> [row] [column]``.

Prints the score rows that a table's cell was computed from, and the chain of the runs that measured
them, on to models, trainings and data: for each file its step, settings, seed, code digest, commit,
hardware, time and checksum (the first digits; all with --json), and the command that makes it
again. Ends with status 1 where the record of a file that the workflow made is lost. Without a row,
the table's rows and columns are listed.

Examples:

  python -m hearsay.trace egru_table1 --results results/demo

  python -m hearsay.trace egru_table1 "GRU 1350" test --results results/demo
"""

import json
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import typer

from hearsay.cell_scores import CellScores, as_dicts, score_lines, scores_behind
from hearsay.chain import Link, as_dict, chain, chain_lines, changed, facts, lost, run_lines
from hearsay.command_line import run_app
from hearsay.errors import InputError
from hearsay.lineage import Lineage, Record, table_files
from hearsay.paper.tables import Column, Row, Table, is_missing, plain, read_table
from hearsay.provenance import ROOT
from hearsay.storage import told_if_unreadable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
# Cells that hold ids of run records, separated by spaces or commas.
RUN_KEYS = ("records", "run")


def row_of(table: Table, asked: str) -> Row:
    """The row with this label (its first cell; a unique beginning will do) or number from 1.

    Raises InputError that lists what is near.
    """
    first = table.columns[0]
    labels = [row_label(row, first) for row in table.rows]
    wanted = asked.casefold()
    exact = [k for k, label in enumerate(labels) if label.casefold() == wanted]
    if not exact and asked.isdecimal() and 1 <= int(asked) <= len(labels):
        exact = [int(asked) - 1]
    near = exact or [k for k, label in enumerate(labels) if label.casefold().startswith(wanted)]
    if len(near) == 1:
        return table.rows[near[0]]
    if near:
        choices = ", ".join(f"{k + 1} ({table.rows[k].group or labels[k]})" for k in near)
        raise InputError(f"{len(near)} rows are named {asked!r}; give a number: {choices}")
    raise InputError(f"no row {asked!r}; {_choices(asked, labels)}")


def column_of(table: Table, asked: str) -> Column:
    """The column with this key, or label. Raises InputError that lists what is near."""
    keys = {column.key.casefold(): column for column in table.columns}
    if asked.casefold() in keys:
        return keys[asked.casefold()]
    labelled = [c for c in table.columns if c.label.casefold() == asked.casefold()]
    if len(labelled) == 1:
        return labelled[0]
    raise InputError(f"no column {asked!r}; {_choices(asked, [c.key for c in table.columns])}")


def _choices(asked: str, known: list[str]) -> str:
    known = list(dict.fromkeys(known))
    near = get_close_matches(asked, known, n=5)
    return f"near it: {', '.join(near)}" if near else f"there are: {', '.join(known)}"


def row_label(row: Row, first: Column) -> str:
    """A row's first cell, as text."""
    return plain(row.cells.get(first.key), first)


def runs_of(row: Row) -> list[str]:
    """Ids of the run records behind a row."""
    texts = [str(row.cells[key]) for key in RUN_KEYS if not is_missing(row.cells.get(key))]
    return list(dict.fromkeys(" ".join(texts).replace(",", " ").split()))


def path_of(results: Path, table: str) -> Path:
    """A table's file. Raises InputError that lists what is near if there is none."""
    path = results / "tables" / f"{table}.json"
    if path.is_file():
        return path
    known = [file.stem for file in table_files(results)]
    there = _choices(table, known) if known else "run `snakemake tables` first"
    raise InputError(f"{path}: no such table; {there}")


def records_behind(lineage: Lineage, table: Path, row: Row) -> list[Record]:
    """Records of the runs behind a row. Raises InputError if the results lack one."""
    ids = runs_of(row)
    if absent := [one for one in ids if one not in lineage.by_id]:
        raise InputError(
            f"{table}: no record of run {', '.join(absent)} below {lineage.results}; the table is "
            "older or newer than the results: run `snakemake tables` again"
        )
    return [lineage.by_id[one][0] for one in ids]


def configured(lineage: Lineage) -> str:
    """Snakemake with the configuration that the results are named for, as the page tells it."""
    name = f"config/{lineage.named.name}.yaml"
    there = (ROOT / name).is_file()
    return f"snakemake --cores 1 --configfile {name}" if there else "snakemake --cores 1"


def overview(name: str, table: Table) -> str:
    """Rows with the runs behind them, and columns, as text."""
    lines = [f"{name}: rows"]
    for k, row in enumerate(table.rows, start=1):
        group = f"{row.group}: " if row.group else ""
        source = row.not_run or " ".join(runs_of(row)) or "no run of its own"
        lines.append(f"  {k} {group}{row_label(row, table.columns[0])} ({source})")
    lines += [
        "columns",
        *(f"  {c.key}" + (f" ({c.label})" if c.label else "") for c in table.columns),
    ]
    return "\n".join(lines)


@dataclass
class Traced:
    """A row of a table, or one cell of it, and where it comes from.

    Attributes
    ----------
    cells : text by column key.
    own : the record of the run that wrote the table; None where it is lost.
    chains : of every run that measured the row, the files behind it; where the row names no run,
        those behind the table.
    changed : what the table was written from and is another file now.
    """

    path: Path
    label: str
    not_run: str
    cells: dict[str, str]
    scores: list[CellScores]
    own: Record | None
    chains: list[tuple[Record, list[Link]]]
    changed: list[Link]


def traced(lineage: Lineage, path: Path, row: str, column: str | None) -> Traced:
    """Follow a row of the table at `path`, or one cell of it.

    Raises InputError for a row, column or run that is not there.
    """
    table = read_table(path)
    chosen = row_of(table, row)
    shown = [column_of(table, column)] if column else table.shown
    own = lineage.maker_of(path)
    records = records_behind(lineage, path, chosen)
    told = {record.path for record in records}
    if not records and own and not chosen.not_run:
        records = [own]
    return Traced(
        path,
        row_label(chosen, table.columns[0]),
        chosen.not_run,
        {c.key: plain(chosen.cells.get(c.key), c) for c in shown},
        scores_behind(lineage, own, runs_of(chosen), chosen, shown),
        own,
        [(record, chain(lineage, record, told)) for record in records],
        changed(lineage, own) if own else [],
    )


def as_json(lineage: Lineage, found: Traced, snakemake: str) -> str:
    """All of it, checksums in full."""
    runs = [
        {
            **facts(lineage, record, snakemake),
            "inputs": [as_dict(lineage, link, snakemake) for link in links],
        }
        for record, links in found.chains
    ]
    content = {
        "table": found.path.stem,
        "cells": found.cells,
        "not_run": found.not_run,
        "made": facts(lineage, found.own, snakemake) if found.own else None,
        "changed": [as_dict(lineage, link, snakemake) for link in found.changed],
        "scores": as_dicts(found.scores),
        "runs": runs,
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def as_text(lineage: Lineage, found: Traced, snakemake: str, limit: int) -> str:
    """The same for a terminal, with at most `limit` score rows of a cell."""
    lines = [f"{found.path.stem}, {found.label}"]
    lines += [f"  {key} = {value}" for key, value in found.cells.items()]
    lines += [f"  {found.not_run}"] if found.not_run else []
    lines += [f"  {link.path} has changed since the table was written" for link in found.changed]
    lines += ["scores", *score_lines(found.scores, limit)] if found.scores else []
    if found.own is not None:
        lines += ["written by", *run_lines(lineage, found.own, 1, snakemake)]
    for record, links in found.chains:
        if record is not found.own:
            lines += ["measured by", *run_lines(lineage, record, 1, snakemake)]
        lines += chain_lines(lineage, links, 2, snakemake)
    return "\n".join(lines)


def refuse_lost(lineage: Lineage, found: Traced, snakemake: str) -> None:
    """Raise InputError if a file that the workflow made has lost its record: it is no raw data."""
    gone = [] if found.own else [str(lineage.target_of(found.path))]
    gone += dict.fromkeys(link.path for _, links in found.chains for link in lost(links))
    if gone:
        others = f" (and {len(gone) - 1} more, marked above)" if gone[1:] else ""
        raise InputError(
            f"{gone[0]}{others}: made by this workflow, but its run record is lost; make it again: "
            f"{snakemake} -f {shlex.quote(str(lineage.remade_by(gone[0])))}"
        )


@app.command(help=__doc__)
def trace(
    table: str = typer.Argument(help="A table's name, such as egru_table1."),
    row: str | None = typer.Argument(None, help="A row's label (its beginning will do) or number."),
    column: str | None = typer.Argument(
        None, help="A column's key or label; the whole row if none."
    ),
    results: Path = typer.Option(Path("results/paper"), help="The folder that holds tables/."),
    snakemake: str | None = typer.Option(
        None, help="Snakemake's arguments in the commands shown: '--profile slurm'."
    ),
    limit: int = typer.Option(10, min=0, help="Score rows shown of a cell."),
    json_: bool = typer.Option(False, "--json", help="Print all as JSON, checksums in full."),
) -> None:
    """Print where a table's number comes from."""
    lineage = Lineage(results)
    path = path_of(results, table)
    if row is None:
        print(overview(table, read_table(path)))
        return
    with told_if_unreadable():
        command = f"snakemake {snakemake}" if snakemake else configured(lineage)
        found = traced(lineage, path, row, column)
        text = (
            as_json(lineage, found, command) if json_ else as_text(lineage, found, command, limit)
        )
    print(text, flush=True)  # before an error is told
    refuse_lost(lineage, found, command)


if __name__ == "__main__":
    run_app(app, "python -m hearsay.trace")
