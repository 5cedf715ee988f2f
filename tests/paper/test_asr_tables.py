"""Tables 3 to 6 of the QuartzNet transfer paper: values, cells, what is missing, the claims."""

import csv
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from hearsay.errors import InputError
from hearsay.metrics.scores import write_scores
from hearsay.paper import asr_table3, asr_table4, asr_table5, asr_table6
from hearsay.paper.asr_plans import read_columns, read_plans
from hearsay.paper.asr_published import PUBLISHED, read_published
from hearsay.paper.asr_results import seed_interval
from hearsay.paper.asr_rows import FAILED, OWN_ROWS, PAPER_ROWS
from hearsay.paper.runs import NOT_RUN
from hearsay.paper.tables import read_table

KINDS = ("csv", "markdown", "tex", "json", "run")
STEPS = {"3": asr_table3, "4": asr_table4, "5": asr_table5, "6": asr_table6}
PAPER = {  # as printed
    "3": """
        15x5 LS|3.87 11.05 32.73
        15x5 LS+CV|3.99 10.89 26.85
        15x5 5D|3.92 10.59 22.51
        15x5 NSC1|46.82 58.83 18.07
        15x5 5D -> NSC1|19.87 31.75 10.02
        15x5 5D -> NSC1+LS|4.24 11.47 9.53""",
    "4": """
        15x5 5D|22.51 54.10
        15x5 5D -> NSC1|10.02 45.90
        15x5 5D -> NSC2|72.89 6.02
        15x5 5D -> NSC1+NSC2|10.61 6.67""",
    "5": """
        5x3 CORAAL|65.39 60.32 45.59
        5x3 WSJ|15.18 11.68 84.43
        5x3 WSJ -> CORAAL|45.39 38.12 41.48
        5x3 WSJ -> CORAAL+WSJ|15.04 11.80 43.38
        15x5 CORAAL|80.98 77.30 60.15
        15x5 5D|5.55 3.38 50.91
        15x5 5D -> CORAAL|25.76 20.84 25.09
        15x5 5D -> CORAAL+WSJ|8.34 5.57 25.92""",
    "6": """
        5x3 CV-ge|30.42
        5x3 WSJ -> CV-ge|28.61
        15x5 CV-ge|23.35
        15x5 5D -> CV-ge|18.65
        5x3 CV-sp|23.29
        5x3 WSJ -> CV-sp|22.93
        15x5 CV-sp|19.82
        15x5 5D -> CV-sp|14.96
        5x3 CV-ru|42.18
        5x3 WSJ -> CV-ru|40.24
        15x5 CV-ru|59.50
        15x5 5D -> CV-ru|32.20""",
}
HEADS = {
    "3": ["dev-clean", "dev-other", "NSC1"],
    "4": ["NSC1", "NSC2"],
    "5": ["dev-93", "eval-92", "CORAAL"],
    "6": ["WER"],
}
CLIPS = {"ls/dev-clean": 2703, "ls/dev-other": 2864, "wsj/dev-93": 503, "wsj/eval-92": 333}
CLIPS |= {"cv-de/dev": 13_511, "cv-es/dev": 13_221, "cv-ru/dev": 6_110}
COLUMNS = {
    "3": {"dev-clean": "ls/dev-clean", "dev-other": "ls/dev-other", "NSC1": "nsc1/val"},
    "4": {"NSC1": "nsc1/val", "NSC2": "nsc2/val"},
    "5": {"dev-93": "wsj/dev-93", "eval-92": "wsj/eval-92", "CORAAL": "coraal/val"},
    "6": {"WER": {language: f"cv-{language}/dev" for language in ("de", "es", "ru", "fr")}},
}


def score_rows(run, rates, model="15x5", *, language="en", clips=None, **metrics):
    """Scores of one run: `rates` holds percent of each seed by test set."""
    rows = []
    seeds = max(map(len, rates.values()))
    for seed in range(seeds):
        base = {"system": "asr", "experiment": run, "subject_or_language": language}
        base |= {"model": model, "seed": seed, "run": f"{run[:4]:x<11}{seed}"}
        for test, values in rates.items():
            rate, n = values[seed] / 100, (clips or CLIPS).get(test, 40)
            found = {"wer": rate, "wer_low": rate - 0.01, "wer_high": rate + 0.02, "cer": rate / 2}
            for name, value in found.items():
                rows.append({**base, "metric": f"{name} {test}", "value": value, "n": n})
        for name, value in ({"training_seconds": 60.0 + seed} | metrics).items():
            rows.append({**base, "metric": name, "value": value, "n": None})
    return rows


