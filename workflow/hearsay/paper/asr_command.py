"""How the four tables of the QuartzNet transfer paper are made from score files, one step each."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from hearsay.errors import InputError
from hearsay.paper.asr import Measured, read_measurements
from hearsay.paper.asr_claims import claims_told
from hearsay.paper.asr_notes import notes_of
from hearsay.paper.asr_plans import AsrPlan, read_columns, read_plans, tests_of
from hearsay.paper.asr_published import PUBLISHED, read_published
from hearsay.paper.asr_rows import build_table, entries_of
from hearsay.paper.plans import settings_of
from hearsay.paper.runs import read_paths
from hearsay.paper.tables import write_table
from hearsay.provenance import Run

ABOUT = {
    "3": "English models fine-tuned on Singapore English",
    "4": "fine-tuning on two parts of the Singapore corpus",
    "5": "fine-tuning on African American speech",
    "6": "English models transferred to other languages",
}


def read_languages(
    scores: list[str], plans: list[AsrPlan], columns: dict[str, str | dict[str, str]]
) -> tuple[dict[tuple[str, str], Measured], list[Path]]:
    """The scores by language and run, and the files that they were read from.

    Raises
    ------
    InputError
        if a language is given twice, no row is of it, or its file is missing for a row that ran.
    """
    named = read_paths(scores, "--scores")
    given = [language for language, _ in named]
    if twice := sorted({language for language in given if given.count(language) > 1}):
        raise InputError(f"--scores: more than one file of language {', '.join(twice)}")
    if unused := sorted(set(given) - {plan.language for plan in plans}):
        raise InputError(f"--scores: no row of --rows is of language {', '.join(unused)}")
    if absent := [p for p in plans if p.run and not p.why and p.language not in given]:
        raise InputError(
            f"--scores: {absent[0].run} was run, but there is no file of language "
            f"{absent[0].language}"
        )
    measured: dict[tuple[str, str], Measured] = {}
    for language, path in named:
        found = read_measurements(path, language, plans, tests_of(columns, language, "--columns"))
        measured |= {(language, run): scores for run, scores in found.items()}
    return measured, [path for _, path in named]


def table_command(step: str, number: str) -> Callable[..., None]:
    """The command of the step of table `number` ("3" to "6"): the same options for all."""

    def main(
        rows: Annotated[
            str,
            typer.Option(
                help='JSON, in order: [{"language": …, "run": …, "published": …, "title": …, '
                '"why": …, "seeds": […], "note": …, "comparable": true}, …]'
            ),
        ],
        columns: Annotated[
            str,
            typer.Option(help='JSON: {"NSC1": "nsc1/val", …} or {"WER": {"de": "cv-de/dev", …}}'),
        ],
        csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
        markdown: Annotated[Path, typer.Option(help="table for a README")],
        tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
        json: Annotated[Path, typer.Option(help="table for the result page")],
        run: Annotated[Path, typer.Option(help="run record")],
        scores: Annotated[
            list[str] | None,
            typer.Option(help="language=asr/{language}/scores.csv; once for each that was run"),
        ] = None,
        published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
    ) -> None:
        theirs = read_published(published).get(number, {})
        plans = read_plans(rows, theirs)
        tests = read_columns(columns, number)
        measured, paths = read_languages(scores or [], plans, tests)
        record = Run(
            step,
            settings={"rows": settings_of(plans), "columns": tests},
            inputs=[*paths, published],
        )
        entries = entries_of(plans, measured, theirs)
        table = build_table(number, entries, measured, notes_of(number, entries, measured, tests))
        write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
        claims = claims_told(number, entries, table)
        record.write(run, findings=[claims.about(f"Table {number}")])

    main.__doc__ = f"Write Table {number}: {ABOUT[number]}, measured beside published."
    return main
