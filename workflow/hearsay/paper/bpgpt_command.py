"""How the four tables of the BP-GPT paper are made from score files, by one step each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from hearsay.paper.bpgpt import Measurements, read_measurements, read_published, read_subjects
from hearsay.paper.bpgpt_claims import Claim, verdict
from hearsay.paper.bpgpt_rows import Block, build_table
from hearsay.paper.tables import Table, write_table
from hearsay.provenance import Run

Scores = Annotated[list[Path], typer.Option(help="a subject's scores.csv; once for each")]
Subjects = Annotated[str, typer.Option(help='JSON list of subjects, such as ["UTS01"], in order')]
Csv = Annotated[Path, typer.Option(help="table with every column in full precision")]
Markdown = Annotated[Path, typer.Option(help="table for a README")]
Tex = Annotated[Path, typer.Option(help="table for a paper (booktabs)")]
Json = Annotated[Path, typer.Option(help="table for the result page")]
RunRecord = Annotated[Path, typer.Option(help="run record")]
Published = Annotated[Path, typer.Option(help="the paper's own values")]

Findings = list[dict[str, str]]


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
    more: Callable[[Measurements], Findings] = lambda measurements: []

    def make(
        self, scores: list[Path], subjects: list[str], published: Path
    ) -> tuple[Table, Findings]:
        """The table, and what came out in sentences for the page."""
        measurements = read_measurements(scores, subjects)
        values = read_published(published)
        values = values[values["table"] == self.number]
        table = build_table(self.blocks, measurements, values, self.notes)
        claims = " ".join(verdict(claim, measurements, values) for claim in self.claims)
        found = [*self.more(measurements), {"subject": f"Table {self.number}", "text": claims}]
        return table, found


def run_table(
    step: str,
    paper_table: PaperTable,
    *,
    scores: list[Path],
    subjects: str,
    published: Path,
    csv: Path,
    markdown: Path,
    tex: Path,
    json: Path,
    run: Path,
) -> None:
    """Write one table in every form, and its run record."""
    names = read_subjects(subjects)
    table, found = paper_table.make(scores, names, published)
    record = Run(step, settings={"subjects": names}, inputs=[*scores, published])
    write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
    record.write(run, findings=found)