def plan(run, published=None, language="en", **more):
    title = run.upper() if run else ""
    return {"language": language, "run": run, "published": published, "title": title, **more}


@pytest.fixture
def make(tmp_path, outputs):
    """Run the step of a table on score rows by language; its outputs' paths."""

    def made(number, plans, rows=None, columns=None):
        scores = []
        for language, its in (rows or {}).items():
            path = tmp_path / f"{language}.csv"
            write_scores(path, its)
            scores.append(f"{language}={path}")
        paths = outputs(tmp_path, f"asr_table{number}", *KINDS)
        tests = json.dumps(COLUMNS[number] if columns is None else columns)
        STEPS[number].main(rows=json.dumps(plans), columns=tests, scores=scores, **paths)
        return paths

    return made


def cells_of(paths):
    with paths["csv"].open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def row_of(paths, run):
    (row,) = [row for row in cells_of(paths) if row["run_name"] == run]
    return row


def claims(paths):
    (finding,) = json.loads(paths["run"].read_text(encoding="utf-8"))["findings"]
    return finding["text"]


# --- the published values -------------------------------------------------------------------------


@pytest.mark.parametrize("number", PAPER)
def test_published_values_are_those_that_the_paper_prints(number):
    printed = {}
    for line in PAPER[number].split("\n")[1:]:
        row, values = line.strip().split("|")
        printed[row] = dict(zip(HEADS[number], values.split(), strict=True))
    with PUBLISHED.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["table"] == number]
    found = {}
    for row in rows:
        found.setdefault(row["row"], {})[row["column"]] = row["value"]
        assert row["source"] == f"QuartzNet transfer paper, Table {number}"
    assert found == printed
    assert list(read_published(PUBLISHED)[number]) == list(printed)


# --- cells ----------------------------------------------------------------------------------------


def test_a_run_stands_beside_its_row_with_seeds_interval_and_difference(make):
    rates = {"cv-de/dev": [20.0, 22.0, 18.0]}
    rows = score_rows("big", rates, language="de", parameters=18_927_456, epochs_to_90=3.0)
    plans = [plan("big", "15x5 5D -> CV-ge", "de", note="public checkpoint instead of 5D")]
    row = row_of(make("6", plans, {"de": rows}), "big")
    assert (row["row"], row["train"], row["fine_tune"]) == ("15x5", "5D", "CV-ge")
    assert (row["title"], row["note"]) == ("BIG", "public checkpoint instead of 5D")
    assert float(row["wer"]) == pytest.approx(20)
    assert (row["wer_spread"], row["wer_interval"]) == ("18.00–22.00", "19.00–22.00")
    assert (float(row["wer_smallest"]), float(row["wer_largest"])) == pytest.approx((18, 22))
    assert float(row["wer_deviation"]) == pytest.approx(2)
    assert (row["wer_published"], row["wer_utterances"], row["seeds"]) == ("18.65", "13511", "3")
    assert float(row["wer_difference"]) == pytest.approx(1.35)
    assert (float(row["wer_cer"]), row["wer_test"]) == (pytest.approx(10), "cv-de/dev")
    assert (row["parameters"], row["epochs_to_90"]) == ("18927456", "3.0")
    assert float(row["training_seconds"]) == pytest.approx(61)
    assert row["records"].split() == [f"bigxxxxxxxx{seed}" for seed in range(3)]
    assert row["run"] == "bigxxxxxxxx0"


def accents(**more):
    """Plans and scores of all four kinds of row in Table 3, two seeds each."""
    plans = [
        plan("base", "15x5 5D", note="LibriSpeech instead of 5D"),
        plan("alone", "15x5 NSC1"),
        plan("target", "15x5 5D -> NSC1"),
        plan("mixed", "15x5 5D -> NSC1+LS"),
    ]
    rates = {
        "base": ([4.0, 5.0], [10.0, 12.0], [30.0, 32.0]),
        "alone": ([50.0, 52.0], [60.0, 62.0], [20.0, 21.0]),
        "target": ([20.0, 22.0], [30.0, 33.0], [10.0, 12.0]),
        "mixed": ([5.0, 6.0], [11.0, 13.0], [9.0, 10.0]),
    } | more
    tests = list(COLUMNS["3"].values())
    rows = []
    for run, values in rates.items():
        rows += score_rows(run, dict(zip(tests, values, strict=True)))
    return plans, rows


