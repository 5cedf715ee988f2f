"""What the page's summary counts, from the verdicts and tables as the steps write them."""

import pytest

from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.page_records import read_record
from hearsay.paper.page_summary import Counts, count
from hearsay.paper.tables import Column, Row, Table
from hearsay.provenance import Run


@pytest.mark.parametrize(
    ("holding", "kind"),
    [([True, True], "hold"), ([True, False], "partly"), ([False], "fail"), ([], "undecided")],
)
def test_a_verdict_is_counted_as_it_is_told(holding, kind):
    told = verdict("A is better", [Case(h, "1 against 2") for h in holding], [Case(True, "x")])
    assert told.verdicts == (kind,)
    counts = count([], [together(["6 models.", told, "", told]).about("Table 1")])
    assert counts == Counts(**{kind: 2})
    assert counts.claims == 2


def test_a_finding_is_plain_and_says_only_what_it_has():
    told = together([Told("It holds.", ("hold",)), Told(""), "Of 2 rows: 1 not run."])
    assert told.about("Table 1") == {
        "subject": "Table 1",
        "text": "It holds. Of 2 rows: 1 not run.",
        "verdicts": ["hold"],
    }
    assert Told("6 models.").about("Models") == {"subject": "Models", "text": "6 models."}


def test_what_a_record_holds_is_counted(tmp_path):
    path = tmp_path / "table.run.json"
    cases = [[True], [True, False], [False], [False], []]
    told = together(verdict("A is better", [Case(h, "1 against 2") for h in c]) for c in cases)
    Run("hearsay.paper.tables", settings={}).write(path, findings=[told.about("Table 1")])
    counts = count([], read_record(path).findings)
    assert counts == Counts(hold=1, partly=1, fail=2, undecided=1)


def test_sentences_alone_count_nothing():
    told = "EGRU is better: holds (1 against 2)."
    assert count([], [{"subject": "Table 1", "text": told}]) == Counts()


def test_no_record_of_these_tests_may_count_what_it_does_not_tell(tmp_path):
    told = {"subject": "Table 1", "text": "EGRU is better: holds (1 against 2)."}
    run = Run("hearsay.paper.tables", settings={})
    run.write(tmp_path / "run.json", findings=[told | {"verdicts": ["hold"]}])
    for verdicts in (["fail"], ["hold", "hold"], []):
        with pytest.raises(AssertionError):
            run.write(tmp_path / "run.json", findings=[told | {"verdicts": verdicts}])
    with pytest.raises(AssertionError):
        run.write(tmp_path / "run.json", findings=[told])


def test_rows_are_counted_by_state():
    columns = [Column("a", "A"), Column("b", "B", "number"), Column("b_published", "", "number")]
    rows = [
        Row({"a": "x", "b": 1.0, "b_published": 2.0, "b_difference": -1.0}),
        Row({"a": "x", "b": 1.0, "b_published": 2.0, "b_difference": None}),
        Row({"a": "x", "b": 1.0, "b_published": float("nan")}),
        Row({"a": "x", "b_published": 2.0}, not_run="not run: licence"),
    ]
    counts = count([Table(columns, rows)], [], items_absent=2)
    assert counts == Counts(measured=3, beside=2, compared=1, absent=1, items_absent=2)
    assert (counts + counts).rows == 8
    assert counts.claims == 0


def test_rows_that_hold_what_was_given_are_not_measured():
    rows = [Row({"a": "heard"}, given=True), Row({"a": "decoded"})]
    counts = count([Table([Column("a", "A")], rows)], [])
    assert counts == Counts(measured=1, given=1)
    assert counts.rows == 2


def test_rows_over_one_seed_are_counted():
    rows = [Row({"seeds": 1}), Row({"seeds": 3.0}), Row({"seeds": None}), Row({})]
    rows.append(Row({"seeds": 1}, not_run="not run: licence"))
    assert count([Table([Column("a", "A")], rows)], []) == Counts(
        measured=4, seeded=2, one_seed=1, absent=1
    )


def test_what_two_tables_tell_alike_counts_once():
    told = verdict("A is better", [Case(True, "1 against 2")])
    assert count([], [told.about(f"Table {k}") for k in (1, 2)]).hold == 1
