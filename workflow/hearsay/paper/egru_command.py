"""How the two tables of the EGRU paper are made from score files, by one step each."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from hearsay.errors import InputError
from hearsay.paper.egru import CORPORA, PUBLISHED, read_measurements, read_published
from hearsay.paper.egru_claims import claims_told
from hearsay.paper.egru_rows import build_table, entries_of
from hearsay.paper.plans import check_published, read_plans, settings_of
from hearsay.paper.tables import write_table
from hearsay.provenance import Run


def table_command(step: str, number: str) -> Callable[..., None]:
    """The command of the step of table `number` ("1", "2"): the same options for both."""

    def main(
        corpus: Annotated[str, typer.Option(help="name of the corpus that was measured")],
        rows: Annotated[
            str, typer.Option(help='JSON: [{"run": …, "published": …, "title": …}, …], in order')
        ],
        csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
        markdown: Annotated[Path, typer.Option(help="table for a README")],
        tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
        json: Annotated[Path, typer.Option(help="table for the result page")],
        run: Annotated[Path, typer.Option(help="run record")],
        scores: Annotated[
            Path | None, typer.Option(help="lm/{corpus}/scores.csv; none where nothing was run")
        ] = None,
        why: Annotated[
            str, typer.Option(help='why rows have no scores, such as "not run: licence"')
        ] = "",
        published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
    ) -> None:
        if why and not why.startswith("not run"):
            raise InputError(f'--why: begins with "not run", not {why!r}')
        plans = read_plans(rows)
        values = read_published(published)
        of_table = values[values["table"] == number]
        check_published(plans, list(of_table["row"]))
        measured = read_measurements(scores, corpus, plans) if scores else {}
        record = Run(
            step,
            settings={"corpus": corpus, "rows": settings_of(plans), "why": why},
            inputs=[*([scores] if scores else []), published],
        )
        table = build_table(number, plans, measured, values, why)
        write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
        claims = claims_told(number, entries_of(plans, measured, of_table))
        record.write(run, findings=[claims.about(f"Table {number}, {corpus}")])

    main.__doc__ = f"Write Table {number}: models on {CORPORA[number]}, measured beside published."
    return main
