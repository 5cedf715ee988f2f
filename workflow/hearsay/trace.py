"""Where a number comes from: ``python -m hearsay.trace <table> [row] [column]``.

Prints the chain from a table's cell to the runs it summarises, and on to models, trainings and
data: for each file its step, settings, seed, code digest, commit, hardware, time and checksum, and
the command that makes it again. Without a row, the table's rows and columns are listed.

Examples:

  python -m hearsay.trace egru_table1 --results results/demo

  python -m hearsay.trace egru_table1 "GRU 1350" test --results results/demo
"""

import json
import shlex
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from hearsay.command_line import run_app
from hearsay.errors import InputError
from hearsay.lineage import SUFFIX, Lineage, Record
from hearsay.paper.tables import Column, Row, Table, is_missing, plain, read_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
# Cells that hold ids of run records, separated by spaces or commas.
RUN_KEYS = ("records", "run")


@dataclass
class Link:
    """One file of the chain: who made it, whether it is as it was, and what it was made from."""

    path: str
    state: str = ""
    record: Record | None = None
    told: bool = False  # its makings stand further above
    inputs: list["Link"] = field(default_factory=list)


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
    known = sorted(p.stem for p in path.parent.glob("*.json") if not p.name.endswith(SUFFIX))
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


def chain(lineage: Lineage, record: Record, told: set[Path]) -> list[Link]:
    """Links of a run's inputs, each with its own, up to files that no run here made.

    What stands in `told` already is named, and not followed again.
    """
    links = []
    for path, checksum in record.inputs.items():
        file = lineage.located(path)
        link = Link(path, lineage.state_of(file, checksum), lineage.maker_of(file))
        # A record may name its own folder; nothing is its own origin.
        if link.record is not None and link.record.path != record.path:
            link.told = link.record.path in told
            if not link.told:
                told.add(link.record.path)
                link.inputs = chain(lineage, link.record, told)
        links.append(link)
    return links


def facts(record: Record) -> dict[str, Any]:
    """What a reader asks of a run, from its record."""
    content = record.content
    hardware = content["hardware"]
    gpus = ", ".join(hardware["gpu"]) or "no GPU"
    return {
        "record": str(record.path),
        "id": record.id,
        "step": content["step"],
        "settings": content["settings"],
        "seed": content["seed"],
        "code": content["code"],
        "commit": content["commit"],
        "hardware": f"{hardware['cpu']}, {hardware['cores']} cores, {gpus}",
        "seconds": content["wall_seconds"],
        "finished": content["finished"],
    }


def command_of(record: Record, arguments: str) -> str:
    """The command that makes the run's results again, in the folder that Snakemake ran in."""
    made = shlex.quote(str(record.path))
    return f"snakemake {arguments} --forcerun {made} -- {made}"


def _tree(links: list[Link], depth: int, arguments: str) -> list[str]:
    lines, margin = [], "  " * depth
    for link in links:
        lines.append(f"{margin}{link.path} ({link.state})")
        if link.record is None:
            continue
        if link.told:
            lines.append(f"{margin}  run {link.record.id}, told above")
            continue
        lines += _told(link.record, depth + 1, arguments)
        lines += _tree(link.inputs, depth + 1, arguments)
    return lines


def _told(record: Record, depth: int, arguments: str) -> list[str]:
    margin, known = "  " * depth, facts(record)
    seed = "" if known["seed"] is None else f", seed {known['seed']}"
    settings = json.dumps(known["settings"], sort_keys=True, ensure_ascii=False)
    return [
        f"{margin}run {known['id']} of {known['step']}{seed}, code {known['code']}",
        f"{margin}settings {settings}",
        f"{margin}commit {known['commit']}; {known['hardware']}; {known['seconds']} s, "
        f"finished {known['finished']}",
        f"{margin}again: {command_of(record, arguments)}",
    ]


def _as_dict(link: Link) -> dict[str, Any]:
    made = None if link.record is None else link.record.id if link.told else facts(link.record)
    inputs = [_as_dict(one) for one in link.inputs]
    return {"path": link.path, "state": link.state, "run": made, "inputs": inputs}


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


@app.command(help=__doc__)
def trace(
    table: str = typer.Argument(help="A table's name, such as egru_table1."),
    row: str = typer.Argument(None, help="A row's label (its beginning will do) or number."),
    column: str = typer.Argument(None, help="A column's key or label; the whole row if none."),
    results: Path = typer.Option(Path("results/paper"), help="The folder that holds tables/."),
    snakemake: str = typer.Option(
        "--cores 1", help="Snakemake's arguments in the commands shown: '--profile profiles/demo'."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the chain as JSON."),
) -> None:
    """Print where a table's number comes from."""
    lineage = Lineage(results)
    path = path_of(results, table)
    content = read_table(path)
    if row is None:
        print(overview(table, content))
        return
    chosen = row_of(content, row)
    shown = [column_of(content, column)] if column else content.shown
    cells = {c.key: plain(chosen.cells.get(c.key), c) for c in shown}
    own = lineage.maker_of(path)
    records = records_behind(lineage, path, chosen)
    told = {record.path for record in records}
    if not records and own and not chosen.not_run:
        records = [own]
    chains = [(record, chain(lineage, record, told)) for record in records]
    if as_json:
        runs = [{**facts(r), "inputs": [_as_dict(one) for one in links]} for r, links in chains]
        made = None if own is None else facts(own)
        text = {"table": table, "cells": cells, "not_run": chosen.not_run, "made": made}
        print(json.dumps({**text, "runs": runs}, indent=1, ensure_ascii=False))
        return
    print(f"{table}, {row_label(chosen, content.columns[0])}")
    print("\n".join(f"  {key} = {value}" for key, value in cells.items()))
    if chosen.not_run:
        print(f"  {chosen.not_run}")
    if own is not None:
        print("\n".join(["written by", *_told(own, 1, snakemake)]))
    for record, links in chains:
        print("\n".join(["measured by", *_told(record, 1, snakemake), *_tree(links, 2, snakemake)]))


if __name__ == "__main__":
    run_app(app, "python -m hearsay.trace")
