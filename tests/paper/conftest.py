"""A small study in the real file formats, with names that try to break every output."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hearsay.metrics.scores import write_scores
from hearsay.provenance import ROOT, Run

HOSTILE = "<script>x_&%$#^{}|~`\\"
AUDIT_COLUMNS = [
    "name",
    "aliases",
    "kind",
    "shape",
    "slice",
    "N",
    "M",
    "alpha",
    "xmin",
    "D",
    "sigma",
    "n_tail",
    "lambda_max",
    "alpha_hat",
    "alpha_hat_normalised",
    "log_spectral_norm",
    "log_frobenius_norm",
    "stable_rank",
    "log_stable_rank",
    "status",
    "reason",
]
ACCURACY = {"tiny-2": 91.0, "tiny-3": 93.5, "tiny-4": 95.0, HOSTILE: 96.5, "vgg11": None}
PUBLISHED = ROOT / "resources" / "published" / "capacity.csv"

# How sentences tell what became of a claim: what a reader would count.
TELLS = {
    "hold": re.compile(
        r": holds (?:for \d+ of \d+ subjects? )?\("
        r"|^Smaller α̂ goes with better accuracy, as claimed"
    ),
    "partly": re.compile(r": holds for \d+ of \d+ (?:subjects? )?only \("),
    "fail": re.compile(
        r": does not hold (?:here|for [^(]+) \(|: does not beat every control by any measure"
        r"|^Larger α̂ goes with better accuracy, against the claim"
    ),
    "undecided": re.compile(
        r": cannot be checked in this configuration\."
        r"|^τ of α̂ (?:has the (?:claimed sign|sign against the claim)|is not defined)"
        r"|^α̂ does not order the models|: was not held against every control"
    ),
}
BEATS = re.compile(r"beats every control by (?:(?!beats? every control).)*", re.DOTALL)


def told_in(subject, text):
    """The verdicts that a finding's sentences tell, in order of their names."""
    if subject.endswith(", published"):
        return []
    kinds = [kind for kind, told in TELLS.items() for _ in told.findall(text)]
    kinds += ["partly" if ", not by " in told else "hold" for told in BEATS.findall(text)]
    return sorted(kinds)


@pytest.fixture(scope="package", autouse=True)
def verdicts_are_those_that_are_told():
    """Whatever run record a test here writes: the verdicts of its findings are what they tell."""
    write = Run.write

    def checked(self, path, **more):
        for finding in more.get("findings", []):
            told = told_in(finding["subject"], finding["text"])
            assert sorted(finding.get("verdicts", [])) == told, finding
        write(self, path, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "write", checked)
        yield


def audit_row(name, piece, alpha, lambda_max, status="ok", M=40):
    row = dict.fromkeys(AUDIT_COLUMNS, "")
    row |= {"name": name, "kind": "conv2d", "shape": f"{M}x{M}", "slice": piece, "N": M, "M": M}
    if status not in ("ok", "small_tail"):
        return row | {"status": status, "reason": f"it is {status}"}
    n_tail = 25 if status == "ok" else 12
    return row | {
        "alpha": alpha,
        "xmin": lambda_max / 50,
        "D": 0.05,
        "sigma": (alpha - 1) / n_tail**0.5,
        "n_tail": n_tail,
        "lambda_max": lambda_max,
        "alpha_hat": alpha * np.log10(lambda_max),
        "log_spectral_norm": np.log10(lambda_max),
        "log_frobenius_norm": np.log10(3 * lambda_max),
        "status": status,
    }


def write_audit(folder, model, depth, rng):
    rows = [audit_row("module.first.weight", "0,0", 0, 0, "too_small", M=4)]
    for layer in range(depth):
        for piece in ("0,0", "0,1"):
            status = "small_tail" if layer == 1 else "ok"
            alpha = 1.6 + 4.4 * rng.random() + 9 * (layer == 2)
            size = 40 + layer
            row = audit_row(f"module.layer{layer}.weight", piece, alpha, 1 + rng.random(), status)
            rows.append(row | {"M": size, "N": size})
    spectra = {
        str(k): np.sort(row["lambda_max"] * rng.random(row["M"]) ** 3)
        for k, row in enumerate(rows)
        if row["alpha"] != ""
    }
    for key, spectrum in spectra.items():
        spectrum[-1] = rows[int(key)]["lambda_max"]
    frame = pd.DataFrame(rows)[AUDIT_COLUMNS]
    frame.to_csv(folder / f"{model}.csv", index=False)
    np.savez(folder / f"{model}.eigenvalues.npz", **spectra)
    run = Run("hearsay.paper.tables", settings={"model": model}, inputs=[folder / f"{model}.csv"])
    run.write(folder / f"{model}.run.json")
    return frame[frame["alpha"] != ""], len(frame), run.id


def summary_rows(model, fitted, matrices, run, accuracy):
    base = {"system": "spectral", "experiment": "weightwatcher-2019", "model": model, "run": run}
    values = {
        "depth": fitted["name"].nunique(),
        "matrices": matrices,
        "status_ok": (fitted["status"] == "ok").sum(),
        "status_small_tail": (fitted["status"] == "small_tail").sum(),
        "status_too_small": matrices - len(fitted),
        **{
            metric: pd.to_numeric(fitted[metric]).mean()
            for metric in ("alpha", "alpha_hat", "log_spectral_norm", "log_frobenius_norm")
        },
        "alpha_hat_sum": pd.to_numeric(fitted["alpha_hat"]).sum(),
        "alpha_hat_normalised": -3.25,
        "alpha_hat_unnormalised": 4.25,
        "alpha_hat_rescaled": 4.5,
        "alpha_hat_normalised_sum": -100.0 * len(fitted),
    }
    if accuracy is not None:
        values["accuracy"] = accuracy
    return [{**base, "metric": metric, "value": float(value)} for metric, value in values.items()]


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Audits, summary and models of five networks; vgg11 has a published accuracy only."""
    folder = tmp_path_factory.mktemp("results") / "a folder" / "spectral"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(11)
    scores = []
    for depth, (model, accuracy) in enumerate(ACCURACY.items(), start=2):
        fitted, matrices, run = write_audit(folder, model, depth, rng)
        scores += summary_rows(model, fitted, matrices, run, accuracy)
    write_scores(folder / "summary.csv", scores)
    series = dict.fromkeys(ACCURACY, "tiny & <i>small_") | {"vgg11": "VGG"}
    models = [{"model": model, "series": series[model]} for model in ACCURACY]
    return SimpleNamespace(
        folder=folder,
        root=folder.parent,
        summary=folder / "summary.csv",
        published=PUBLISHED,
        models=json.dumps(models),
        audits=[folder / f"{model}.csv" for model in ACCURACY],
        hostile=HOSTILE,
        report=ROOT / "workflow" / "report",
    )


@pytest.fixture
def common(study):
    """The options that most steps share."""
    return {"summary": study.summary, "published": study.published, "models": study.models}


@pytest.fixture
def altered(tmp_path):
    """A copy of a file in which one text, at its first place, is another."""

    def make(file: Path, old: str, new: str) -> Path:
        text = file.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / file.name
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return make


@pytest.fixture
def outputs():
    """Names of a step's outputs in a folder."""

    def named(folder: Path, stem: str, *kinds: str) -> dict[str, Path]:
        suffixes = {"markdown": "md", "run": "run.json"}
        return {kind: folder / f"{stem}.{suffixes.get(kind, kind)}" for kind in kinds}

    return named
