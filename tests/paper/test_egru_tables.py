"""Tables 1 and 2 of the EGRU paper: published values, cells, what is missing, the claims."""

import csv
import json
import math
import re

import pytest

from hearsay.errors import InputError
from hearsay.metrics.scores import write_scores
from hearsay.paper import egru_table1, egru_table2
from hearsay.paper.egru import PREDICTIONS, PUBLISHED, read_measurements, read_published
from hearsay.paper.egru_rows import NO_PERPLEXITY, OWN_ROWS, PAPER_ROWS
from hearsay.paper.plans import read_plans
from hearsay.paper.runs import NOT_RUN, read_paths
from hearsay.paper.tables import read_table

KINDS = ("csv", "markdown", "tex", "json", "run")
STEPS = {"1": egru_table1, "2": egru_table2}
PAPER = {  # as printed: parameters, effective MAC, validation, test, activity, backward sparsity
    "1": {
        "LSTM": "24M - 61.8 59.6 - -",
        "AWD-LSTM": "24M 24M 60.0 57.3 - -",
        "GRU 1350": "24M 24M 68.5 66.3 - -",
        "EGRU 1350": "31M 7.3M 61.3 58.7 83.0 47.4",
        "EGRU 2000": "54M 11.8M 60.9 58.8 85.8 39.8",
    },
    "2": {
        "LSTM": "24M - 69.3 65.9 - -",
        "AWD-LSTM": "33M 32M 68.6 65.8 - -",
        "GRU 1350": "43M 30.1M 76.8 73.0 - -",
        "EGRU 1350": "48M 7.9M 72.2 69.0 80.3 49.6",
        "EGRU 2000": "71M 11.3M 71.4 68.6 83.9 46.7",
    },
}
HIDDEN = {"LSTM": "-", "AWD-LSTM": "1150", "GRU 1350": "1350", "EGRU 1350": "1350"}
HIDDEN |= {"EGRU 2000": "2000"}


def score_rows(run, perplexities, model="egru", *, corpus="text", n=PREDICTIONS["1"], **metrics):
    """Scores of one run, one seed for each perplexity; validation is 3 above."""
    rows = []
    for seed, perplexity in enumerate(perplexities):
        values = {
            "test_perplexity": perplexity,
            "validation_perplexity": perplexity + 3,
            "parameters": 31.66e6,
            "hidden_size": 1350,
            "embedding_size": 750,
            "epochs": 20,
            "training_tokens_per_second": 5000.0 + seed,
            "dense_macs": 31.7e6,
            "dense_macs_rnn": 24.2e6,
            "effective_macs": 31.7e6,
            "effective_macs_rnn": 24.2e6,
        }
        if model == "egru":
            values |= {"effective_macs": 7.25e6, "effective_macs_rnn": 6.5e6}
            values |= {"effective_macs_lookup": 4.2e6, "activity_sparsity": 0.83}
            values |= {"activity_sparsity_layer1": 0.791, "activity_sparsity_layer2": 0.8}
            values |= {"activity_sparsity_layer3": 0.973, "backward_sparsity": 0.45}
            values |= {f"backward_sparsity_layer{k}": 0.4 + k / 10 for k in (1, 2, 3)}
        base = {"system": "lm", "experiment": run, "subject_or_language": corpus}
        base |= {"model": model, "seed": seed, "run": f"{run[:4]:x<11}{seed}"}
        for name, value in (values | metrics).items():
            count = n if name.endswith("perplexity") else None
            rows.append({**base, "metric": name, "value": value, "n": count})
    return [row for row in rows if row["value"] is not None]


@pytest.fixture
def make(tmp_path, outputs):
    """Run the step of a table on score rows; its outputs' paths."""

    def made(number, plans, rows=None, *, corpus="text", why=""):
        scores = None
        if rows is not None:
            scores = tmp_path / "scores.csv"
            write_scores(scores, rows)
        paths = outputs(tmp_path, f"egru_table{number}", *KINDS)
        described = json.dumps(plans)
        STEPS[number].main(corpus=corpus, rows=described, scores=scores, why=why, **paths)
        return paths

    return made


def plan(run, published=None, **more):
    return {"run": run, "published": published, "title": run.upper(), **more}