def test_source_and_target_stand_side_by_side_with_the_change_by_fine_tuning(make):
    plans, rows = accents()
    paths = make("3", plans, {"en": rows})
    row = row_of(paths, "target")
    assert float(row["dev_clean_change"]) == pytest.approx(16.5)
    assert float(row["dev_other_change"]) == pytest.approx(20.5)
    assert float(row["nsc1_change"]) == pytest.approx(-20)
    assert float(row["dev_clean_change_published"]) == pytest.approx(15.95)
    assert float(row["nsc1_change_published"]) == pytest.approx(-12.49)
    for run in ("base", "alone"):
        row = row_of(paths, run)
        assert row["dev_clean_change"] == row["dev_clean_change_published"] == ""
    # The paper's own change stands in rows that did not run, too.
    (row,) = [r for r in cells_of(make("3", [])) if r["fine_tune"] == "NSC1+LS"]
    assert float(row["dev_clean_change_published"]) == pytest.approx(0.32)


def test_a_row_may_say_what_it_began_with(make):
    plans, rows = accents()
    plans[0]["published"] = "15x5 LS"
    row = row_of(make("3", plans, {"en": rows}), "target")
    assert row["dev_clean_change"] == ""
    plans[2]["before"] = plans[3]["before"] = "base"
    paths = make("3", plans, {"en": rows})
    assert float(row_of(paths, "target")["dev_clean_change"]) == pytest.approx(16.5)
    assert "forgets the source: holds (TARGET, NSC1 31.00 to 11.00 %," in claims(paths)
    # Two rows that it may have begun with, and none named: no change is made up.
    twins = [*plans[:2], plan("target", "15x5 5D -> NSC1"), plan("one", "15x5 5D")]
    twins.append(plan("two", "15x5 5D"))
    more = [row | {"experiment": run} for run in ("one", "two") for row in rows[:26]]
    paths = make("3", twins, {"en": rows + more})
    assert row_of(paths, "target")["dev_clean_change"] == ""
    expected = "TARGET: no change is given, since it may have begun with ONE or TWO."
    assert expected in read_table(paths["json"]).notes


def test_rows_without_scores_say_why_and_hold_no_measured_number(make):
    plans = [
        plan("own", language="de", model="5x3", train="CV-ge"),
        plan(None, "15x5 5D -> CV-ge", "de", why="not run: licence"),
        plan("lost", "15x5 CV-ge", "de"),
        plan("later", "15x5 CV-sp", "es", why="not run: no GPU"),
    ]
    rows = score_rows("own", {"cv-de/dev": [30.0]}, "5x3", language="de")
    rows += score_rows("lost", {"cv-de/dev": [math.nan]}, language="de")
    paths = make("6", plans, {"de": rows})
    found = cells_of(paths)
    reasons = {row["published_row"] or row["title"]: row["not_run"] for row in found}
    assert reasons["15x5 5D -> CV-ge"] == "not run: licence"
    assert reasons["15x5 CV-sp"] == "not run: no GPU"
    assert reasons["15x5 CV-ge"] == FAILED
    assert reasons["OWN"] == ""
    absent = [row for row in found if row["not_run"]]
    assert [row["not_run"] for row in absent].count(NOT_RUN) == 12 - 3
    allowed = {"row", "train", "fine_tune", "title", "language", "run_name", "not_run"}
    allowed |= {"published_row", "published_source", "wer_published", "wer_change_published"}
    for row in absent:
        assert {key for key, value in row.items() if value} <= allowed
        assert row["wer_published"]
    assert "| not run: licence |" in paths["markdown"].read_text(encoding="utf-8")
    assert "1 not run: licence" in claims(paths)
    assert "9 not run: not in this configuration" in claims(paths)


def test_without_any_scores_the_published_values_stand_alone(make):
    for number in STEPS:
        paths = make(number, [], columns={})
        rows = cells_of(paths)
        assert {row["not_run"] for row in rows} == {NOT_RUN}
        assert len(rows) == PAPER[number].count("|")
        assert claims(paths).startswith("Nothing was measured, so no claim can be checked. Of ")


