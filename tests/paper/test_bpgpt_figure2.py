"""Decoded examples: which windows are shown, and that none is chosen in silence."""

import csv
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.errors import InputError
from hearsay.paper.bpgpt_figure2 import examples, figure2, main, read_decoded, read_sources
from hearsay.paper.manifest import read_manifest
from hearsay.paper.page import build_page
from hearsay.paper.tables import read_table
from hearsay.provenance import Run

HEARD = "we went home and then the null boat came back again"
WORSE = "zz yy xx ww vv uu tt ss rr qq pp"


def decoded_rows(matches, control="the sea"):
    """One window each; the first `matches[k]` words of window k are decoded rightly."""
    rows = []
    for window, right in enumerate(matches):
        told = " ".join(HEARD.split()[:right] + WORSE.split()[right:]) if right is not None else ""
        base = {"story": "harbour", "window": window, "start": 10.0 + 20 * window}
        base |= {"reference": HEARD, "reference_aligned": f"{HEARD} $", "words_expected": ""}
        base |= {"ended": "tokens"}
        rows.append({**base, "input": "fmri", "draw": 0, "decoded": told})
        for draw in (1, 0):
            rows.append({**base, "input": "shuffled", "draw": draw, "decoded": f"{control} {draw}"})
    return [{**row, "decoded_aligned": f"{row['decoded']} $".strip()} for row in rows]


def frame_of(matches):
    return pd.DataFrame(decoded_rows(matches))


def chosen_of(matches, windows):
    shown = examples(frame_of(matches), windows)
    return dict(zip(shown["window"], shown["chosen"], strict=True))


def test_windows_are_spread_and_best_and_worst_are_labelled():
    matches = [5, 5, 9, 5, 5, 1, 5, 5, 5, 5]
    assert chosen_of(matches, 4) == {
        0: "spread evenly",
        2: "highest METEOR of 10",
        3: "spread evenly",
        5: "lowest METEOR of 10",
        6: "spread evenly",
        9: "spread evenly",
    }
    assert chosen_of([9, 5, 5, 1], 2) == {
        0: "spread evenly, highest METEOR of 4",
        3: "spread evenly, lowest METEOR of 4",
    }
    assert chosen_of([5], 4) == {0: "spread evenly, highest METEOR of 1, lowest METEOR of 1"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=8), st.integers(1, 9))
def test_the_best_and_the_worst_are_always_shown(matches, windows):
    shown = examples(frame_of(matches), windows)
    every = examples(frame_of(matches), len(matches))["meteor"]
    assert len(every) == len(matches)
    assert shown["meteor"].max() == every.max()
    assert shown["meteor"].min() == every.min()
    assert shown["chosen"].str.contains("spread").sum() == min(windows, len(matches))
    assert shown["window"].is_monotonic_increasing
    labels = ",".join(shown["chosen"])
    assert labels.count("highest") == labels.count("lowest") == 1


def test_heard_stands_above_decoded_and_the_control_is_the_first_draw_of_the_same_window():
    table = figure2({"SIM01": frame_of([5, 3])}, 2, {"SIM01": "abc"})
    assert [row.cells["row"] for row in table.rows] == 2 * [
        "heard",
        "from fMRI",
        "from shuffled fMRI",
    ]
    assert {row.cells["records"] for row in table.rows} == {"abc"}
    assert [row.cells["text"] for row in table.rows[::3]] == [f"{HEARD} $"] * 2
    assert [row.cells["text"] for row in table.rows[2::3]] == ["the sea 0 $"] * 2
    assert table.rows[1].cells["text"].startswith("we went home and then uu")
    assert table.rows[1].cells["meteor"] > table.rows[4].cells["meteor"] > 0
    assert [row.group for row in table.rows[::3]] == [
        "SIM01, harbour from 10 s: spread evenly, highest METEOR of 2",
        "SIM01, harbour from 30 s: spread evenly, lowest METEOR of 2",
    ]
    without = frame_of([5, 3])
    table = figure2({"SIM01": without[without["input"] == "fmri"]}, 2, {})
    assert [row.cells["input"] for row in table.rows] == ["", "fmri"] * 2


