"""What the page's summary counts, from the verdicts and tables as the steps write them."""

import pytest

from hearsay.paper.claims import Case, verdict
from hearsay.paper.page_summary import Counts, count, verdicts
from hearsay.paper.tables import Column, Row, Table


@pytest.mark.parametrize(
    ("holding", "kind"),
    [([True, True], "hold"), ([True, False], "partly"), ([False], "fail"), ([], "undecided")],
)
def test_a_verdict_is_counted_as_it_is_told(holding, kind):
    told = verdict("A is better", [Case(h, "1 against 2") for h in holding], [Case(True, "x")])
    assert verdicts("Table 1", told) == [kind]
    assert verdicts("Table 1", f"{told} {told}") == [kind, kind]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("It raises BLEU: holds for 2 of 2 subjects (4 of 4 comparisons).", ["hold"]),
        ("It raises BLEU: holds for 1 of 1 subject (4 of 4 comparisons).", ["hold"]),
        ("It raises BLEU: holds for 1 of 2 subjects only (3 of 4 comparisons).", ["partly"]),
        ("It raises BLEU: does not hold for A and B (1 of 4 comparisons).", ["fail"]),
        ("BP-GPT, protocol p: beats every control by A (p = 0.03) and B (p = 0.1).", ["hold"]),
        (
            "BP-GPT: beats every control by A (p = 0.03), not by B (p = 0.3; not above noise). "
            "WR: beats every control by B (p = 0.03).",
            ["partly", "hold"],
        ),
        ("BP-GPT: does not beat every control by any measure: A (p = 0.7).", ["fail"]),
        ("Smaller α̂ goes with better accuracy, as claimed (τ = −1.00).", ["hold"]),
        ("Larger α̂ goes with better accuracy, against the claim (τ = 1.00).", ["fail"]),
        ("τ of α̂ has the claimed sign (τ = −0.60).", ["undecided"]),
        ("6 models measured. 28 not run: not in this configuration.", []),
        ("The encoder holds (at most) 3 layers.", []),
    ],
)
def test_other_sentences_are_counted_too(text, kinds):
    assert verdicts("one", text) == kinds


def test_the_papers_own_values_are_no_result():
    assert verdicts("VGG, published", "Smaller α̂ goes with better accuracy, as claimed (τ).") == []


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


def test_what_two_tables_tell_alike_counts_once():
    told = verdict("A is better", [Case(True, "1 against 2")])
    findings = [{"subject": f"Table {k}", "text": told} for k in (1, 2)]
    assert count([], findings).hold == 1