def test_a_column_that_a_run_was_not_tested_for_is_empty_and_noted(make):
    plans, rows = accents()
    few = [r for r in rows if r["experiment"] != "target" or "nsc1" not in r["metric"]]
    paths = make("3", plans, {"en": few})
    row = row_of(paths, "target")
    assert row["nsc1"] == row["nsc1_difference"] == row["nsc1_change"] == row["nsc1_test"] == ""
    assert float(row["dev_clean_change"]) == pytest.approx(16.5)
    assert "Not tested on nsc1/val: TARGET." in read_table(paths["json"]).notes
    text = claims(paths)
    assert "from scratch: holds (MIXED 9.50 %, ALONE 20.50 %" in text
    assert "forgets the source: holds (TARGET, dev-clean 4.50 to 21.00 %" in text


def test_librispeech_shows_forgetting_in_table5_without_wsj(make):
    columns = COLUMNS["5"] | {"dev-clean": "ls/dev-clean", "dev-other": "ls/dev-other"}
    plans = [
        plan("base", "15x5 5D", note="public checkpoint"),
        plan("target", "15x5 5D -> CORAAL"),
        plan("mixed", "15x5 5D -> CORAAL+WSJ", note="LibriSpeech instead of WSJ"),
    ]
    rows = []
    for run, (source, target) in {"base": (4, 50), "target": (20, 25), "mixed": (5, 26)}.items():
        rows += score_rows(run, {"ls/dev-clean": [source], "coraal/val": [target]})
    paths = make("5", plans, {"en": rows}, columns)
    assert float(row_of(paths, "target")["dev_clean_change"]) == pytest.approx(16)
    shown = {column.key for column in read_table(paths["json"]).shown}
    assert {"dev_clean", "dev_clean_change", "dev_93_published"} <= shown
    assert not shown & {"dev_clean_published", "dev_93", "dev_other"}
    notes = read_table(paths["json"]).notes
    assert "Not tested on wsj/dev-93: BASE, TARGET, MIXED." in notes
    assert not [note for note in notes if "ls/dev-other" in note]  # the table has no such column
    text = claims(paths)
    assert "forgets the source: holds (TARGET, CORAAL 50.00 to 25.00 %, dev-clean 4.00 to" in text
    assert "retains most of it: holds (MIXED, CORAAL" in text


def test_no_seed_is_chosen_and_a_failed_one_is_named(make):
    rates = {"cv-de/dev": [20.0, 30.0, math.nan]}
    plans = [plan("big", "15x5 CV-ge", "de", seeds=[0, 1, 2, 3])]
    paths = make("6", plans, {"de": score_rows("big", rates, language="de")})
    row = row_of(paths, "big")
    assert (float(row["wer"]), row["seeds"]) == (pytest.approx(25), "2")
    notes = read_table(paths["json"]).notes
    assert "German BIG: no word error rate of seed 2." in notes
    assert "German BIG: no scores of seed 3." in notes


def test_one_seed_has_an_interval_but_no_spread(make):
    rates = {"cv-de/dev": [20.0]}
    paths = make(
        "6", [plan("a", "15x5 CV-ge", "de")], {"de": score_rows("a", rates, language="de")}
    )
    row = row_of(paths, "a")
    assert (row["wer_spread"], row["wer_interval"]) == ("", "19.00–22.00")
    assert "wer_spread" not in {column.key for column in read_table(paths["json"]).shown}


def test_stand_ins_and_another_network_are_labelled_in_the_row(make):
    plans = [plan("tiny", "5x3 WSJ -> CV-ge", "de", note="LibriSpeech 5x3 instead of WSJ")]
    rows = score_rows("tiny", {"cv-de/dev": [40.0]}, "5x2", language="de")
    paths = make("6", plans, {"de": rows})
    assert row_of(paths, "tiny")["model_measured"] == "5x2"
    for kind in ("markdown", "tex", "json"):
        assert "LibriSpeech 5x3 instead of WSJ" in paths[kind].read_text(encoding="utf-8")
    assert "(German TINY 40.00 for 28.61 (LibriSpeech 5x3 instead of WSJ))" in claims(paths)