def test_files(tmp_path, outputs):
    rows = decoded_rows([5, None, 0, 11])
    rows[3]["decoded_aligned"] = ""
    for subject in ("a", "b"):
        pd.DataFrame(rows).to_csv(tmp_path / f"{subject}.csv", index=False)
    Run("hearsay.brain.decode_story", settings={}).write(tmp_path / "b.run.json")
    paths = outputs(tmp_path, "bpgpt_figure2", "csv", "markdown", "tex", "json", "run")
    given = [f"SIM0{k}={tmp_path / name}.csv" for k, name in ((2, "b"), (1, "a"))]
    main(decoded=given, windows=4, **paths)
    with paths["csv"].open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [row["subject"] for row in found] == ["SIM02"] * 12 + ["SIM01"] * 12
    assert (found[0]["text"], found[0]["meteor"]) == (f"{HEARD} $", "")
    # The run that decoded stands in its rows, where its record is beside the texts.
    run = json.loads((tmp_path / "b.run.json").read_text())["id"]
    assert [row["records"] for row in found] == [run] * 12 + [""] * 12
    decoded = [row for row in found[:12] if row["input"] == "fmri"]
    assert decoded[1]["text"] == "(nothing)"
    assert [float(row["meteor"]) for row in decoded[1:3]] == [0, 0]
    assert float(decoded[3]["meteor"]) > 99
    assert [row["start"] for row in decoded] == ["10.0", "30.0", "50.0", "70.0"]
    assert [c.key for c in read_table(paths["json"]).shown if c.wraps] == ["text"]
    tex = paths["tex"].read_text(encoding="utf-8")
    assert r"\begin{longtable}{lp{0.54\linewidth}r}" in tex
    assert r"\end{longtable}" in tex
    assert r"again \$" in tex
    assert "highest METEOR of 4" in paths["markdown"].read_text(encoding="utf-8")
    record = json.loads(paths["run"].read_text(encoding="utf-8"))
    assert record["settings"] == {"subjects": ["SIM02", "SIM01"], "windows": 4}
    assert len(record["inputs"]) == 2
    item = {"label": "Figure 2", "title": "Heard and decoded", "table": str(paths["json"])}
    item |= {"caption": "bpgpt_figure2.rst", "record": str(paths["run"])}
    section = {"id": "bpgpt", "title": "BP-GPT", "text": "bpgpt.rst", "items": [item]}
    manifest = read_manifest(json.dumps({"title": "t", "sections": [section]}))
    page = build_page(manifest, tmp_path / "index.html")
    assert f'<td class="long">{HEARD} $</td>' in page
    assert 'id="bpgpt-figure-2"' in page


@pytest.mark.parametrize("text", ["", "SIM01", "=x", "SIM01="])
def test_sources_that_are_not_subject_and_path(text):
    with pytest.raises(InputError, match="--decoded: must be SUBJECT=PATH"):
        read_sources([text])


def test_a_subject_given_twice():
    with pytest.raises(InputError, match="SIM01 is given twice"):
        read_sources(["SIM01=a", "SIM01=b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="draw"), "lacks the columns draw"),
        (lambda f: f[f["input"] != "fmri"], "no window decoded from fMRI"),
        (lambda f: f.assign(start="x"), "cannot be read"),
    ],
)
def test_bad_decoded_files_are_named(tmp_path, change, message):
    change(frame_of([5, 3])).to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(InputError, match=rf"d\.csv: .*{message}"):
        read_decoded(tmp_path / "d.csv")
    with pytest.raises(InputError, match=r"none\.csv"):
        read_decoded(tmp_path / "none.csv")
