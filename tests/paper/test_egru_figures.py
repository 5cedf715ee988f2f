"""The EGRU paper's figures: what they show, that they are the same every time, bad input."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from hearsay.errors import InputError
from hearsay.metrics.scores import write_scores
from hearsay.paper import egru_figure1, egru_figure2, egru_figure3
from hearsay.paper.egru import PREDICTIONS, PUBLISHED, read_published
from hearsay.paper.egru_figure1 import Panel, draw_panel, panel_of, read_corpora, unbeaten
from hearsay.paper.egru_figure2 import over_seeds, read_history
from hearsay.paper.egru_figure3 import break_even, read_speed
from hearsay.paper.plans import read_plans
from hearsay.paper.style import COLOURS, figure_style, panels
from hearsay.provenance import Run

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("svg", "png", "run")
RUNS = {  # model, seeds' perplexities, effective MACs with and without the decoder
    "small_$1": ("egru", [90.0, 92.0], 2e6, 1.5e6),
    "gru": ("gru", [89.0], 20e6, 12e6),
    "lstm": ("lstm", [93.0], 21e6, 13e6),
}
PLANS = [{"run": run, "title": run.upper()} for run in RUNS]


def write_corpus(path, corpus="text", n=PREDICTIONS["2"], runs=RUNS):
    rows = []
    for run, (model, perplexities, macs, without) in runs.items():
        base = {"system": "lm", "experiment": run, "subject_or_language": corpus, "model": model}
        for seed, perplexity in enumerate(perplexities):
            values = {"test_perplexity": perplexity, "effective_macs": macs + 1e4 * seed}
            values["effective_macs_rnn"] = without
            rows += [
                {**base, "metric": name, "value": value, "n": n, "seed": seed, "run": "0" * 12}
                for name, value in values.items()
            ]
    write_scores(path, rows)
    return path


def write_history(path, *, layers=3, epochs=4, start=0.5):
    frame = pd.DataFrame({"epoch": range(1, epochs + 1), "loss": 1.0, "validation_perplexity": 9.0})
    for quantity, level in (("activity_sparsity", start), ("backward_sparsity", start / 2)):
        for k in range(1, layers + 1):
            frame[f"{quantity}_layer{k}"] = level + 0.01 * k * frame["epoch"]
        if layers:
            frame[quantity] = level
    frame.to_csv(path, index=False)
    return path


def write_speed(path, *, dense=3.0, gru=2.0, active=(0, 0.17, 0.5, 1)):
    share = np.array(active)
    engine = 0.5 + 3.5 * share
    frame = pd.DataFrame({"active": share, "engine_ms": engine, "engine_low_ms": 0.9 * engine})
    frame["engine_high_ms"] = 1.2 * engine
    frame.assign(dense_ms=dense, gru_ms=gru, macs=1e6).to_csv(path, index=False)
    return path


def draw(folder, stem, paths):
    """Run the step `stem` on hand-made files in `folder`."""
    if stem == "egru_figure1":
        corpora = [
            {"corpus": "licensed", "table": "1", "rows": [], "why": "not run: licence"},
            {"corpus": "text", "table": "2", "rows": PLANS},
        ]
        scores = write_corpus(folder / "scores.csv")
        egru_figure1.main(corpora=json.dumps(corpora), scores=[f"text={scores}"], **paths)
    elif stem == "egru_figure2":
        files = [
            f"text, small={write_history(folder / f'{k}.csv', start=0.5 + 0.1 * k)}" for k in (0, 1)
        ]
        files.append(f"text, other={write_history(folder / 'one.csv', epochs=1, layers=2)}")
        files.append(f"text, gru={write_history(folder / 'gru.csv', layers=0)}")
        egru_figure2.main(history=files, **paths)
    else:
        record = folder / "speed.run.json"
        Run("hearsay.paper.tables", settings={}).write(record)
        speed = write_speed(folder / "speed.csv")
        egru_figure3.main(speed=speed, record=record, **paths)


STEPS = {"egru_figure1": 2, "egru_figure2": 2, "egru_figure3": 1}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Every figure, drawn once."""
    folder = tmp_path_factory.mktemp("egru figures")
    for stem in STEPS:
        suffixes = {"svg": "svg", "png": "png", "run": "run.json"}
        draw(folder, stem, {k: folder / f"{stem}.{v}" for k, v in suffixes.items()})
    return folder


def found(folder, stem):
    record = json.loads((folder / f"{stem}.run.json").read_text(encoding="utf-8"))
    return {finding["subject"]: finding["text"] for finding in record["findings"]}


