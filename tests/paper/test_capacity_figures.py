"""The capacity paper's figures: what they show, that they are the same every time, bad input."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.text import Annotation

from hearsay.errors import InputError
from hearsay.paper import (
    capacity_esd,
    capacity_figure1,
    capacity_figure2,
    capacity_figure3,
    capacity_figure4,
)
from hearsay.paper.capacity import read_audit
from hearsay.paper.capacity_figure4 import merge_layers, short_names
from hearsay.paper.style import COLOURS, PointNames, figure_style, label_points, panels

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("svg", "png", "run")


def draw(study, paths, stem):
    """Run the step `stem`."""
    common = {"summary": study.summary, "published": study.published, "models": study.models}
    if stem == "capacity_figure1":
        capacity_figure1.main(audits=study.audits, **common, **paths)
    elif stem == "capacity_figure4":
        capacity_figure4.main(
            baseline=study.folder / "tiny-4.csv", other=study.folder / "tiny-3.csv", **paths
        )
    elif stem == "capacity_esd":
        capacity_esd.main(
            audit=study.folder / "tiny-4.csv",
            eigenvalues=study.folder / "tiny-4.eigenvalues.npz",
            name="",
            piece="",
            **paths,
        )
    else:
        {"capacity_figure2": capacity_figure2, "capacity_figure3": capacity_figure3}[stem].main(
            **common, **paths
        )


STEPS = {
    "capacity_figure1": 2,
    "capacity_figure2": 1,
    "capacity_figure3": 3,
    "capacity_figure4": 2,
    "capacity_esd": 1,
}


@pytest.fixture(scope="module")
def drawn(study, tmp_path_factory):
    """Every figure, drawn once."""
    folder = tmp_path_factory.mktemp("figures")
    for stem in STEPS:
        suffixes = {"svg": "svg", "png": "png", "run": "run.json"}
        draw(study, {k: folder / f"{stem}.{v}" for k, v in suffixes.items()}, stem)
    return folder


def told(folder, stem):
    root = ET.parse(folder / f"{stem}.svg").getroot()
    return root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc"), root


@pytest.mark.parametrize(("stem", "count"), STEPS.items())
def test_panels_lie_in_the_figure_and_do_not_overlap(drawn, stem, count):
    title, description, root = told(drawn, stem)
    assert title
    assert description
    width, height = map(float, root.get("viewBox").split()[2:])
    boxes = [tuple(map(float, box.split())) for box in root.get("data-panels").split(";")]
    assert len(boxes) == count
    ids = {element.get("id") for element in root.iter()}
    assert {f"panel-{k + 1}" for k in range(count)} <= ids
    for x, y, w, h in boxes:
        assert -10 <= x < x + w <= width + 10
        assert -10 <= y < y + h <= height + 10
    for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes, 2):
        assert x + w <= x2 + 8 or x2 + w2 <= x + 8 or y + h <= y2 + 8 or y2 + h2 <= y + 8
    assert (drawn / f"{stem}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("stem", STEPS)
def test_colours_are_those_that_the_page_can_exchange(drawn, stem):
    text = (drawn / f"{stem}.svg").read_text()
    colours = set(re.findall(r"(?:fill|stroke): (#\w+)", text))
    assert len(colours) >= 4
    assert colours <= set(COLOURS)


def test_models_in_no_series_have_no_panel(study, common, outputs, tmp_path):
    models = [{**entry, "series": ""} for entry in json.loads(study.models)]
    paths = outputs(tmp_path, "f", *KINDS)
    capacity_figure2.main(**common | {"models": json.dumps(models)}, **paths)
    record = json.loads(paths["run"].read_text())
    assert (record["correlations"], record["not_drawn"]) == ([], [])


@pytest.mark.parametrize("stem", ["capacity_figure1", "capacity_figure2", "capacity_figure4"])
def test_same_input_same_bytes(study, drawn, outputs, tmp_path, stem):
    again = outputs(tmp_path, stem, *KINDS)
    draw(study, again, stem)
    for kind in ("svg", "png"):
        assert again[kind].read_bytes() == (drawn / f"{stem}.{kind}").read_bytes()
    assert "<dc:date>" not in again["svg"].read_text()


def test_same_bytes_from_a_fresh_process(study, drawn, tmp_path):
    """Also as the rule runs it: with options, from a folder with a space."""
    out = tmp_path / "with space"
    command = [sys.executable, "-m", "hearsay.paper.capacity_esd"]
    command += ["--audit", str(study.folder / "tiny-4.csv")]
    command += ["--eigenvalues", str(study.folder / "tiny-4.eigenvalues.npz")]
    command += ["--svg", str(out / "e.svg"), "--png", str(out / "e.png")]
    command += ["--run", str(out / "e.run.json")]
    seeded = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=seeded, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    for kind in ("svg", "png"):
        assert (out / f"e.{kind}").read_bytes() == (drawn / f"capacity_esd.{kind}").read_bytes()
    record = json.loads((out / "e.run.json").read_text())
    assert record["matrix"] == "module.layer3.weight [0,0]"  # the largest has most eigenvalues
    names = [Path(entry["path"]).name for entry in record["inputs"]]
    assert names == ["tiny-4.csv", "tiny-4.eigenvalues.npz"]


def test_input_error_is_one_line_and_status_1(study, tmp_path):
    command = [sys.executable, "-m", "hearsay.paper.capacity_esd"]
    for option in ("audit", "eigenvalues", "svg", "png", "run"):
        command += [f"--{option}", str(tmp_path / option)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "No such file" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "svg").exists()


def test_figure1_counts_what_the_audits_hold(study, drawn):
    alphas = pd.concat([read_audit(path) for path in study.audits])["alpha"].dropna()
    inside = 100 * alphas.between(2, 5).mean()
    finding = json.loads((drawn / "capacity_figure1.run.json").read_text())["findings"][0]["text"]
    assert f"{len(alphas)} matrices; {inside:.0f} % in [2, 5]" in finding
    below, above = (alphas < 2).sum(), alphas.between(5, 6).sum()
    assert below >= 2 <= above  # the study has exponents on either side of the range
    assert f"{100 * (alphas < 2).mean():.0f} % below 2" in finding


def test_figure2_shows_tau_and_names_with_mathematics_taken_literally(study, drawn):
    record = json.loads((drawn / "capacity_figure2.run.json").read_text())
    assert record["correlations"][0].startswith("tiny & <i>small_, α̂, mean over matrices: τ = ")
    assert "n = 4" in record["correlations"][0]
    assert record["not_drawn"] == ["VGG: not drawn, 1 with a known accuracy."]
    comments = (drawn / "capacity_figure2.svg").read_text()
    assert "x_&amp;%$#^{}|~`\\ -->" in comments  # matplotlib writes each text as a comment


def test_figures_without_any_accuracy_say_so(study, outputs, tmp_path):
    published = tmp_path / "p.csv"
    published.write_text("model,series,accuracy,accuracy_source,alpha,alpha_hat,source\n")
    summary = tmp_path / "summary.csv"
    lines = study.summary.read_text().splitlines(keepends=True)
    summary.write_text("".join(line for line in lines if ",accuracy," not in line))
    paths = outputs(tmp_path, "f2", *KINDS)
    capacity_figure2.main(summary=summary, published=published, models=study.models, **paths)
    assert "VGG: not drawn, 0 with a known accuracy." in told(tmp_path, "f2")[1]
    paths = outputs(tmp_path, "f1", *KINDS)
    capacity_figure1.main(
        audits=study.audits, summary=summary, published=published, models=study.models, **paths
    )
    assert "for 0 models" in told(tmp_path, "f1")[1]


def test_figure4_tells_layers_that_one_model_lacks_or_that_have_no_fit(drawn):
    description = told(drawn, "capacity_figure4")[1]
    assert "Only in tiny-4: module.layer3.weight." in description
    assert "Without a fit in either, left out: module.first.weight." in description
    assert "tiny-3: mean α" in description


def test_figure4_marks_stand_at_the_layers_they_mean(study):
    audits = {name: read_audit(study.folder / f"{name}.csv") for name in ("tiny-4", "tiny-3")}
    layers = {f"module.layer{k}.weight": str(k) for k in range(4)} | {"module.first.weight": "f"}
    with figure_style():
        _, (axes,) = panels(1, 1)
        capacity_figure4.draw_layers(axes, audits, layers, "alpha", "α", "title")
    slices, means, absent, unfitted = zip(*zip(*[iter(axes.lines)] * 4, strict=True), strict=True)
    assert [line.get_xdata().round().tolist() for line in means] == [[0, 1, 2, 3], [0, 1, 2]]
    assert [line.get_xdata().round().tolist() for line in absent] == [[], [3]]
    assert [line.get_xdata().round().tolist() for line in unfitted] == [[4], [4]]
    assert len(slices[0].get_xdata()) == 8
    expected = pd.to_numeric(audits["tiny-4"]["alpha"]).groupby(audits["tiny-4"]["name"]).mean()
    assert means[0].get_ydata().tolist() == pytest.approx(expected.dropna().tolist())
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2", "3", "f"]


def test_a_model_beside_itself_is_refused(study, outputs, tmp_path):
    same = study.folder / "tiny-3.csv"
    with pytest.raises(InputError, match="tiny-3 is compared with itself"):
        capacity_figure4.main(baseline=same, other=same, **outputs(tmp_path, "f", *KINDS))


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 9), unique=True))
def test_merged_layers_hold_all_once_and_keep_the_baselines_order(first, second):
    merged = merge_layers(first, second)
    assert sorted(merged) == sorted(set(first) | set(second))
    assert [name for name in merged if name in first] == first
    only = [name for name in second if name not in first]
    if [name for name in second if name in first] == [name for name in first if name in second]:
        assert [name for name in merged if name in second] == second
    assert set(only) <= set(merged)


def test_short_names_lose_what_all_share():
    layers = ["module.a.0.weight", "module.b.0.weight", "module.b.weight"]
    assert short_names(layers) == ["a.0", "b.0", "b"]
    assert short_names(["x"]) == ["x"]
    assert short_names(["features.4.weight", "features.7.weight"]) == ["features.4", "features.7"]


def test_layers_too_many_to_name_are_not_said_to_be_in_network_order(study):
    """An audit of a safetensors file has its weights by name: fc before layer1."""
    audits = {stem: read_audit(study.folder / f"{stem}.csv") for stem in ("tiny-3", "tiny-4")}
    layers = {f"absent{k}": f"absent{k}" for k in range(50)}
    layers |= {name: name for audit in audits.values() for name in audit["name"]}
    with figure_style():
        _, (axes,) = panels(1, 1)
        capacity_figure4.draw_layers(axes, audits, layers, "alpha", "α", "Exponents")
    assert axes.get_xlabel() == "layer, in the order of the audits"


def test_labels_keep_clear_of_each_other_where_there_is_room():
    with figure_style():
        figure, (axes,) = panels(1, 1)
        x, y = [1, 1.02, 1.04, 2, 3], [1, 1.01, 1.02, 2, 3]
        axes.plot(x, y, "o")
        names = ["first", "second", "third", "fourth", "a name of some length"]
        label_points(figure, [PointNames(axes, x, y, names)])
        renderer = figure.canvas.get_renderer()
        notes = [text for text in axes.texts if isinstance(text, Annotation)]
        assert [note.get_text() for note in notes] == names
        boxes = [note.get_window_extent(renderer) for note in notes]
        frame = axes.get_window_extent(renderer)
    for a, b in combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 0 or height <= 0
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


@pytest.mark.parametrize(
    ("name", "piece", "message"),
    [
        ("module.none", "", "no such weight"),
        ("module.layer0.weight", "", r"its slices are '0,0', '0,1'"),
        ("module.first.weight", "0,0", "has no fit: it is too_small"),
    ],
)
def test_esd_of_what_is_not_there(study, outputs, tmp_path, name, piece, message):
    with pytest.raises(InputError, match=message):
        capacity_esd.main(
            audit=study.folder / "tiny-4.csv",
            eigenvalues=study.folder / "tiny-4.eigenvalues.npz",
            name=name,
            piece=piece,
            **outputs(tmp_path, "esd", *KINDS),
        )


def test_esd_of_a_chosen_slice_draws_the_density_it_should(study):
    audit = read_audit(study.folder / "tiny-4.csv")
    row = capacity_esd.choose_matrix(audit, study.folder, "module.layer0.weight", "0,1")
    spectrum = capacity_esd.read_spectrum(study.folder / "tiny-4.eigenvalues.npz", row)
    with figure_style():
        _, (axes,) = panels(1, 1)
        capacity_esd.draw_density(axes, spectrum, row)
    x, line = axes.lines[1].get_data()
    slope = np.diff(np.log(line))[0] / np.diff(np.log(x))[0]
    assert slope == pytest.approx(-row["alpha"])
    # The whole line, from xmin to infinity, holds the tail's share of the eigenvalues.
    assert line[0] * x[0] / (row["alpha"] - 1) == pytest.approx(row["n_tail"] / spectrum.size)


def test_the_esd_is_that_of_most_eigenvalues_where_slices_are_pooled(study, outputs, tmp_path):
    """A pooled convolution of 3 x 3 positions has nine times as many as its slices' M."""
    frame = pd.read_csv(study.folder / "tiny-4.csv", dtype=str, keep_default_na=False)
    frame = frame[frame["alpha"] != ""].iloc[[0, -1]].reset_index(drop=True)
    small, large = frame["M"].astype(int)
    assert small < large < 9 * small
    frame.to_csv(tmp_path / "m.csv", index=False)
    largest = frame["lambda_max"].astype(float)
    sizes = (9 * small, large)
    spectra = {str(k): np.geomspace(0.001, largest[k], size) for k, size in enumerate(sizes)}
    np.savez(tmp_path / "m.npz", **spectra)
    paths = outputs(tmp_path, "esd", *KINDS)
    capacity_esd.main(audit=tmp_path / "m.csv", eigenvalues=tmp_path / "m.npz", **paths)
    drawn = json.loads(paths["run"].read_text())["matrix"]
    assert drawn == f"{frame['name'][0]} [{frame['slice'][0]}]"
    np.savez(tmp_path / "m.npz", other=np.array([1.0]))
    with pytest.raises(InputError, match=r"m\.npz: not the eigenvalues of an audit"):
        capacity_esd.main(audit=tmp_path / "m.csv", eigenvalues=tmp_path / "m.npz", **paths)