def test_generated_speech_is_not_compared_with_the_paper(make):
    plans = [plan("a", "15x5 CV-ge", "de", comparable=False)]
    rows = score_rows("a", {"cv-de/dev": [5.0]}, language="de")
    paths = make("6", plans, {"de": rows})
    row = row_of(paths, "a")
    assert (float(row["wer"]), row["wer_published"]) == (pytest.approx(5), "23.35")
    assert row["wer_difference"] == ""
    assert "is reached" not in claims(paths)
    notes = read_table(paths["json"]).notes
    assert "Tested on other speech than the paper's, so not compared: German A." in notes


def test_a_test_set_of_another_size_is_not_compared(make):
    plans, rows = accents()
    few = [dict(r, n=100) if "dev-clean" in r["metric"] else r for r in rows]
    paths = make("3", plans, {"en": few})
    row = row_of(paths, "target")
    assert row["dev_clean_difference"] == ""
    assert float(row["dev_other_difference"]) == pytest.approx(31.5 - 31.75)
    assert float(row["nsc1_difference"]) == pytest.approx(11 - 10.02)  # its size is not known
    (note,) = [note for note in read_table(paths["json"]).notes if "ls/dev-clean" in note]
    assert note.startswith("ls/dev-clean has 100 utterances, not the 2703 of the paper's")
    unknown = [dict(r, n=None) if "dev-clean" in r["metric"] else r for r in rows]
    notes = read_table(make("3", plans, {"en": unknown})["json"]).notes
    assert any("ls/dev-clean does not say how many utterances" in note for note in notes)
    # A few clips that could not be read do not make it another test set.
    nearly = [dict(r, n=2700) if "dev-clean" in r["metric"] else r for r in rows]
    row = row_of(make("3", plans, {"en": nearly}), "target")
    assert float(row["dev_clean_difference"]) == pytest.approx(21 - 19.87)


def test_a_language_stands_under_its_name(make):
    plans = [plan("own", language="fr", train="x", language_name="French")]
    rows = {"fr": score_rows("own", {"cv-fr/dev": [50.0]}, language="fr")}
    assert read_table(make("6", plans, rows)["json"]).rows[-1].group == "French"


def test_table6_is_by_language_the_papers_rows_first(make):
    plans = [plan("own", language=code, train="x") for code in ("fr", "ru", "de")]
    plans += [plan("big", "15x5 CV-ru", "ru")]
    rows = {
        code: score_rows("own", {f"cv-{code}/dev": [50.0]}, language=code)
        for code in ("fr", "ru", "de")
    }
    rows["ru"] += score_rows("big", {"cv-ru/dev": [60.0]}, language="ru")
    table = read_table(make("6", plans, rows)["json"])
    assert [row.group for row in table.rows] == [
        *["German"] * 5,
        *["Spanish"] * 4,
        *["Russian"] * 5,
        "fr",
    ]
    assert [row.cells["run_name"] for row in table.rows if row.group == "Russian"] == [
        None,
        None,
        "big",
        None,
        "own",
    ]


def test_rows_of_our_own_follow_the_papers(make):
    plans = [plan("own"), plan("b", "15x5 NSC1"), plan("a", "15x5 NSC1")]
    tests = COLUMNS["3"].values()
    rows = [r for p in plans for r in score_rows(p["run"], {test: [9.0] for test in tests})]
    paths = make("3", plans, {"en": rows})
    table = read_table(paths["json"])
    runs = [(row.group, row.cells["run_name"]) for row in table.rows]
    assert runs[3:] == [
        (PAPER_ROWS, "b"),
        (PAPER_ROWS, "a"),
        (PAPER_ROWS, None),
        (PAPER_ROWS, None),
        (OWN_ROWS, "own"),
    ]
    assert claims(paths).count("Not in these verdicts: OWN.") == 1


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", STEPS)
def test_every_form_of_every_table(make, number):
    name = "a_b & 50 % <x>"
    row = PAPER[number].strip().split("|")[0]
    language = "de" if number == "6" else "en"
    tests = [test["de"] if isinstance(test, dict) else test for test in COLUMNS[number].values()]
    rows = score_rows(name, {test: [60.0, 61.0] for test in tests}, language=language)
    plans = [plan(name, row, language, note="$x instead of y")]
    paths = make(number, plans, {language: rows})
    table = read_table(paths["json"])
    assert len(cells_of(paths)) == len(table.rows) == PAPER[number].count("|")
    tex, markdown = (paths[kind].read_text(encoding="utf-8") for kind in ("tex", "markdown"))
    body = tex[tex.index(r"\toprule") : tex.index(r"\bottomrule")]
    for line in body.splitlines():
        if line.endswith(r" \\"):
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + spans == len(table.shown) - 1, line
    assert r"A\_B \& 50 \%" in tex
    assert "U+" not in tex
    assert tex.isascii()
    assert "A\\_B &amp; 50 % &lt;X&gt;" in markdown
    assert f"QuartzNet transfer paper, Table {number}" in markdown
    assert ("eval-93 in its text" in markdown) == (number == "5")
    record = json.loads(paths["run"].read_text(encoding="utf-8"))
    assert record["settings"]["columns"] == COLUMNS[number]
    assert len(record["inputs"]) == 2
    assert record["findings"][0]["subject"] == f"Table {number}"
    before = {kind: paths[kind].read_bytes() for kind in ("csv", "markdown", "tex", "json")}
    again = make(number, plans, {language: rows[::-1]})  # the order of scores does not matter
    assert before == {kind: again[kind].read_bytes() for kind in before}