@pytest.mark.parametrize(("stem", "count"), STEPS.items())
def test_each_is_a_described_figure_in_the_colours_of_the_page(drawn, stem, count):
    root = ET.parse(drawn / f"{stem}.svg").getroot()
    assert root.findtext(f"{SVG}title")
    assert len(root.findtext(f"{SVG}desc")) > 60
    assert len(root.get("data-panels").split(";")) == count
    text = (drawn / f"{stem}.svg").read_text(encoding="utf-8")
    colours = set(re.findall(r"(?:fill|stroke): (#\w+)", text))
    assert len(colours) >= 4
    assert colours <= set(COLOURS)
    assert (drawn / f"{stem}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("stem", STEPS)
def test_same_input_same_bytes(drawn, outputs, tmp_path, stem):
    again = outputs(tmp_path, stem, *KINDS)
    draw(drawn, stem, again)
    for kind in ("svg", "png"):
        assert again[kind].read_bytes() == (drawn / f"{stem}.{kind}").read_bytes()


# --- figure 1: perplexity against operations ------------------------------------------------------


def test_figure1_tells_every_point(drawn):
    told = ET.parse(drawn / "egru_figure1.svg").getroot().findtext(f"{SVG}desc")
    assert "licensed: AWD-LSTM, published, 57.3 at 24 million; GRU 1350, published, 66.3" in told
    assert "SMALL_$1 91.00 at 2.005 million, 1.500 without decoder (2 seeds);" in told
    assert "GRU 89.00 at 20.000 million" in told
    assert "EGRU 2000, published, 68.6 at 11.3 million." in told


def test_figure1_finds_the_runs_that_nothing_beats(drawn):
    assert found(drawn, "egru_figure1") == {
        "Figure 1, text": "No run has both fewer operations and a lower perplexity than SMALL_$1, "
        "GRU; one has than LSTM."
    }


def panel(tmp_path, **given):
    corpus = {"corpus": "text", "table": "2", "rows": PLANS, "why": "not run: licence"}
    (described,) = read_corpora(json.dumps([corpus]))
    scores = write_corpus(tmp_path / "scores.csv", **given) if given else None
    return panel_of(described, scores, read_published(PUBLISHED))


def test_published_points_stand_beside_the_same_text_only(tmp_path):
    same = panel(tmp_path, n=PREDICTIONS["2"])
    names = ["AWD-LSTM", "GRU 1350", "EGRU 1350", "EGRU 2000"]
    assert [name for name, *_ in same.published] == names
    assert same.below == "hollow: published"
    other = panel(tmp_path, n=4000)
    assert (other.published, other.below) == ([], "another text than the paper's")
    absent = panel(tmp_path)
    assert absent.below == "not run: licence; hollow: published"
    assert [name for name, *_ in absent.published] == names


def test_seeds_are_small_means_large_and_published_values_hollow(tmp_path):
    with figure_style():
        _, (axes,) = panels(1, 1)
        names = draw_panel(axes, panel(tmp_path, n=PREDICTIONS["2"]))
    points = [line for line in axes.lines if line.get_marker() not in ("", "|")]
    seeds = [line for line in points if line.get_markersize() < 5]
    hollow = [line for line in points if line.get_markerfacecolor() == "none"]
    means = [line for line in points if line not in seeds + hollow]
    assert (len(seeds), len(means), len(hollow)) == (4, 3, 4)
    assert [line.get_ydata()[0] for line in means] == [91, 89, 93]
    assert [line.get_xdata()[0] for line in means] == pytest.approx([2.005, 20, 21])
    bare = [line for line in axes.lines if line.get_marker() == "|"]
    assert [line.get_xdata()[0] for line in bare] == [1.5]  # of the EGRU alone
    assert axes.get_xscale() == "log"
    assert names.names[0] == "SMALL_$1"


def test_unbeaten_runs_hold_ties():
    def runs(**points):
        plans = read_plans(json.dumps([{"run": name} for name in points]))
        kept = [(plan, None, *points[plan.run]) for plan in plans]
        return type("Points", (Panel,), {"points": lambda self: kept})("text", [], [])

    assert unbeaten(runs(a=(1, 5), b=(2, 4), c=(2, 5), d=(3, 3))) == ["a", "b", "d"]
    assert unbeaten(runs(a=(1, 5), b=(1, 5))) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a JSON list"),
        ('[{"corpus": "a"}]', "not a JSON list"),
        ('[{"corpus": "a", "table": "1", "rows": [], "x": 1}]', "not a JSON list"),
        ('[{"corpus": "a", "table": "3", "rows": []}]', "each needs a table, 1 or 2"),
        ("[]", "each needs a table"),
        ('[{"corpus": "a", "table": "1", "rows": [{}]}]', "neither a run nor"),
    ],
)
def test_corpora_that_are_none(text, message):
    with pytest.raises(InputError, match=f"--corpora: .*{message}"):
        read_corpora(text)


def test_scores_of_a_corpus_that_is_not_described(tmp_path, outputs):
    corpora = json.dumps([{"corpus": "a", "table": "1", "rows": []}])
    with pytest.raises(InputError, match="--scores: b is not in --corpora"):
        egru_figure1.main(corpora=corpora, scores=["b=x"], **outputs(tmp_path, "f", *KINDS))
    twice = json.dumps(2 * json.loads(corpora))
    with pytest.raises(InputError, match="--corpora: named twice: a"):
        read_corpora(twice)