def cells_of(paths):
    with paths["csv"].open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def claims(paths):
    (finding,) = json.loads(paths["run"].read_text(encoding="utf-8"))["findings"]
    return finding["text"]


# --- the published values -------------------------------------------------------------------------


@pytest.mark.parametrize("number", PAPER)
def test_published_values_are_those_that_the_paper_prints(number):
    with PUBLISHED.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["table"] == number]
    assert [row["row"] for row in rows] == list(PAPER[number])
    keys = ["parameters", "effective_mac", "validation", "test"]
    keys += ["activity_sparsity", "backward_sparsity"]
    for row in rows:
        assert " ".join(row[key] or "-" for key in keys) == PAPER[number][row["row"]]
        assert (row["hidden"] or "-") == HIDDEN[row["row"]]
        assert row["source"] == f"EGRU paper, Table {number}"


def test_second_hand_values_are_kept_apart():
    published = read_published(PUBLISHED)
    quoted = published[~published["table"].isin(["1", "2"])]
    assert dict(zip(quoted["row"], quoted["test"], strict=True)) == {
        "EGRU 1350": 57.2,
        "EGRU 2000": 57.0,
    }
    assert quoted["source"].str.contains("second hand").all()


# --- cells ----------------------------------------------------------------------------------------


def test_a_run_stands_beside_its_row_with_mean_spread_and_difference(make):
    rows = score_rows("big", [60.0, 61.0, 59.0])
    (row,) = [r for r in cells_of(make("1", [plan("big", "EGRU 1350")], rows)) if not r["not_run"]]
    assert (row["row"], row["run_name"], row["seeds"]) == ("EGRU 1350", "big", "3")
    assert float(row["test"]) == 60
    assert (row["test_spread"], row["test_published"]) == ("59.00–61.00", "58.7")
    assert float(row["test_difference"]) == pytest.approx(1.3)
    assert float(row["test_deviation"]) == pytest.approx(1)
    assert float(row["validation_difference"]) == pytest.approx(63 - 61.3)
    assert (row["hidden_published"], row["hidden"], row["embedding"]) == ("1350", "1350", "750")
    assert (row["parameters_published"], row["parameters_millions"]) == ("31M", "31.66")
    assert (row["effective_mac_published"], row["effective_macs_millions"]) == ("7.3M", "7.25")
    assert (row["effective_macs_rnn_millions"], row["dense_macs_rnn_millions"]) == ("6.5", "24.2")
    assert row["effective_macs_lookup_millions"] == "4.2"
    assert (row["activity_sparsity"], row["activity_sparsity_published"]) == ("83.0", "83.0")
    assert row["active_layers"] == "20.9 / 20.0 / 2.7"
    assert row["backward_layers"] == "50.0 / 60.0 / 70.0"
    assert float(row["activity_sparsity_layer3"]) == pytest.approx(97.3)
    assert float(row["tokens_per_second"]) == pytest.approx(5001)
    assert row["run"] == "bigxxxxxxxx0"
    assert row["records"].split() == [f"bigxxxxxxxx{seed}" for seed in range(3)]


def test_one_seed_has_no_spread_and_a_dense_model_no_sparsity(make):
    paths = make("1", [plan("gru", "GRU 1350")], score_rows("gru", [66.0], "gru"))
    (row,) = [r for r in cells_of(paths) if not r["not_run"]]
    assert row["test_spread"] == row["test_deviation"] == row["test_low"] == ""
    assert row["activity_sparsity"] == row["active_layers"] == row["backward_sparsity"] == ""
    assert row["effective_macs_millions"] == row["dense_macs_millions"] == "31.7"
    shown = {column.key for column in read_table(paths["json"]).shown}
    assert "test_spread" not in shown
    assert "activity_sparsity_published" in shown


