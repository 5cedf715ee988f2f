"""The audit of models trained here, through the workflow: its plans, and the demo's results."""

import json
import math

import pandas as pd
import pytest

from hearsay.metrics.scores import read_scores
from hearsay.paper.tables import read_table

METRICS = ("alpha", "alpha_hat", "log_spectral_norm", "log_frobenius_norm")


def test_one_trained_models_audit_is_a_target(origin, snakemake):
    target = "results/paper/spectral/trained/lm/wikitext-2/egru-1350/2.scores.csv"
    done = snakemake(origin, "--dry-run", "--cores", "1", target)
    assert done.status == 0, done.text
    jobs = {name: count for name, count in done.jobs.items() if name != "total"}
    assert jobs == {
        "fetch_text": 1,
        "prepare_text": 1,
        "train_language_model": 1,
        "audit_trained": 1,
    }


def test_an_audit_has_the_threads_of_its_setting(origin, snakemake, tmp_path):
    config = tmp_path / "my.yaml"
    config.write_text("spectral: {threads: 3}\n", encoding="utf-8")
    targets = [
        "results/paper/spectral/trained/lm/wikitext-2/egru-1350/2.scores.csv",
        "results/paper/spectral/resnet18.csv",
    ]
    arguments = ["--configfile", config, "--dry-run", "--cores", "8", "--", *targets]
    done = snakemake(origin, *arguments)
    assert done.status == 0, done.text
    for rule in ("audit_trained", "audit_model"):
        job = done.text.partition(f"\nrule {rule}:")[2].partition("\n\n")[0]
        assert "\n    threads: 3\n" in job, job


def test_an_audit_of_what_is_not_trained_is_no_target(origin, snakemake):
    target = "results/paper/spectral/trained/lm/wikitext-2/egru-1/0.scores.csv"
    done = snakemake(origin, "--dry-run", "--cores", "1", target)
    assert done.status != 0
    assert "MissingRuleException" in done.text


def test_each_model_has_a_job_of_its_own_in_the_papers_configuration(origin, snakemake):
    table = "results/paper/tables/audit_table1.csv"
    done = snakemake(origin, "--dry-run", "--cores", "1", table)
    assert done.status == 0, done.text
    jobs = done.jobs
    trained = ("train_language_model", "train_recogniser", "train_text_prompt", "train_fmri_prompt")
    assert jobs["audit_trained"] == sum(jobs[rule] for rule in trained)
    demo = ["--configfile", "config/demo.yaml", "--", "results/demo/tables/audit_table1.csv"]
    done = snakemake(origin, "--dry-run", "--forceall", "--cores", "1", *demo)
    assert done.status == 0, done.text
    assert done.jobs["audit_trained"] == 1


@pytest.mark.demo
def test_every_model_of_the_demo_has_metrics_and_a_score(demo):
    rows = read_table(demo / "results/demo/tables/audit_table1.json").rows
    systems = [row.cells["system"] for row in rows]
    assert {s: systems.count(s) for s in systems} == {"lm": 4, "asr": 12, "slu": 9, "brain": 24}
    for row in rows:
        assert not math.isnan(row.cells["score"]), row.cells["model"]
        assert all(math.isfinite(row.cells[m]) for m in METRICS), row.cells["model"]
        assert row.cells["published"] == "none"
        keeps = row.cells["system"] in ("lm", "asr")
        assert (row.cells.get("alpha_untrained") is not None) == keeps


@pytest.mark.demo
def test_nothing_is_read_into_the_few_models_of_the_demo(demo):
    rows = read_table(demo / "results/demo/tables/audit_table2.json").rows
    assert {row.cells["reading"] for row in rows} == {"too few models"}
    assert max(row.cells["n"] for row in rows) < 10


@pytest.mark.demo
def test_snapshots_end_with_the_model_that_is_scored(demo):
    """Where the last epoch is the best one, these are the same weights."""
    results = demo / "results/demo"
    scores = read_scores(results / "spectral/trained/all.scores.csv")
    values = scores.pivot(index="model", columns="metric", values="value")
    for path in sorted(results.glob("lm/*/*/0/history.csv")):
        name = path.parent.relative_to(results).as_posix()
        history = pd.read_csv(path)
        epochs = [0, 1, 2, len(history)]
        found = [model for model in values.index if model.startswith(f"{name}/epoch-")]
        assert found == [f"{name}/epoch-{epoch:04}" for epoch in epochs]
        if history["validation_perplexity"].idxmin() == len(history) - 1:
            assert values.loc[found[-1], "alpha"] == values.loc[name, "alpha"]
        assert values.loc[found[0], "alpha"] > values.loc[name, "alpha"] + 1


@pytest.mark.demo
def test_the_trajectories_of_the_demo_are_told(demo):
    path = demo / "results/demo/figures/audit_figure2.run.json"
    told = json.loads(path.read_text(encoding="utf-8"))["findings"]
    assert [each["subject"] for each in told] == [
        "Weights over training, EGRU",
        "Weights over training, QuartzNet",
    ]
    assert all("a description, not a test" in each["text"] for each in told)
