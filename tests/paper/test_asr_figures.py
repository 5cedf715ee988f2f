"""Figures 2 and 3 of the QuartzNet transfer paper: what they show, the times, bad input."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from hearsay.errors import InputError
from hearsay.paper import asr_figure2, asr_figure3
from hearsay.paper.asr_curves import read_panels
from hearsay.paper.asr_figure2 import draw_losses
from hearsay.paper.asr_figure3 import (
    accuracy,
    best_of,
    draw_accuracies,
    finding,
    reached,
    times_of,
)
from hearsay.paper.histories import over_seeds
from hearsay.paper.style import COLOURS, figure_style, look, panels

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("svg", "png", "run")
STEPS = {"asr_figure2": asr_figure2, "asr_figure3": asr_figure3}
SCRATCH, TUNED = "15x5 scratch", "15x5_$1 fine-tuned"
RATES = {SCRATCH: [1.0, 0.9, 0.8, 0.6, 0.5, 0.44], TUNED: [0.8, 0.5, 0.42, 0.41, 0.4, 0.41]}
LOSSES = {SCRATCH: [60.0, 50, 40, 30, 25, 20], TUNED: [40.0, 20, 10, 8, 7, 6]}


def write_history(path, rates, losses=None, *, seconds=10.0, first=1):
    epochs = np.arange(first, first + len(rates))
    frame = pd.DataFrame({"epoch": epochs, "loss": losses or [1.0] * len(rates)})
    frame["learning_rate"] = "x"  # columns that no figure reads may hold anything
    frame["validation_wer"] = rates
    frame.assign(steps=20 * epochs, seconds=seconds * epochs).to_csv(path, index=False)
    return path


def histories(folder, *panels_, seeds=1, **options):
    """``--history`` of both runs in every panel; seeds are 0.02 apart."""
    given = []
    for panel in panels_ or ("German",):
        for run in (TUNED, SCRATCH):  # scratch is drawn first all the same
            for seed in range(seeds):
                path = folder / f"{panel}-{run.split()[1]}-{seed}.csv"
                rates = [rate + 0.02 * seed for rate in RATES[run]]
                write_history(path, rates, LOSSES[run], **options)
                given.append(f"{panel}, {run}={path}" if panel else f"{run}={path}")
    return given


def panel_of(folder, column="validation_wer", **runs):
    """A panel of runs by their error rates; ``scratch`` and others."""
    given = [f"{name}={write_history(folder / f'{name}.csv', r)}" for name, r in runs.items()]
    (panel,) = read_panels(given, column)[0].values()
    return panel


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Both figures, drawn once."""
    folder = tmp_path_factory.mktemp("asr figures")
    for stem, step in STEPS.items():
        given = histories(folder, "German", "Spanish, too", seeds=2)
        suffixes = {"svg": "svg", "png": "png", "run": "run.json"}
        step.main(history=given, **{k: folder / f"{stem}.{v}" for k, v in suffixes.items()})
    return folder


def found(folder, stem):
    record = json.loads((folder / f"{stem}.run.json").read_text(encoding="utf-8"))
    return {finding["subject"]: finding["text"] for finding in record["findings"]}