@given(st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=80), st.floats(0.05, 0.95))
def test_every_bins_density_times_its_width_counts_the_eigenvalues(values, place):
    spectrum = np.sort(values)
    xmin = spectrum[int(place * spectrum.size)]
    assume(xmin < 0.999 * spectrum[-1])  # no fit takes the largest eigenvalue as xmin
    centres, density = capacity_esd.density_of(spectrum, spectrum[0], xmin)
    assert (density > 0).all()
    # Bins of one part are even in log λ, so a bin's width follows from its centre and the ends.
    counted = 0.0
    parts = ((spectrum[spectrum < xmin], xmin), (spectrum[spectrum >= xmin], spectrum[-1]))
    for part, end in parts:
        if part.size:
            bins = int(np.clip(1.5 * np.sqrt(part.size), 4, 60))
            ratio = (end / part[0]) ** (0.5 / bins)
            inside = (centres >= part[0]) & (centres <= end)
            counted += (density * centres * (ratio - 1 / ratio))[inside].sum() * spectrum.size
    assert counted == pytest.approx(spectrum.size, rel=1e-6)


def test_eigenvalues_of_another_run_are_refused(study, tmp_path):
    row = capacity_esd.choose_matrix(read_audit(study.folder / "tiny-4.csv"), study.folder, "", "")
    np.savez(tmp_path / "e.npz", **{str(row.name): np.array([1.0, 2.0])})
    with pytest.raises(InputError, match="not of one run"):
        capacity_esd.read_spectrum(tmp_path / "e.npz", row)
    np.savez(tmp_path / "e.npz", other=np.array([1.0]))
    with pytest.raises(InputError, match="no eigenvalues of row"):
        capacity_esd.read_spectrum(tmp_path / "e.npz", row)


def test_audits_without_an_exponent_are_refused(study, common, outputs, tmp_path):
    audit = tmp_path / "empty.csv"
    frame = pd.read_csv(study.audits[0], dtype=str, keep_default_na=False)
    frame[frame["status"] == "too_small"].to_csv(audit, index=False)
    with pytest.raises(InputError, match=r"no exponent in .*empty\.csv"):
        capacity_figure1.main(audits=[audit], **common, **outputs(tmp_path, "f", *KINDS))
    with pytest.raises(InputError, match="no matrix has a fit"):
        capacity_esd.choose_matrix(read_audit(audit), audit, "", "")
    frame.assign(alpha="").to_csv(audit, index=False)
    with pytest.raises(InputError, match="has status ok and no alpha"):
        read_audit(audit)