# --- claims ---------------------------------------------------------------------------------------


def test_claims_that_hold(make):
    plans, rows = accents()
    text = claims(make("3", plans, {"en": rows}))
    assert (
        "Fine-tuning a trained model beats training from scratch: holds (TARGET 11.00 %, ALONE "
        "20.50 %: 9.50 points lower, 2 seeds from -10.00 to -9.00, 95 % interval -15.85 to -3.15; "
        "MIXED 9.50 %, ALONE 20.50 %: 11.00 points lower, 2 seeds from -11.00 to -11.00, "
    ) in text
    assert (
        "In the paper's values: 2 of 2 (15x5 5D then NSC1 10.02 %, 15x5 NSC1 18.07 %; 15x5 5D then "
        "NSC1+LS 9.53 %, 15x5 NSC1 18.07 %)."
    ) in text
    assert (
        "Fine-tuning on the target alone forgets the source: holds (TARGET, NSC1 31.00 to 11.00 %, "
        "dev-clean 4.50 to 21.00 %: 16.50 points higher, 2 seeds from +16.00 to +17.00, "
    ) in text
    assert (
        "A mixture with source speech retains most of it: holds (MIXED, NSC1 31.00 to 9.50 % where "
        "the target alone gives 11.00, dev-clean 4.50 to 5.50 % where the target alone gives "
        "21.00: 1.00 points higher, "
    ) in text
    assert "of it: holds" in text
    assert "The published word error rate is reached: holds for 2 of 12 only (" in text
    assert text.endswith("Of 6 rows: 2 not run: not in this configuration.")


def test_claims_that_do_not_hold_say_so_with_the_numbers(make):
    plans, rows = accents(
        target=([4.0, 6.0], [30.0, 33.0], [22.0, 20.0]),
        mixed=([20.0, 22.0], [25.0, 26.0], [25.0, 26.0]),
    )
    text = claims(make("3", plans, {"en": rows}))
    assert (
        "beats training from scratch: does not hold here (TARGET 21.00 %, ALONE 20.50 %: 0.50 "
        "points higher, 2 seeds from -1.00 to +2.00, 95 % interval -18.56 to +19.56, with 0 inside;"
    ) in text
    # dev-clean rises on average, if not in every seed.
    assert "forgets the source: holds (TARGET, NSC1 31.00 to 21.00 %, dev-clean 4.50 to" in text
    assert "retains most of it: does not hold here (MIXED, NSC1" in text
    nothing = accents(target=([3.0, 3.0], [9.0, 9.0], [15.0, 15.0]))
    text = claims(make("3", nothing[0], {"en": nothing[1]}))
    assert "forgets the source: does not hold here (TARGET, NSC1 31.00 to 15.00 %," in text
    assert "retains most of it: cannot be checked in this configuration." in text


