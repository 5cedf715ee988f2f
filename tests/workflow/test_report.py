"""Snakemake's own report: every table and figure with its caption, filed under its paper."""

import json
import re

import pytest

PAPERS = {
    "bpgpt": "BP-GPT",
    "asr": "QuartzNet transfer",
    "wabert": "WaBERT",
    "egru": "EGRU",
    "capacity": "Capacity metrics",
    "audit": "Cross-system audit",
}


@pytest.mark.demo
def test_every_table_and_figure_is_in_the_report(copy, snakemake, tmp_path):
    # Not in the demo itself: a report locks its folder, and takes the folder of locks away while
    # tests in another process copy it.
    done = snakemake(copy, "--profile", "profiles/demo", "--report", tmp_path / "report.html")
    assert done.status == 0, done.text
    report = (tmp_path / "report.html").read_text(encoding="utf-8")

    def data(name):
        return json.loads(re.search(rf"var {name} = (\{{.*?\}});?\n", report)[1])

    shown = data("results")
    tables = copy / "results/demo/tables"
    figures = copy / "results/demo/figures"
    made = {path.name for path in [*tables.glob("*_*.csv"), *figures.glob("*_*.svg")]}
    assert {path.rpartition("/")[2] for path in shown} == made
    assert len(made) >= 33
    for path, each in shown.items():
        assert each["caption"].strip(), path
        assert set(each["labels"]) <= {"table", "figure"}, path
        assert each["labels"], path
    for category, folders in data("categories").items():
        for path in (path for paths in folders.values() for path in paths):
            assert PAPERS[path.rpartition("/")[2].partition("_")[0]] == category
