"""Hostile settings, targets and files through the real commands: no traceback, nothing run."""

import random
import subprocess
import sys

import pytest
from cases import TIMES, TRIED, broken
from readers import HOSTILE_SETTINGS, checkpoint, nemo, tensors
from safetensors.torch import save

from hearsay.provenance import PACKAGE

TARGETS = [
    "results/paper/brain/$(touch PWNED)/present.tsv",
    "results/paper/spectral/`touch PWNED`.csv",
    "results/paper/brain/../../../escaped/present.tsv",
    "results/paper/speech/{corpus}/{part}.jsonl",
    "results/paper/asr/de/15x5/99999999999999999999/weights.safetensors",
    "-rf",
    "a\nb",
    "results/paper/brain/é\u202e/present.tsv",
    "resources/models/" + "a" * 300,
]


def few(all_of_them):
    """Each takes seconds: a third of them, and all only where the fuzzing goes deeper."""
    return all_of_them if TIMES > 2 else all_of_them[2::3]


TRACE = "Traceback (most recent call last)"


def everything(folder):
    return sorted(path for path in folder.rglob("*") if ".snakemake" not in path.parts)


@pytest.mark.parametrize("target", few(TARGETS))
def test_hostile_targets(origin, snakemake, tmp_path, target):
    here = tmp_path / "here"
    here.mkdir()
    TRIED["targets (snakemake)"] += 1
    done = snakemake(
        here, "-s", origin / "Snakefile", "--directory", here, "--cores", "1", "-n", "--", target
    )
    assert TRACE not in done.text, done.text
    assert [path for path in everything(tmp_path) if path != here] == []


# Snakemake itself reads the file and merges its mappings before this project's code runs; for
# some the traceback is Snakemake's.
SNAKEMAKES = ("models: &m", "? [a, b]")
SETTINGS = [
    *HOSTILE_SETTINGS,
    "spectral: {models: [digits-3, digits-3, '']}\n",
    "brain: {subjects: ['../../x']}\n",
    "brain: {subjects: ['$(touch PWNED)']}\n",
    "lm: {experiments: /dev/null}\n",
    "asr: {experiments: ../../../../../etc/passwd}\n",
    "slu: {sentiment: .}\n",
    "asr: {threads: 1.0e+400}\n",
    "asr: {device: 'cuda:0; touch PWNED'}\n",
    "fmri_datasets: {ds003020: {manifest: ../../x.json}}\n",
]


@pytest.mark.parametrize("content", few(SETTINGS))
def test_hostile_settings(origin, snakemake, tmp_path, content):
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "my.yaml").write_text(content, encoding="utf-8")
    TRIED["settings (snakemake)"] += 1
    arguments = ["-s", origin / "Snakefile", "--directory", here, "--cores", "1", "-n"]
    done = snakemake(here, *arguments, "--configfile", tmp_path / "my.yaml")
    if content.startswith(SNAKEMAKES):
        assert done.status != 0
    else:
        assert TRACE not in done.text, done.text
    assert "Error in file" not in done.text.replace("WorkflowError in file", ""), done.text
    assert len(done.text) < 50_000 or done.status == 0
    assert [path.name for path in everything(tmp_path)] == ["here", "my.yaml"]


def command(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=900,
    )
    text = done.stdout + done.stderr
    assert TRACE not in text, text
    assert done.returncode in (0, 1, 2), text
    return done


@pytest.mark.parametrize("number", range(max(2, round(2 * min(TIMES, 10)))))
def test_broken_weights_are_audited_or_refused(tmp_path, number):
    random_ = random.Random(number)
    kinds = {
        "a.safetensors": [save(tensors())],
        "a.pth": checkpoint(tmp_path),
        "a.nemo": nemo(tmp_path),
    }
    name = random_.choice(list(kinds))
    (tmp_path / name).write_bytes(broken(random_.choice(kinds[name]), random_))
    TRIED["weights (command)"] += 1
    done = command(tmp_path, "hearsay.spectral", name)
    if done.returncode:
        assert name in done.stdout + done.stderr
    assert [path.name for path in everything(tmp_path)] == [name]


@pytest.mark.parametrize(
    "name", ["a\nb.safetensors", "--help.safetensors", "$(touch PWNED)", "\udcff.pth", "a" * 300]
)
def test_files_of_hostile_names(tmp_path, name):
    TRIED["file names (command)"] += 1
    if len(name) < 200:
        (tmp_path / name).write_bytes(save(tensors())[:-3])
    before = everything(tmp_path)
    assert command(tmp_path, "hearsay.spectral", "--", name).returncode != 0
    assert everything(tmp_path) == before


@pytest.mark.parametrize("value", ["{", "[]", "null", '{"url": 5}', '{"url": "x", "sha256": 1}'])
def test_settings_of_a_step_that_are_none(tmp_path, value):
    """Rules hand these over, not users: any end but a harmful one will do."""
    TRIED["settings of a step"] += 1
    arguments = ["hearsay.step", "hearsay.corpora.fetch_text", "--corpus", "c", "--settings", value]
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--out", "out", "--record", "run.json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=900,
    )
    assert done.returncode != 0
    assert everything(tmp_path) == []