# --- figure 2: sparsity over training -------------------------------------------------------------


def test_figure2_tells_the_first_and_the_last_epoch(drawn):
    texts = found(drawn, "egru_figure2")
    assert texts == {
        "Figure 2, text, small": "Activity sparsity by layer 56.0 to 59.0 %, 57.0 to 63.0 %, "
        "58.0 to 67.0 %; backward sparsity by layer 28.5 to 31.5 %, 29.5 to 35.5 %, 30.5 to 39.5 % "
        "(first epoch to epoch 4).",
        "Figure 2, text, other": "Activity sparsity by layer 51.0 to 51.0 %, 52.0 to 52.0 %; "
        "backward sparsity by layer 26.0 to 26.0 %, 27.0 to 27.0 % (first epoch to epoch 1).",
    }
    record = json.loads((drawn / "egru_figure2.run.json").read_text(encoding="utf-8"))
    assert record["without_events"] == ["text, gru"]


def test_seeds_of_one_run_give_a_mean_and_a_range_at_every_epoch(tmp_path):
    histories = [
        read_history(write_history(tmp_path / "a.csv", epochs=2)),
        read_history(write_history(tmp_path / "b.csv", epochs=3, start=0.7)),
    ]
    band = over_seeds(histories, "activity_sparsity_layer1")
    assert band["mean"].tolist() == pytest.approx([61, 62, 73])  # the last of one seed alone
    assert band["low"].tolist() == pytest.approx([51, 52, 73])
    assert band["high"].tolist() == pytest.approx([71, 72, 73])


def test_a_figure_without_any_sparsity_says_so(tmp_path, outputs):
    for history in (None, [f"gru={write_history(tmp_path / 'h.csv', layers=0)}"]):
        paths = outputs(tmp_path, "f", *KINDS)
        egru_figure2.main(history=history, **paths)
        assert "No run recorded a sparsity." in paths["svg"].read_text(encoding="utf-8")
        assert json.loads(paths["run"].read_text(encoding="utf-8"))["findings"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss\n1\n", "it has no epochs"),
        ("epoch\n", "it has no epochs"),
        ("epoch,activity_sparsity\n1,x\n", "not a training history"),
        ("epoch,activity_sparsity\n1,83\n", "a fraction from 0 to 1"),
        ("epoch,loss\n1,1\n1,2\n", "an epoch comes twice"),
    ],
)
def test_bad_histories_are_named(tmp_path, text, message):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(InputError, match=rf"history\.csv: .*{message}"):
        read_history(tmp_path / "history.csv")


# --- figure 3: speed against sparsity -------------------------------------------------------------


def test_figure3_tells_the_speed_at_the_papers_activity_and_the_break_even(drawn):
    (text,) = found(drawn, "egru_figure3").values()
    assert text.startswith(
        "With 17 % of the units active the engine needs 1.1 ms a token, beside 3 ms of the dense "
        "path and 2 ms of torch.nn.GRU: a ratio of 2.7 and 1.8. Against the dense path it breaks "
        "even at 71 % active units. Against torch.nn.GRU it breaks even at 43 % active units. "
        "Measured on "
    )
    record = json.loads((drawn / "egru_figure3.run.json").read_text(encoding="utf-8"))
    assert record["break_even"]["the dense path"] == pytest.approx(2.5 / 3.5)
    assert record["break_even"]["torch.nn.GRU"] == pytest.approx(1.5 / 3.5)


def test_curves_that_do_not_cross_are_said_to(tmp_path, outputs):
    speed = write_speed(tmp_path / "speed.csv", dense=9.0, gru=0.4)
    frame = read_speed(speed)
    assert (break_even(frame, "dense_ms").active, break_even(frame, "dense_ms").always) == (None, 1)
    assert (break_even(frame, "gru_ms").active, break_even(frame, "gru_ms").always) == (None, 0)
    paths = outputs(tmp_path, "f", *KINDS)
    egru_figure3.main(speed=speed, **paths)
    told = paths["svg"].read_text(encoding="utf-8")
    assert "It is faster than the dense path at every measured share." in told
    assert "It is not faster than torch.nn.GRU even at 0 % active units." in told
    assert "Measured on" not in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gru_ms": None}, "lacks the columns gru_ms"),
        ({"dense_ms": 0.0}, "times above 0"),
        ({"engine_ms": np.nan}, "times above 0"),
        ({"active": 17.0}, "a fraction from 0 to 1"),
        ({"active": 0.5}, "each one once"),
        ({"gru_ms": "fast"}, "cannot be read as a table"),
    ],
)
def test_bad_timings_are_named(tmp_path, change, message):
    path = write_speed(tmp_path / "speed.csv")
    frame = pd.read_csv(path)
    for name, value in change.items():
        frame = frame.drop(columns=name) if value is None else frame.assign(**{name: value})
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"speed\.csv: .*{message}"):
        read_speed(path)


def test_a_record_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"speed\.csv: not a run record"):
        egru_figure3.machine_of(write_speed(tmp_path / "speed.csv"))