@pytest.mark.parametrize("stem", STEPS)
def test_each_is_a_described_figure_in_the_colours_of_the_page(drawn, stem):
    root = ET.parse(drawn / f"{stem}.svg").getroot()
    assert root.findtext(f"{SVG}title")
    assert len(root.findtext(f"{SVG}desc")) > 60
    assert len(root.get("data-panels").split(";")) == 2
    text = (drawn / f"{stem}.svg").read_text(encoding="utf-8")
    colours = set(re.findall(r"(?:fill|stroke): (#\w+)", text))
    assert len(colours) >= 4
    assert colours <= set(COLOURS)
    assert (drawn / f"{stem}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("stem", STEPS)
def test_same_input_same_bytes(drawn, outputs, tmp_path, stem):
    again = outputs(tmp_path, stem, *KINDS)
    STEPS[stem].main(history=histories(tmp_path, "German", "Spanish, too", seeds=2), **again)
    for kind in ("svg", "png"):
        assert again[kind].read_bytes() == (drawn / f"{stem}.{kind}").read_bytes()


@pytest.mark.parametrize("stem", STEPS)
def test_without_any_run_a_figure_says_so(tmp_path, outputs, stem):
    paths = outputs(tmp_path, "f", *KINDS)
    STEPS[stem].main(history=None, **paths)
    assert "No run was" in paths["svg"].read_text(encoding="utf-8")
    assert found(tmp_path, "f") == {}


# --- figure 2: training loss ----------------------------------------------------------------------


def test_figure2_tells_the_first_and_the_last_epoch(drawn):
    texts = found(drawn, "asr_figure2")
    assert set(texts) == {"Figure 2, German", "Figure 2, Spanish"}
    assert texts["Figure 2, German"] == (
        "Training loss: 15x5 scratch 60 in epoch 1, 20 in epoch 6; 15x5_$1 fine-tuned 40 in epoch "
        "1, 6 in epoch 6. Fine-tuning has the lower training loss from the first epochs to the "
        "last: holds (15x5_$1 fine-tuned in 6 of 6 epochs)."
    )


def test_a_loss_that_is_not_lower_throughout_is_said(tmp_path, outputs):
    given = []
    for name, losses in (("scratch", [9.0, 5.0, 1.0]), ("tuned", [4.0, 3.0, 2.0])):
        given.append(f"{name}={write_history(tmp_path / f'{name}.csv', [1.0] * 3, losses)}")
    asr_figure2.main(history=given, **outputs(tmp_path, "f", *KINDS))
    assert found(tmp_path, "f")["Figure 2"].endswith("does not hold here (tuned in 2 of 3 epochs).")
    asr_figure2.main(history=given[1:], **outputs(tmp_path, "f", *KINDS))
    assert "cannot be checked in this configuration" in found(tmp_path, "f")["Figure 2"]


def test_scratch_has_the_first_colour_and_axes_are_labelled(tmp_path):
    options = histories(tmp_path, seeds=2)
    for column, draw, label in (
        ("loss", draw_losses, "training loss (CTC)"),
        ("validation_wer", draw_accuracies, "relative validation accuracy"),
    ):
        panel = read_panels(options, column)[0]["German"]
        assert list(panel) == [SCRATCH, TUNED]
        with figure_style():
            _, (axes,) = panels(1, 1)
            draw(axes, panel)
        assert axes.get_ylabel() == label
        lines = [line for line in axes.lines if len(line.get_xdata()) == 6]
        assert [line.get_color() for line in lines] == [look(0)["color"], look(1)["color"]]
        assert len({line.get_linestyle() for line in lines}) == 2  # told apart without colour


def test_seeds_of_one_run_give_a_mean_and_a_range(tmp_path):
    panel = read_panels(histories(tmp_path, seeds=3), "validation_wer")[0]["German"]
    band = over_seeds(panel[SCRATCH], "validation_wer")
    assert band["mean"].iloc[0] == pytest.approx(1.02)
    assert (band["low"].iloc[0], band["high"].iloc[0]) == pytest.approx((1.0, 1.04))
    of = accuracy(panel[SCRATCH])
    assert ((of["low"] <= of["mean"]) & (of["mean"] <= of["high"])).all()


# --- figure 3: time to 90 % -----------------------------------------------------------------------


def test_figure3_tells_the_time_to_90_percent(tmp_path, outputs):
    asr_figure3.main(history=histories(tmp_path), **outputs(tmp_path, "f", *KINDS))
    assert found(tmp_path, "f") == {
        "Figure 3, German": "Accuracy is relative to the best, 60.0 % of 15x5_$1 fine-tuned. "
        "Fine-tuning reaches 90 % of the final accuracy sooner: holds (15x5_$1 fine-tuned in epoch "
        "3, from scratch in 6: 2.0 times sooner, 30 s of training for 60 s). In the paper about 18 "
        "times sooner, on speech that is not public."
    }
    record = json.loads((tmp_path / "f.run.json").read_text(encoding="utf-8"))
    numbers = record["panels"]["German"]
    assert numbers["best_accuracy"] == pytest.approx(0.6)
    assert numbers["to_90_percent"][TUNED] == {
        "epoch": 3.0,
        "first": False,
        "last": 6.0,
        "seconds": 30.0,
    }


@pytest.mark.parametrize(
    ("scratch", "tuned", "message"),
    [
        ([0.9, 0.8], [0.2, 0.1], "tuned in epoch 2, from scratch not in 2: more than 1.0 times"),
        ([0.9, 0.1], [0.11, 0.1], "holds (tuned in epoch 1, from scratch in 2: at least 2.0 times"),
        ([0.2, 0.1], [0.9, 0.8], "does not hold here (tuned does not reach it in 2 epochs)"),
        ([0.3, 0.1], [0.3, 0.1], "does not hold here (tuned in epoch 2, from scratch in 2: no soo"),
        ([0.1, 0.1], [0.3, 0.1], "does not hold here (tuned in epoch 2, from scratch in 1: no soo"),
        ([1.0, 1.2], [1.0, 1.0], "No run has a word error rate below 100 %"),
    ],
)
def test_no_ratio_is_made_up(tmp_path, scratch, tuned, message):
    panel = panel_of(tmp_path, scratch=scratch, tuned=tuned)
    if best_of(panel) > 0:
        assert set(times_of(panel)) == {"scratch", "tuned"}
    assert message in finding(panel).text


def test_a_panel_without_a_scratch_run_has_no_ratio(tmp_path):
    told = finding(panel_of(tmp_path, tuned=[0.9, 0.1], other=[0.5, 0.2]))
    assert "sooner: cannot be checked in this configuration." in told.text
    assert told.verdicts == ("undecided",)


def test_epochs_without_validation_are_passed_over(tmp_path):
    given = [f"a={write_history(tmp_path / 'a.csv', [np.nan, 0.5, np.nan, 0.1])}"]
    (panel,) = read_panels(given, "validation_wer")[0].values()
    assert accuracy(panel["a"])["mean"].tolist() == pytest.approx([0.5, 0.9])
    of = reached(panel["a"], best_of(panel))
    assert (of.epoch, of.last, of.seconds, of.first) == (4, 4, 40, False)


def test_accuracy_before_any_training_counts(tmp_path):
    scratch = write_history(tmp_path / "s.csv", [1.0, 0.5, 0.1], first=0)
    tuned = write_history(tmp_path / "t.csv", [0.1, 0.1, 0.1], first=0)
    (panel,) = read_panels([f"scratch={scratch}", f"t={tuned}"], "validation_wer")[0].values()
    assert "holds (t before any training, from scratch in 2)" in finding(panel).text


def test_the_line_at_90_percent_is_dashed_and_the_best_is_1(tmp_path):
    panel = read_panels(histories(tmp_path), "validation_wer")[0]["German"]
    with figure_style():
        _, (axes,) = panels(1, 1)
        draw_accuracies(axes, panel)
    (dashed,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert set(dashed.get_ydata()) == {0.9}
    curves = [line for line in axes.lines if line is not dashed]
    assert max(line.get_ydata().max() for line in curves) == pytest.approx(1)
    assert curves[0].get_ydata()[0] == pytest.approx(0)


def test_seconds_that_are_not_recorded_are_not_told(tmp_path):
    path = write_history(tmp_path / "a.csv", [0.5, 0.1])
    frame = pd.read_csv(path)
    frame.drop(columns="seconds").to_csv(path, index=False)
    (panel,) = read_panels([f"a={path}"], "validation_wer")[0].values()
    assert times_of(panel)["a"].seconds is None


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss\n1\n", "it has no epochs"),
        ("epoch,validation_wer\n", "it has no epochs"),
        ("epoch,loss\n1,2\n", "lacks the columns validation_wer"),
        ("epoch,validation_wer\n1,x\n", "not a training history"),
        ("epoch,validation_wer\n1,1\n1,2\n", "an epoch comes twice"),
        ("epoch,validation_wer\n1,\n", "no epoch has a validation_wer"),
    ],
)
def test_bad_histories_are_named(tmp_path, text, message):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(InputError, match=rf"history\.csv: .*{message}"):
        read_panels([f"a={tmp_path / 'history.csv'}"], "validation_wer")
    with pytest.raises(InputError, match=r"none\.csv: not a training history"):
        read_panels([f"a={tmp_path / 'none.csv'}"], "validation_wer")


def test_panels_are_named_by_language(tmp_path):
    path = write_history(tmp_path / "h.csv", [0.5])
    names = ("ru, scratch", "fr, scratch", "Group, a, b", "alone")
    drawn, paths = read_panels([f"{name}={path}" for name in names], "loss")
    assert {panel: list(runs) for panel, runs in drawn.items()} == {
        "Russian": ["scratch"],
        "fr": ["scratch"],
        "Group": ["a, b"],
        "": ["alone"],
    }
    assert paths == [path] * 4


def test_bad_names_of_histories(tmp_path):
    path = write_history(tmp_path / "h.csv", [0.5])
    for name, message in (
        ("German,", "'German,' names no run after its panel"),
        ("scratch, seed 0", "names a seed; seeds of one run are named alike"),
        ("", "must be name=path"),
    ):
        with pytest.raises(InputError, match=f"--history: .*{message}"):
            read_panels([f"{name}={path}"], "loss")
    with pytest.raises(InputError, match="German has more than one run from scratch"):
        read_panels([f"German, {n} scratch={path}" for n in ("5x3", "15x5")], "loss")