def test_no_seed_is_chosen_and_a_failed_one_is_named(make):
    rows = score_rows("big", [60.0, 70.0, math.nan])
    plans = [plan("big", "EGRU 1350", seeds=[0, 1, 2, 3])]
    paths = make("1", plans, rows)
    row = next(r for r in cells_of(paths) if r["run_name"] == "big")
    assert (float(row["test"]), row["seeds"]) == (65, "2")
    notes = read_table(paths["json"]).notes
    assert "BIG: no test perplexity of seed 2." in notes
    assert "BIG: no scores of seed 3." in notes
    # A metric that some seed lacks has no mean that n seeds stand behind.
    less = [r for r in rows if not (r["seed"] == 1 and r["metric"] == "activity_sparsity")]
    row = next(r for r in cells_of(make("1", plans, less)) if r["run_name"] == "big")
    assert row["activity_sparsity"] == ""


def test_order_is_the_papers_and_then_our_own(make):
    plans = [plan("small"), plan("b", "EGRU 1350"), plan("gru"), plan("a", "EGRU 1350")]
    rows = [r for name in ("small", "b", "gru", "a") for r in score_rows(name, [60.0])]
    table = read_table(make("1", plans, rows)["json"])
    assert [(row.group, row.cells["row"], row.cells["run_name"]) for row in table.rows] == [
        (PAPER_ROWS, "LSTM, Melis et al.", None),
        (PAPER_ROWS, "AWD-LSTM, Merity et al.", None),
        (PAPER_ROWS, "GRU 1350", None),
        (PAPER_ROWS, "EGRU 1350", "b"),
        (PAPER_ROWS, "EGRU 1350", "a"),
        (PAPER_ROWS, "EGRU 2000", None),
        (OWN_ROWS, "SMALL", "small"),
        (OWN_ROWS, "GRU", "gru"),
    ]


def test_rows_without_scores_say_why_and_hold_no_measured_number(make):
    plans = [
        plan("small"),
        plan("big", "EGRU 1350"),
        {"run": None, "published": "LSTM", "why": "not run: another paper's model"},
        plan("lost"),
    ]
    rows = score_rows("small", [90.0]) + score_rows("lost", [math.inf])
    found = cells_of(make("1", plans, rows))
    reasons = {row["row"]: row["not_run"] for row in found}
    assert reasons == {
        "LSTM, Melis et al.": "not run: another paper's model",
        **dict.fromkeys(["AWD-LSTM, Merity et al.", "GRU 1350", "EGRU 1350", "EGRU 2000"], NOT_RUN),
        "SMALL": "",
        "LOST": NO_PERPLEXITY,
    }
    allowed = {"row", "run_name", "not_run", "hidden_published", "parameters_published"}
    allowed |= {"validation_published", "test_published", "effective_mac_published"}
    allowed |= {"activity_sparsity_published", "backward_sparsity_published", "published_source"}
    for row in found:
        if row["not_run"]:
            assert {key for key, value in row.items() if value} <= allowed


def test_a_corpus_under_licence_leaves_the_published_values(make):
    paths = make("1", [plan("big", "EGRU 1350")], why="not run: licence")
    rows = cells_of(paths)
    assert {row["not_run"] for row in rows} == {"not run: licence"}
    assert [row["test_published"] for row in rows] == ["59.6", "57.3", "66.3", "58.7", "58.8"]
    assert paths["markdown"].read_text(encoding="utf-8").count("not run: licence") == 5
    assert claims(paths) == "Nothing was measured, so no claim can be checked."


