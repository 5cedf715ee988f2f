"""Planned rows and columns of the tables of the QuartzNet transfer paper.

Light, as `hearsay.paper.plans`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hearsay.errors import InputError
from hearsay.paper.asr_published import HEADINGS, Published
from hearsay.paper.plans import RowPlan, check_published, from_json, plans_of, refuse_twice


@dataclass(frozen=True)
class AsrPlan(RowPlan):
    """One row of a table.

    Attributes
    ----------
    language : of the scores that hold the run, by its code.
    language_name : what it is called where its code has no name in `LANGUAGES`.
    note : what stands in for something of the paper's, shown in the row.
    comparable : False where what is tested on is not the paper's speech, such as a generated
        corpus; no difference is taken then.
    model, train, fine_tune : as in the paper's tables, ``""`` for none, of a row without published
        values; those of the others are known.
    before : run of the table that fine-tuning began with; needed where it is not the one row of
        the same model and training.
    """

    language: str = ""
    language_name: str = ""
    note: str = ""
    comparable: bool = True
    model: str = ""
    train: str = ""
    fine_tune: str = ""
    before: str | None = None


def read_plans(
    text: str, published: Mapping[str, Published], option: str = "--rows"
) -> list[AsrPlan]:
    """Read the rows of one table, in order; `published` holds the rows of the paper's.

    Raises
    ------
    InputError
        for what `plans_of` refuses, a row without a language, of another language than its
        published row, or one named twice, and for a published row or a `before` that is not there.
    """
    form = '{"language": …, "run": …, "published": …, "title": …}'
    plans = plans_of(from_json(text, option), option, AsrPlan, form)
    check_published(plans, list(published), option)
    for plan in plans:
        if not plan.language:
            raise InputError(f"{option}: {plan.name} has no language")
        theirs = published[plan.published].language if plan.published else plan.language
        if theirs != plan.language:
            raise InputError(
                f"{option}: {plan.name} is of language {plan.language}, but the published row "
                f"{plan.published} of {theirs}"
            )
    keys = {(plan.language, plan.run) for plan in plans}
    if lost := [plan for plan in plans if plan.before and (plan.language, plan.before) not in keys]:
        raise InputError(
            f"{option}: {lost[0].name} began with {lost[0].before}, which is no row of language "
            f"{lost[0].language}"
        )
    runs = [f"{plan.run} ({plan.language})" for plan in plans if plan.run]
    refuse_twice(runs, option)
    return plans


def read_columns(
    text: str, number: str, option: str = "--columns"
) -> dict[str, str | dict[str, str]]:
    """Read ``{"NSC1": "nsc1/val", …}``: the test set of each column that is measured.

    A test set may be given for each language: ``{"WER": {"de": "cv-de/dev", …}}``.
    """
    known = list(HEADINGS[number])
    columns = from_json(text, option)
    if not isinstance(columns, dict):
        raise InputError(f'{option}: not of the form {{"column": "corpus/part", …}}')
    if unknown := [name for name in columns if name not in known]:
        raise InputError(
            f"{option}: the table has no column {unknown[0]}; it has {', '.join(known)}"
        )
    for name, tests in columns.items():
        found = list(tests.values()) if isinstance(tests, dict) else [tests]
        if not all(isinstance(test, str) and test for test in found):
            raise InputError(f"{option}: {name} needs the name of a test set, such as cv-de/dev")
    return columns


def tests_of(
    columns: Mapping[str, str | dict[str, str]], language: str, option: str
) -> dict[str, str]:
    """Test set by column, for the runs of one language; InputError where a column has none."""
    found = {}
    for column, tests in columns.items():
        if isinstance(tests, dict) and language not in tests:
            raise InputError(f"{option}: {column} has no test set of language {language}")
        found[column] = tests[language] if isinstance(tests, dict) else tests
    return found
