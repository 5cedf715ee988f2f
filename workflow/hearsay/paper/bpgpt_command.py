"""How the four tables of the BP-GPT paper are made from score files, by one step each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from hearsay.paper.bpgpt import (
    PUBLISHED,
    Measurements,
    read_measurements,
    read_published,
    read_subjects,
)
from hearsay.paper.bpgpt_claims import Claim, verdict
from hearsay.paper.bpgpt_rows import Block, build_table
from hearsay.paper.claims import Finding, together
from hearsay.paper.tables import Table, write_table
from hearsay.provenance import Run


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper.

    Attributes
    ----------
    number : Roman, as in the published file.
    blocks : its groups of rows, in order.
    claims : what the paper says that it shows.
    notes : sentences below the table, after those that all four share.
    more : further findings, before the claims.
    """

    number: str
    blocks: list[Block]
    claims: list[Claim]
    notes: list[str] = field(default_factory=list)
    more: Callable[[Measurements], list[Finding]] = lambda measurements: []

    def make(
        self, scores: list[Path], subjects: list[str], published: Path
    ) -> tuple[Table, list[Finding]]:
        """The table, and what came out in sentences for the page."""
        measurements = read_measurements(scores, subjects)
        values = read_published(published)
        values = values[values["table"] == self.number]
        table = build_table(self.blocks, measurements, values, self.notes)
        claims = together(verdict(claim, measurements, values) for claim in self.claims)
        return table, [*self.more(measurements), claims.about(f"Table {self.number}")]


def table_command(step: str, paper_table: PaperTable, about: str) -> Callable[..., None]:
    """The command of one table's step: the same options for all four; `about` is its help."""

    def main(
        scores: Annotated[list[Path], typer.Option(help="a subject's scores.csv; once for each")],
        subjects: Annotated[
            str, typer.Option(help='JSON list of subjects, such as ["UTS01"], in order')
        ],
        csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
        markdown: Annotated[Path, typer.Option(help="table for a README")],
        tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
        json: Annotated[Path, typer.Option(help="table for the result page")],
        run: Annotated[Path, typer.Option(help="run record")],
        published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
    ) -> None:
        names = read_subjects(subjects)
        table, found = paper_table.make(scores, names, published)
        record = Run(step, settings={"subjects": names}, inputs=[*scores, published])
        write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
        record.write(run, findings=found)

    main.__doc__ = about
    return main
