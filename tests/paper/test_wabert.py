"""Tables and figures of the WaBERT paper, from small score files and states."""

import csv
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hearsay.errors import InputError
from hearsay.metrics.scores import write_scores
from hearsay.paper import (
    wabert_figure2,
    wabert_figure4,
    wabert_table1,
    wabert_table2,
    wabert_table3,
    wabert_table4,
)
from hearsay.paper.wabert import PUBLISHED, read_published
from hearsay.paper.wabert_figure4 import components, distances
from hearsay.paper.wabert_states import on_diagonal, read_states, similarity
from hearsay.provenance import Run

PART = "timit/test"
ALIGNMENT = {"mae": 100.0, "mae_low": 90.0, "mae_high": 110.0, "median": 70.0, "bias": 5.0}
ALIGNMENT |= {f"accuracy {k}": v for k, v in ((50, 0.3), (100, 0.6), (500, 0.9), (1000, 1.0))}
ROWS = [
    {"run": "cosine", "published": "CIF with L_cos", "title": "cosine", "seeds": [0, 1]},
    {"run": "nce", "published": "CIF with L_InfoNCE", "title": "nce", "seeds": [0]},
    {"run": "best", "title": "best", "seeds": [0], "note": "stand-in: a small one"},
    {"run": "never", "title": "never", "why": "not run: licence"},
]
DIFFERENCES = ("constant alpha", "characters, energy")


def against(less, p):
    """What an aligner's row has on both references."""
    found = {}
    for name in DIFFERENCES:
        found |= {f"mae less {name}": less, f"mae less {name} low": less - 9}
        found |= {f"mae less {name} high": less + 9, f"p against {name}": p}
    return found


def write_alignment(path, parts=(PART,)):
    rows = {
        ("cosine", 0, "paper-cosine"): {**ALIGNMENT, "mae": 400.0, **against(200.0, 0.5)},
        ("cosine", 1, "paper-cosine"): {**ALIGNMENT, "mae": 420.0, **against(210.0, 0.6)},
        ("nce", 0, "paper-alignment"): {**ALIGNMENT, "mae": 126.05, **against(-90.0, 0.001)},
        ("best", 0, "best"): {**ALIGNMENT, "mae": 40.0, **against(-170.0, 0.0001)},
        ("trivial: constant alpha", 0, "trivial"): {**ALIGNMENT, "mae": 210.0},
        ("floor: perfect tiling", 0, "floor"): {**ALIGNMENT, "mae": 4.0},
        ("forced: ctc", 0, "forced"): {**ALIGNMENT, "mae": 20.0},
    }
    write_scores(
        path,
        [
            {"system": "slu", "subject_or_language": part, "experiment": run, "seed": seed,
             "model": model, "metric": metric, "value": value, "n": 7, "run": "0123456789ab"}
            for part in parts
            for (run, seed, model), values in rows.items()
            for metric, value in values.items()
        ],
    )  # fmt: skip
    return path


def outputs(folder, name):
    """Options of the files that a table writes."""
    kinds = {"csv": "csv", "markdown": "md", "tex": "tex", "json": "json", "run": "run.json"}
    return {kind: folder / f"{name}.{ending}" for kind, ending in kinds.items()}


