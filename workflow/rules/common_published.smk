"""The papers' own values: their files, and what is checked against them when a run is planned.

The steps that write the tables check the same by the same code, but after everything is trained.
"""

from hearsay.paper import asr_plans, asr_published, wabert_plans
from hearsay.paper.plans import check_published, read_plans
from hearsay.paper.published import BPGPT, CAPACITY, EGRU, WABERT, read_lines, rows_of

# Files of the repository enter by content (code_of), not as input: a fresh clone makes them new.
PUBLISHED_ASR = "resources/published/asr.csv"
PUBLISHED_BPGPT = "resources/published/bpgpt.csv"
PUBLISHED_CAPACITY = "resources/published/capacity.csv"
PUBLISHED_EGRU = "resources/published/egru.csv"
PUBLISHED_WABERT = "resources/published/wabert.csv"


def check_asr_tables():
    """Refuse rows and columns that a table could not show, before anything is trained for it."""
    published = asr_published.read_published(ROOT / PUBLISHED_ASR)
    for number in asr_published.HEADINGS:
        key, where = f"asr.tables.{number}", f"asr.experiments, Table {number}"
        columns = asr_plans.read_columns(asr_columns(number), number, key)
        plans = asr_plans.read_plans(asr_rows(number), published.get(number, {}), where)
        for plan in plans if columns else []:
            if plan.why:
                continue
            wanted = asr_plans.tests_of(columns, plan.language, key).values()
            tests = [part.name for part in asr_tests(recogniser(plan.language, plan.run))]
            if not set(tests) & set(wanted):
                raise InputError(
                    f"{where}: {plan.run} is tested on none of {', '.join(wanted)}, which {key} "
                    "names: test it there"
                )


def check_egru_rows():
    """Refuse runs beside a row that the paper does not have, before anything is trained."""
    known = {number: rows_of(ROOT / PUBLISHED_EGRU, EGRU, number) for number in ("1", "2")}
    for number, corpus in EGRU_CORPORA.items():
        where = f"lm.experiments, Table {number}"
        check_published(read_plans(lm_rows(corpus)), known[number], where)
    # Of other corpora no table is made; a row that neither table has is misspelt all the same.
    every = list(dict.fromkeys([*known["1"], *known["2"]]))
    for corpus in LM_EXPERIMENTS:
        check_published(read_plans(lm_rows(corpus)), every, f"lm.experiments, {corpus}")


def check_wabert_rows():
    """Refuse runs beside a row that the paper does not have, before anything is trained."""
    shown = {"1": "aligners", "2": "aligners", "3": "sentiment"}
    for number, key in shown.items():
        rows = wabert_rows(ALIGNERS if key == "aligners" else SENTIMENT, [])
        known = rows_of(ROOT / PUBLISHED_WABERT, WABERT, number)
        wabert_plans.read_plans(rows, known, f"slu.{key}, Table {number}")


with told_by_snakemake():
    check_asr_tables()
    check_egru_rows()
    check_wabert_rows()
    # Their rows are found by names of settings and models, and what is not there is a row of our own.
    read_lines(ROOT / PUBLISHED_BPGPT, BPGPT)
    read_lines(ROOT / PUBLISHED_CAPACITY, CAPACITY)