def test_transfer_is_judged_by_language_and_size(make):
    plans, rows = [], {}
    rates = {"de": (30.0, 20.0, 25.0), "es": (20.0, 22.0, 30.0), "ru": (60.0, 30.0, 40.0)}
    for code, name in (("de", "CV-ge"), ("es", "CV-sp"), ("ru", "CV-ru")):
        plans += [
            plan("scratch", f"15x5 {name}", code),
            plan("transfer", f"15x5 5D -> {name}", code),
            plan("small", f"5x3 WSJ -> {name}", code),
        ]
        scratch, transfer, small = ([rate, rate + 1] for rate in rates[code])
        test, of = f"cv-{code}/dev", {"language": code}
        rows[code] = score_rows("scratch", {test: scratch}, **of)
        rows[code] += score_rows("transfer", {test: transfer}, **of)
        rows[code] += score_rows("small", {test: small}, "5x3", **of)
    text = claims(make("6", plans, rows))
    assert "from scratch: holds for 2 of 3 only (Spanish TRANSFER 22.50 %, Spanish SCRATCH" in text
    assert "In the paper's values: 6 of 6 (German 5x3 WSJ then CV-ge 28.61 %, German 5x3" in text
    assert "the large model beats fine-tuning the small one: holds (German TRANSFER 20.50 %" in text
    assert "forgets" not in text


def test_both_targets_together(make):
    plans = [
        plan("one", "15x5 5D -> NSC1"),
        plan("two", "15x5 5D -> NSC2"),
        plan("both", "15x5 5D -> NSC1+NSC2"),
    ]
    rows = []
    for run, (first, second) in {"one": (9, 40), "two": (70, 6), "both": (10, 41)}.items():
        rows += score_rows(run, {"nsc1/val": [first], "nsc2/val": [second]})
    text = claims(make("4", plans, {"en": rows}))
    assert (
        "on one alone does not: holds for 1 of 2 only (BOTH: NSC1 10.00 %, NSC2 41.00 % against "
        "ONE: NSC1 9.00 %, NSC2 40.00 %; BOTH:"
    ) in text
    assert "In the paper's values: 2 of 2 (15x5 5D then NSC1+NSC2: NSC1 10.61 %, NSC2 6.67" in text


def test_few_and_unequal_seeds_and_unlike_networks_are_said(make):
    plans = [plan("scratch", "15x5 CV-ge", "de"), plan("transfer", "15x5 5D -> CV-ge", "de")]

    def told(scratch, transfer, model="15x5"):
        rows = score_rows("scratch", {"cv-de/dev": scratch}, model, language="de")
        rows += score_rows("transfer", {"cv-de/dev": transfer}, language="de")
        return claims(make("6", plans, {"de": rows}))

    assert "10.00 points lower, one seed, 95 % intervals apart)" in told([30.0], [20.0])
    assert "2.00 points lower, one seed, 95 % intervals overlap)" in told([22.0], [20.0])
    assert "2 and 1 seeds, ranges apart)" in told([30.0], [20.0, 21.0])
    assert "2 and 1 seeds, ranges overlap)" in told([20.5], [20.0, 21.0])
    assert "apart, unlike models 15x5 and 5x3)" in told([30.0], [20.0], "5x3")


@given(st.lists(st.floats(-50, 50).map(lambda x: round(x, 3)), min_size=2, max_size=8, unique=True))
def test_interval_over_seeds_is_students(differences):
    peer = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert seed_interval(differences) == pytest.approx((peer.low, peer.high), rel=1e-9, abs=1e-9)


# --- bad input ------------------------------------------------------------------------------------