def test_another_text_is_not_compared_with_the_published_perplexity(make):
    plans = [plan("big", "EGRU 1350")]
    paths = make("1", plans, score_rows("big", [8.0], n=4000))
    row = next(r for r in cells_of(paths) if r["run_name"] == "big")
    assert (row["test"], row["test_published"], row["test_difference"]) == ("8.0", "58.7", "")
    (note,) = [note for note in read_table(paths["json"]).notes if "4000" in note]
    assert "not the 82429 of Penn Treebank" in note
    assert "is reached" not in claims(paths)
    # The same number of tokens is WikiText-2's in the other table.
    paths = make("2", plans, score_rows("big", [70.0], n=PREDICTIONS["2"]))
    row = next(r for r in cells_of(paths) if r["run_name"] == "big")
    assert float(row["test_difference"]) == pytest.approx(1)
    paths = make("1", plans, score_rows("big", [8.0], n=None))
    assert any("do not say over how many" in note for note in read_table(paths["json"]).notes)


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", STEPS)
def test_every_form_of_both_tables(make, number):
    name = "a_b & 50 %"
    count = PREDICTIONS[number]
    rows = score_rows(name, [60.0, 61.0], n=count) + score_rows("gru", [66.0], "gru", n=count)
    plans = [plan(name, "EGRU 1350"), plan("gru")]
    paths = make(number, plans, rows)
    table = read_table(paths["json"])
    assert len(cells_of(paths)) == len(table.rows) == 6
    tex, markdown = (paths[kind].read_text(encoding="utf-8") for kind in ("tex", "markdown"))
    body = tex[tex.index(r"\toprule") : tex.index(r"\bottomrule")]
    for line in body.splitlines():
        if line.endswith(r" \\"):
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + spans == len(table.shown) - 1, line
    assert r"a\_b \& 50 \%" in tex
    assert "U+" not in tex
    assert tex.isascii()
    assert tex.count("{") - tex.count(r"\{") == tex.count("}") - tex.count(r"\}")
    assert "Effective MAC, millions: without decoder" in markdown
    assert f"EGRU paper, Table {number}" in markdown
    assert "fit only without it" in markdown
    assert ("57.2" in "".join(table.notes)) == (number == "1")
    record = json.loads(paths["run"].read_text(encoding="utf-8"))
    assert record["settings"]["corpus"] == "text"
    assert len(record["inputs"]) == 2
    assert record["findings"][0]["subject"] == f"Table {number}, text"
    before = {kind: paths[kind].read_bytes() for kind in ("csv", "markdown", "tex", "json")}
    again = make(number, plans, rows)
    assert before == {kind: again[kind].read_bytes() for kind in before}


# --- claims ---------------------------------------------------------------------------------------


def test_claims_that_hold(make):
    plans = [plan("egru", "EGRU 1350"), plan("gru", "GRU 1350"), plan("awd", "AWD-LSTM")]
    rows = score_rows("egru", [58.0, 58.4]) + score_rows("gru", [66.0, 66.2], "gru")
    rows += score_rows("awd", [57.0], "lstm", hidden_size=1150, epochs=500)
    paths = make("1", plans, rows)
    text = claims(paths)
    assert (
        "EGRU does as well as the GRU of equal width: holds (EGRU 58.20, GRU 66.10: 12.0 % lower, "
        "seeds apart). In the paper's values: 1 of 1 (EGRU 1350 58.7, GRU 1350 66.3)."
    ) in text
    assert "LSTM of equal width: cannot be checked in this configuration. EGRU comes" in text
    assert (
        "EGRU comes within 5 % of AWD-LSTM: holds (EGRU 58.20, AWD 57.00: 2.1 % higher, one seed, "
        "so no spread, unlike epochs 20 and 500). In the paper's values: 2 of 2 ("
    ) in text
    assert "Activity sparsity is above 80 %: holds (EGRU 83.0 %). In the paper's" in text
    assert (
        "with and without the decoder: holds (EGRU 7.25M for 31.7M, 6.5M for 24.2M without). In"
        in text
    )
    assert "perplexity is reached: holds (AWD 57.00 for 57.3; GRU 66.10 for 66.3; EGRU" in text


def test_claims_that_do_not_hold_say_so_with_the_numbers(make):
    plans = [plan("egru", "EGRU 1350"), plan("gru", "GRU 1350")]
    weak = {"activity_sparsity": 0.5, "effective_macs": 32e6}
    rows = score_rows("egru", [68.0, 70.0], **weak)
    rows += score_rows("gru", [66.0, 69.0], "gru", embedding_size=400)
    text = claims(make("1", plans, rows))
    assert (
        "GRU of equal width: does not hold here (EGRU 69.00, GRU 67.50: 2.2 % higher, seeds "
        "overlap, unlike embeddings of 750 and 400)."
    ) in text
    assert "Activity sparsity is above 80 %: does not hold here (EGRU 50.0 %)." in text
    assert "decoder: does not hold here (EGRU 32M for 31.7M, 6.5M for 24.2M without)." in text
    assert "perplexity is reached: does not hold here (GRU 67.50 for 66.3; EGRU 69.00 for" in text