def cells(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_published_values_are_the_papers():
    first, second = read_published(PUBLISHED, "1"), read_published(PUBLISHED, "2")
    assert first["CIF with L_cos"].number("mean") == 426.44
    assert first["CIF with L_InfoNCE"].number("median") == 77
    gains = [
        second["CIF with L_InfoNCE"].number(k) - second["CIF with L_cos"].number(k)
        for k in ("50", "100", "500", "1000")
    ]
    assert gains == pytest.approx([0.2825, 0.5532, 0.2893, 0.0253])  # as its text says
    third = read_published(PUBLISHED, "3")
    assert len(third) == 20
    # The recalls of its own are whole numbers of 960ths.
    for name, row in third.items():
        if row.section == "The paper's own":
            share = row.number("recall") / 100 * 960
            assert abs(share - round(share)) < 0.06, name
    assert [row.values["the"] for row in read_published(PUBLISHED, "4").values()] == [
        "the", ",", ".", "a", "to",
    ]  # fmt: skip


def test_table_1_has_all_groups(tmp_path):
    files = outputs(tmp_path, "t")
    scores = write_alignment(tmp_path / "alignment.csv")
    wabert_table1.main(rows=json.dumps(ROWS), part=[PART], scores=scores, **files)
    rows = cells(files["csv"])
    by_name = {row["run_name"]: row for row in rows}
    assert float(by_name["cosine"]["mean"]) == 410
    assert by_name["cosine"]["mean_spread"] == "400.0–420.0"
    assert float(by_name["cosine"]["mean_published"]) == 426.44
    assert float(by_name["cosine"]["p_constant_alpha"]) == 0.6
    assert float(by_name["best"]["less_characters"]) == -170
    assert by_name["never"]["mean"] == ""
    assert by_name["trivial: constant alpha"]["row"] == "constant alpha"
    text = files["markdown"].read_text(encoding="utf-8")
    for expected in (
        "Aligners that hear nothing",
        "What is told the true times",
        "Forced alignment of letters",
        "not run: licence",
        "126.05",
        "has learnt nothing about time",
    ):
        assert expected in text
    told = json.loads(files["run"].read_text())["findings"][0]["text"]
    assert "Aligning by InfoNCE is better than by cosines: holds (126.0 against 410.0 ms)" in told
    assert "better than constant alpha (p < 0.05): holds for 2 of 3 only" in told
    assert "cosine +205.0 ms, p = 0.6" in told


def test_table_2_and_seeds_that_are_missing(tmp_path):
    files = outputs(tmp_path, "t")
    scores = write_alignment(tmp_path / "alignment.csv")
    rows = [{**ROWS[1], "seeds": [0, 1]}]
    wabert_table2.main(rows=json.dumps(rows), part=[PART], scores=scores, **files)
    row = next(row for row in cells(files["csv"]) if row["run_name"] == "nce")
    assert (float(row["within_50"]), float(row["within_50_published"])) == (0.3, 0.3026)
    assert "nce: no scores of seed 1." in files["markdown"].read_text(encoding="utf-8")


def test_differences_to_the_paper_are_of_comparable_rows_alone(tmp_path):
    files = outputs(tmp_path, "t")
    scores = write_alignment(tmp_path / "alignment.csv")
    rows = json.dumps([ROWS[0], {**ROWS[1], "comparable": PART}])
    wabert_table1.main(rows=rows, part=[PART], scores=scores, **files)
    by_name = {row["run_name"]: row for row in cells(files["csv"])}
    assert float(by_name["nce"]["mean_difference"]) == 0
    assert float(by_name["nce"]["median_difference"]) == pytest.approx(70 - 77)
    assert by_name["cosine"]["mean_difference"] == ""
    assert by_name["trivial: constant alpha"]["mean_difference"] == ""
    wabert_table2.main(rows=rows, part=[PART], scores=scores, **files)
    by_name = {row["run_name"]: row for row in cells(files["csv"])}
    assert float(by_name["nce"]["within_50_difference"]) == pytest.approx(0.3 - 0.3026)
    assert by_name["cosine"]["within_50_difference"] == ""
    assert "50 ms: difference" in files["markdown"].read_text(encoding="utf-8")
    wabert_table2.main(rows=json.dumps(ROWS[:2]), part=[PART], scores=scores, **files)
    assert "ms: difference" not in files["markdown"].read_text(encoding="utf-8")
    assert "within_50_difference" in files["csv"].read_text(encoding="utf-8")


def test_several_parts_are_groups_with_findings_of_their_own(tmp_path):
    files = outputs(tmp_path, "t")
    scores = write_alignment(tmp_path / "alignment.csv", ("timit/test", "digits/test"))
    rows = json.dumps([{**ROWS[1], "comparable": PART}, ROWS[3]])
    wabert_table1.main(rows=rows, part=["digits/test", "timit/test"], scores=scores, **files)
    found = cells(files["csv"])
    # The paper's numbers are of one part alone.
    assert [row["mean_difference"] for row in found if row["run_name"] == "nce"] == ["", "0.0"]
    assert [row["part"] for row in found if row["run_name"] == "nce"] == [
        "digits/test", "timit/test",
    ]  # fmt: skip
    # What was not run is told once.
    assert [row["part"] for row in found if row["not_run"]] == ["digits/test"] * 2
    text = files["markdown"].read_text(encoding="utf-8")
    assert "**timit/test: aligners that hear nothing**" in text
    subjects = [one["subject"] for one in json.loads(files["run"].read_text())["findings"]]
    assert subjects == ["Table 1, digits/test", "Table 1, timit/test"]


def test_without_scores_the_papers_rows_stand_alone(tmp_path):
    files = outputs(tmp_path, "t")
    rows = [{**ROWS[0], "why": "not run: licence"}]
    wabert_table1.main(rows=json.dumps(rows), part=[PART], **files)
    assert "not run: licence" in files["markdown"].read_text(encoding="utf-8")
    told = json.loads(files["run"].read_text())["findings"][0]["text"]
    assert "cannot be checked in this configuration" in told
    assert "In the paper's values: 1 of 1 (126.05 against 426.44 ms)" in told


@pytest.mark.parametrize(
    ("rows", "part", "message"),
    [
        (
            [{**ROWS[0], "published": "CIF"}],
            PART,
            "cosine: the table has no published row CIF; it has CIF with L_cos",
        ),
        ([ROWS[0], ROWS[0]], PART, "named twice: cosine"),
        ([ROWS[0]], "other/test", "holds no scores on other/test; there are: timit/test"),
        ([ROWS[0]], f"{PART} {PART}", "--part: named twice: timit/test"),
        ([{"title": "x"}], PART, "neither a run nor a published row"),
        ([{**ROWS[0], "comparable": True}], PART, "comparable of a row is text, not True"),
    ],
)
def test_wrong_rows_and_parts(tmp_path, rows, part, message):
    scores = write_alignment(tmp_path / "alignment.csv")
    with pytest.raises(InputError, match=message):
        wabert_table1.main(
            rows=json.dumps(rows), part=part.split(), scores=scores, **outputs(tmp_path, "t")
        )
    assert not (tmp_path / "t.csv").exists()


def sentiment_scores(path):
    base = {"accuracy": 0.8, "weighted recall": 0.8, "weighted f1": 0.79, "macro f1": 0.5}
    base |= {"macro recall": 0.5, "weighted recall low": 0.75, "weighted recall high": 0.85}
    graft = {**base, "accuracy": 0.9, "weighted recall": 0.9, "macro f1": 0.7}
    rows = {
        ("majority", 0, "majority"): {**base, "accuracy": 0.78, "macro f1": 0.29},
        ("speech", 0, "speech"): base,
        ("graft-3", 0, "graft"): {**graft, "mcnemar p against speech": 0.01},
        ("graft-3", 1, "graft"): {**graft, "mcnemar p against speech": 0.03},
    }
    write_scores(
        path,
        [
            {"system": "slu", "subject_or_language": "slue/dev", "experiment": run, "seed": seed,
             "model": model, "metric": metric, "value": value, "n": 100, "run": "0123456789ab"}
            for (run, seed, model), values in rows.items()
            for metric, value in values.items()
        ],
    )  # fmt: skip
    return path


def test_table_3_has_the_majority_first(tmp_path):
    files = outputs(tmp_path, "t")
    graft = "data2vec-B-LS960 | N/A | BERT-B(w/o 1-3 layers)"
    rows = [
        {"run": "speech", "published": "data2vec-B-LS960 | N/A | N/A", "seeds": [0]},
        {"run": "graft-3", "published": graft, "seeds": [0, 1], "comparable": "slue/dev"},
    ]
    wabert_table3.main(
        rows=json.dumps(rows), part="slue/dev",
        scores=sentiment_scores(tmp_path / "sentiment.csv"), **files,
    )  # fmt: skip
    found = cells(files["csv"])
    assert found[0]["speech"] == "the commonest sentiment"
    assert found[1]["text"] == "BERT-B"
    row = next(row for row in found if row["run_name"] == "graft-3")
    assert (row["speech"], row["lm"], row["text"]) == (
        "data2vec-B-LS960", "N/A", "BERT-B(w/o 1-3 layers)",
    )  # fmt: skip
    assert float(row["recall"]) == 90
    assert float(row["recall_difference"]) == pytest.approx(90 - 82.19)
    assert float(row["mcnemar"]) == 0.03
    assert row["mcnemar_all"] == "0.01 0.03"
    speech = next(row for row in found if row["run_name"] == "speech")
    assert speech["recall_difference"] == ""
    told = json.loads(files["run"].read_text())["findings"][0]["text"]
    assert "A graft is right more often than speech alone (p < 0.05): holds" in told
    assert "beats the commonest sentiment in macro f1: holds" in told


def write_states(path, ids=("a", "b"), *, head=True, aligned=True):
    draw = np.random.default_rng(0)
    arrays = {"ids": np.array(ids), "texts": np.array(["the cat" for _ in ids])}
    for k in range(len(ids)):
        text = draw.standard_normal((11, 8)).astype(np.float32)
        noise = draw.standard_normal((11, 8)).astype(np.float32)
        arrays[f"pieces_{k}"] = np.array([f"p{j}" for j in range(11)])
        arrays[f"text_{k}"] = text
        arrays[f"before_{k}"] = noise
        arrays[f"after_{k}"] = text + 0.1 * noise if aligned else noise
        if head:
            top = [[f"p{j}" if j < 8 else "x", "y", f"p{j}" if j == 9 else "z", "v", "w"]
                   for j in range(11)]  # fmt: skip
            arrays[f"top_{k}"] = np.array(top)
    np.savez(path, **arrays)
    return path


def test_table_4_shows_the_likeliest_pieces(tmp_path):
    files = outputs(tmp_path, "t")
    states = write_states(tmp_path / "states.npz")
    shown = Run("hearsay.slu.show_states", settings={})
    shown.write(states.with_suffix(".run.json"))
    wabert_table4.main(states=f"best={states}", utterances=json.dumps(["b"]), **files)
    rows = cells(files["csv"])
    assert {row["records"] for row in rows if row["utterance"]} == {shown.id}
    assert {row["records"] for row in rows if not row["utterance"]} == {""}
    assert rows[0]["place_1"] == "gin"
    own = [row for row in rows if row["utterance"] == "b"]
    assert [row["rank"] for row in own] == ["Label", *(f"Top-{k}" for k in range(1, 6))] * 2
    assert own[0]["place_9"] == "p8"
    assert own[6]["place_2"] == "p10"
    told = json.loads(files["run"].read_text())["findings"][0]["text"]
    assert "the likeliest at 16 of 22 places (72.7 %)" in told
    assert "among the five likeliest at 18 (81.8 %)" in told
    with pytest.raises(InputError, match="no states of 'q'; there are: a, b"):
        wabert_table4.main(states=f"best={states}", utterances=json.dumps(["q"]), **files)
    plain = write_states(tmp_path / "plain.npz", head=False)
    wabert_table4.main(states=f"best={plain}", utterances="[]", **files)
    assert "has no head" in files["markdown"].read_text(encoding="utf-8")


def test_one_shade_is_one_cosine_in_every_panel():
    limits = set()
    for lowest in (-0.5, 0.2):
        figure, axes = plt.subplots()
        wabert_figure2.draw(axes, np.array([[1.0, lowest], [0.3, 0.9]]), ["a", "b"])
        limits.add(axes.collections[0].get_clim())
        plt.close(figure)
    assert limits == {(0.0, 1.0)}


def test_figures_are_drawn_and_told(tmp_path):
    good = write_states(tmp_path / "good.npz")
    bad = write_states(tmp_path / "bad.npz", aligned=False)
    for step, name in ((wabert_figure2, "f2"), (wabert_figure4, "f4")):
        files = {kind: tmp_path / f"{name}.{kind}" for kind in ("svg", "png")}
        step.main(states=[f"nce={good}", f"cosine={bad}"], run=tmp_path / f"{name}.json", **files)
        assert "<svg" in files["svg"].read_text(encoding="utf-8")
        assert files["png"].stat().st_size > 1000
    told = json.loads((tmp_path / "f2.json").read_text())["findings"][0]["text"]
    assert "Training makes that more: holds for 1 of 2 only" in told
    assert "nce 100.0 %" in told
    told = json.loads((tmp_path / "f4.json").read_text())["findings"][0]["text"]
    assert "cosine: " in told
    assert "correlate with what they were before by 1.00" in told


def test_states_that_are_none(tmp_path):
    (tmp_path / "x.npz").write_text("no")
    with pytest.raises(InputError, match="not a file of states"):
        read_states(tmp_path / "x.npz")
    one, two = write_states(tmp_path / "1.npz"), write_states(tmp_path / "2.npz", ids=("a", "c"))
    files = {"svg": tmp_path / "f.svg", "png": tmp_path / "f.png", "run": tmp_path / "f.json"}
    with pytest.raises(InputError, match="b and a show different utterances"):
        wabert_figure2.main(states=[f"a={one}", f"b={two}"], **files)
    with pytest.raises(InputError, match="named twice: a"):
        wabert_figure2.main(states=[f"a={one}", f"a={one}"], **files)


def test_measures_of_similarity():
    eye = np.eye(4)
    assert on_diagonal(similarity(eye, eye)) == 1
    assert on_diagonal(similarity(eye, eye[::-1])) == 0
    far = {"text": eye, "before": eye + 10, "after": eye}
    found = distances(far)
    assert found["after"] == pytest.approx(0)
    assert found["before"] > 10
    points, share = components({"text": np.outer(np.arange(5.0), [1, 2, 2])})
    assert share == pytest.approx(1)
    assert np.ptp(points["text"][:, 0]) == pytest.approx(12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",426.44,", ",many,", "line 2 has no number as value: 'many'"),
        (
            "1,CIF with L_cos,,median",
            "1,CIF with L_cos,,mean",
            "line 3: more than one row of 1 CIF",
        ),
        (",426.44,", ",,", "line 2 lacks value"),
    ],
)
def test_bad_published_files_are_named(altered, old, new, message):
    path = altered(PUBLISHED, old, new)
    with pytest.raises(InputError, match=rf"wabert\.csv: .*{message}"):
        read_published(path, "1")