THREE = read_published(PUBLISHED)["3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("5", "not a list of"),
        ('[{"runs": "a"}]', "not a list of"),
        ("[1]", "not a list of"),
        ('[{"language": "en"}]', "neither a run nor a published row"),
        ('[{"language": "en", "run": 1}]', "run of a row is text, not 1"),
        ('[{"language": "en", "run": "a", "seeds": ["0"]}]', "seeds are whole numbers"),
        ('[{"language": "en", "run": "a", "comparable": "no"}]', "comparable is true or false"),
        ('[{"language": "en", "run": "a", "why": "no time"}]', 'why begins with "not run"'),
        ('[{"run": "a"}]', "a has no language"),
        ('[{"language": "en", "run": "a"}, {"language": "en", "run": "a"}]', r"twice: a \(en\)"),
        ('[{"language": "de", "published": "15x5 LS"}]', "language de, but the published row"),
        ('[{"language": "en", "published": "5D"}]', "no published row 5D; it has 15x5 LS, 15x5"),
        ('[{"language": "en", "run": "a", "before": "b"}]', "a began with b, which is no row"),
    ],
)
def test_rows_that_are_none(text, message):
    with pytest.raises(InputError, match=f"--rows: .*{message}"):
        read_plans(text, THREE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not of the form"),
        ('{"NSC2": "a/b"}', "no column NSC2; it has dev-clean, dev-other, NSC1"),
        ('{"NSC1": ""}', "NSC1 needs the name of a test set"),
        ('{"NSC1": {"en": 1}}', "NSC1 needs the name of a test set"),
    ],
)
def test_columns_that_are_none(text, message):
    with pytest.raises(InputError, match=f"--columns: .*{message}"):
        read_columns(text, "3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "lm"}, "holds scores of lm, not of asr alone"),
        ({"subject_or_language": "es"}, "holds scores on es, not on de alone"),
        ({"seed": None}, "line 2 has no seed"),
        ({"model": "5x3"}, "a is 15x5 and 5x3; one run is one kind"),
        ({"seed": 1}, "more than one wer cv-de/dev of a, seed 1"),
        ({"n": 5}, "'wer cv-de/dev' of a is over 5 and 13511 utterances"),
        ({"value": -0.1}, "'wer cv-de/dev' of a, seed 0 is below 0"),
        (
            {"metric": "wer cv-de/test"},
            "a, seed 0 has no 'wer cv-de/dev', as others have",
        ),
    ],
)
def test_bad_score_files_are_named(make, change, message):
    rows = score_rows("a", {"cv-de/dev": [20.0, 21.0]}, language="de")
    with pytest.raises(InputError, match=rf"de\.csv: .*{message}"):
        make("6", [plan("a", "15x5 CV-ge", "de")], {"de": [rows[0] | change, *rows[1:]]})


def test_runs_and_languages_without_scores_are_named(make, tmp_path, outputs):
    rows = {"de": score_rows("a", {"cv-de/dev": [20.0]}, language="de")}
    with pytest.raises(InputError, match=r"de\.csv: no scores of b, which --rows names; it has a"):
        make("6", [plan("b", "15x5 CV-ge", "de")], rows)
    with pytest.raises(InputError, match="--scores: b was run, but there is no file of language"):
        make("6", [plan("a", "15x5 CV-ge", "de"), plan("b", "15x5 CV-sp", "es")], rows)
    with pytest.raises(InputError, match="--scores: no row of --rows is of language de"):
        make("6", [], rows)
    with pytest.raises(InputError, match=r'has scores of a, which --rows says is "not run: lic'):
        make("6", [plan("a", "15x5 CV-ge", "de", why="not run: licence")], rows)
    other = {"WER": {"de": "cv-de/test"}}
    with pytest.raises(InputError, match=r"de\.csv: a has none of wer cv-de/test, which --columns"):
        make("6", [plan("a", "15x5 CV-ge", "de")], rows, other)
    with pytest.raises(InputError, match="--columns: WER has no test set of language de"):
        make("6", [plan("a", "15x5 CV-ge", "de")], rows, {"WER": {"es": "cv-es/dev"}})
    paths = outputs(tmp_path, "t", *KINDS)
    of = json.dumps([plan("a", "15x5 CV-ge", "de")])
    with pytest.raises(InputError, match="--scores: more than one file of language de"):
        asr_table6.main(rows=of, columns="{}", scores=["de=x", "de=y"], **paths)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("table,row", "table,name", "its columns must be table, row"),
        (",3.87,", ",x,", "line 2 has no number as value: 'x'"),
        (",3.87,", ",,", "line 2 lacks value"),
        (",3.87,", ",nan,", "line 2 has no number as value: 'nan'"),
        ("dev-clean,3.87", '"dev\nclean",3.87', "line 3 has an unprintable character as column"),
        (",3.87,", ",", "line 2 has 8 cells, but there are 9 columns"),
        (',"QuartzNet transfer paper, Table 3"', ",", "line 2 lacks source"),
        ("dev-other", "dev-clean", "line 3: more than one row of 3 15x5 LS dev-clean"),
        ("dev-other", "NSC2", "line 3: Table 3 has no column NSC2"),
        ("3,15x5 LS,", "7,15x5 LS,", "line 2: Table 7 has no column dev-clean"),
        ("3,15x5 LS,", "3,LS,", "line 2: the row is '15x5 LS', not 'LS'"),
    ],
)
def test_bad_published_files_are_named(altered, old, new, message):
    path = altered(PUBLISHED, old, new)
    with pytest.raises(InputError, match=rf"asr\.csv: .*{message}"):
        read_published(path)