def test_equal_means_the_same_width_and_many_cases_are_counted(make):
    runs = {f"egru-{k}": 64.0 + k for k in range(6)}
    plans = [plan(name) for name in [*runs, "gru"]]
    rows = [row for name, value in runs.items() for row in score_rows(name, [value])]
    text = claims(make("1", plans, rows + score_rows("gru", [66.5], "gru")))
    assert "equal width: holds for 3 of 6 only (EGRU-3 67.00, GRU 66.50: 0.8 % higher" in text
    assert "; and 2 more)." in text
    other = score_rows("gru", [66.5], "gru", hidden_size=650)
    text = claims(make("1", plans, rows + other))
    assert "GRU of equal width: cannot be checked in this configuration." in text


def test_variants_of_our_own_are_not_judged_for_the_papers_egru(make):
    names = ["variant", "gru", "small", "gru-small"]
    plans = [plan("egru", "EGRU 1350"), *map(plan, names)]
    rows = score_rows("egru", [67.0]) + score_rows("variant", [60.0])
    rows += score_rows("gru", [66.0], "gru") + score_rows("small", [90.0], hidden_size=512)
    rows += score_rows("gru-small", [91.0], "gru", hidden_size=512)
    text = claims(make("1", plans, rows))
    assert "GRU of equal width: holds for 1 of 2 only (EGRU 67.00, GRU 66.00:" in text
    assert "; SMALL 90.00, GRU-SMALL 91.00: 1.1 % lower" in text
    assert text.endswith("Not in these verdicts: VARIANT.")


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("5", "not a list of"),
        ('[{"runs": "a"}]', "not a list of"),
        ("[1]", "not a list of"),
        ("[{}]", "neither a run nor a published row"),
        ('[{"run": 1}]', "is text"),
        ('[{"run": "a", "why": "no time"}]', 'why begins with "not run"'),
        ('[{"run": "a"}, {"run": "a"}]', "named twice: a"),
    ],
)
def test_rows_that_are_none(text, message):
    with pytest.raises(InputError, match=f"--rows: .*{message}"):
        read_plans(text)


def test_a_published_row_that_is_not_in_the_table(make):
    with pytest.raises(InputError, match="no published row EGRU 1351; it has LSTM, AWD-LSTM"):
        make("1", [plan("a", "EGRU 1351")])
    with pytest.raises(InputError, match='--why: begins with "not run"'):
        make("1", [plan("a")], why="licence")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "brain"}, "holds scores of brain, not of lm alone"),
        ({"subject_or_language": "other"}, "holds scores on other, not on text alone"),
        ({"experiment": "b"}, "holds b, which --rows does not name"),
        ({"seed": None}, "line 2 has no seed"),
        ({"model": "gru"}, "a is egru and gru; one run is one kind"),
        ({"seed": 1}, "more than one test_perplexity of a, seed 1"),
        ({"n": 5}, "perplexities of a are over 5 and 82429 tokens"),
    ],
)
def test_bad_score_files_are_named(tmp_path, change, message):
    rows = score_rows("a", [60.0, 61.0])
    write_scores(tmp_path / "scores.csv", [rows[0] | change, *rows[1:]])
    with pytest.raises(InputError, match=rf"scores\.csv: .*{message}"):
        read_measurements(tmp_path / "scores.csv", "text", read_plans('[{"run": "a"}]'))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("table,row", "table,name", "its columns must be table, row"),
        (",7.3M,", ",seven,", "line 5 has no millions, such as 7.3M, as effective_mac"),
        (",61.8,", ",x,", "line 2 has no number as validation"),
        ("1,GRU 1350,", "1,LSTM,", "line 4: more than one row of 1 LSTM"),
        (',"EGRU paper, Table 1"', ",", "line 2 lacks source"),
    ],
)
def test_bad_published_files_are_named(altered, old, new, message):
    path = altered(PUBLISHED, old, new)
    with pytest.raises(InputError, match=rf"egru\.csv: .*{message}"):
        read_published(path)


def test_paths_with_names():
    (pair,) = read_paths(["text, run=a=b.csv"], "--history")
    assert (pair[0], str(pair[1])) == ("text, run", "a=b.csv")
    for text in ("a", "a=", "=b"):
        with pytest.raises(InputError, match="--history: must be name=path"):
            read_paths([text], "--history")
