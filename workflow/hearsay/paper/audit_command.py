"""How tables and figures of the cross-system audit are made: the same options for all."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from hearsay.paper.audit import (
    Pair,
    Task,
    joined,
    read_audits,
    read_named_scores,
    read_tasks,
)
from hearsay.paper.claims import Finding
from hearsay.paper.runs import read_paths
from hearsay.paper.tables import Table, write_table
from hearsay.provenance import Run

Joined = list[tuple[Task, list[Pair]]]
Findings = list[Finding]

Tasks = Annotated[str, typer.Option(help="JSON: tasks, their measures and models")]
Audits = Annotated[list[Path], typer.Option(help="spectral/trained/*.scores.csv; any number")]
Scores = Annotated[list[str], typer.Option(help="name=score file, for every task's name")]


def read_joined(tasks: str, audit: list[Path], scores: list[str]) -> tuple[Joined, list[Path]]:
    """Tasks with their models' audits and scores, and the files that were read."""
    plans, named = read_tasks(tasks), read_paths(scores, "--scores")
    audits, files = read_audits(audit), read_named_scores(named)
    found = [(task, joined(task, audits, files)) for task in plans]
    return found, [*audit, *(path for _, path in named)]


def convention_note(found: Joined) -> list[str]:
    """A note on how tensors became matrices; none without a model."""
    names = dict.fromkeys(pair.audited.convention for _, pairs in found for pair in pairs)
    return [f"Convention: {', '.join(names)}."] if names else []


def run_of(step: str, found: Joined, inputs: list[Path]) -> Run:
    """The run of a step that reads `found`, for its record."""
    tasks = [{"task": task.name, "models": sorted(task.models)} for task, _ in found]
    return Run(step, settings={"tasks": tasks}, inputs=inputs)


def table_command(
    step: str, build: Callable[[Joined], tuple[Table, Findings]]
) -> Callable[..., None]:
    """The command of a step that makes a table with `build`."""

    def main(
        tasks: Tasks,
        audit: Audits,
        scores: Scores,
        csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
        markdown: Annotated[Path, typer.Option(help="table for a README")],
        tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
        json: Annotated[Path, typer.Option(help="table for the result page")],
        run: Annotated[Path, typer.Option(help="run record")],
    ) -> None:
        """Write a table of the models trained here, their weights' metrics and their scores."""
        found, inputs = read_joined(tasks, audit, scores)
        record = run_of(step, found, inputs)
        table, findings = build(found)
        write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
        record.write(run, findings=findings)

    return main
