"""What jobs cost, from the database and from benchmark files."""

import os
import subprocess
import sys
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.cluster.facts import EndedJob
from hearsay.cluster.usage import (
    Use,
    of_accounting,
    of_benchmarks,
    read_usage,
    summarise,
    write_usage,
)
from hearsay.errors import InputError
from hearsay.provenance import PACKAGE

COLUMNS = "s h:m:s max_rss mean_load cpu_time jobid rule_name wildcards params threads resources"
VALUES = [
    *["7200.0", "2:00:00", "512.5", "0", "10800.0", "0", "train_aligner"],
    *["{'run': 'best', 'seed': '0'}", "{'x': 'p'}", "2"],
    "{'tmpdir': '/tmp', 'mem_mb': 1025, 'gpu': 2}",
]
EXTENDED = "\t".join(COLUMNS.split()) + "\n" + "\t".join(VALUES) + "\n"
BASIC = "s\th:m:s\tmax_rss\tcpu_time\n0.5\t0:00:00\tNA\tNA\n"


def ended(**more):
    values = {
        "id": "17",
        "state": "COMPLETED",
        "folder": "/work",
        "what": "rule_audit_model_wildcards_digits-2",
        "output": "",
        "seconds": 1800.0,
        "cpu_seconds": 1800.0,
        "cpus": 2,
        "gpus": 1,
        "peak_memory": 500.0,
        "asked_memory": 4000.0,
        "ended": datetime(2026, 1, 2, 3, 4, 5),
    }
    return EndedJob(**values | more)


def test_a_job_of_the_database(tmp_path):
    [row] = of_accounting([ended(folder=str(tmp_path)), ended()], tmp_path)
    assert row == Use(
        "audit_model", "digits-2", "COMPLETED", "17", "2026-01-02 03:04:05", 1800.0, 2, 1, 0.5,
        500.0, 4000.0, 0.5, 0.125, "accounting",
    )  # fmt: skip


def test_wildcards_come_from_the_log_of_the_job(tmp_path):
    log = tmp_path / "17_2.log"
    told = (
        "rule audit_model:\n    output: a\n    wildcards: model=digits-3, x=a b\n    threads: 2\n\n"
    )
    log.write_text(told.replace("digits-3", "digits-9") + told)
    jobs = [
        ended(id="17_2", output=str(log), folder=str(tmp_path)),
        ended(id="17_3", output=str(tmp_path / "none.log"), folder=str(tmp_path)),
    ]
    # Without its log nothing is known of a task: the comment is the first task's.
    assert [row.wildcards for row in of_accounting(jobs, tmp_path)] == ["model=digits-3 x=a b", ""]


def test_jobs_that_are_not_of_the_workflow_are_left_out(tmp_path):
    assert of_accounting([ended(folder=str(tmp_path), what="my own")], tmp_path) == []


def test_benchmark_files(tmp_path):
    (tmp_path / "slu").mkdir()
    (tmp_path / "slu/train_aligner.tsv").write_text(EXTENDED)
    (tmp_path / "slu/page.tsv").write_text(BASIC)
    short, row = of_benchmarks(tmp_path, tmp_path)
    assert (short.rule, short.wildcards, short.peak_memory_mb, short.gpus) == (
        "page",
        "slu",
        None,
        0,
    )
    assert (row.rule, row.wildcards) == ("train_aligner", "run=best seed=0")
    assert (row.gpu_hours, row.peak_memory_mb, row.asked_memory_mb) == (4.0, 512.5, 1025.0)
    assert (row.cpu_efficiency, row.memory_efficiency) == (0.75, 0.5)


def test_benchmarks_behind_a_link_count(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/train_aligner.tsv").write_text(EXTENDED)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/slu").symlink_to(tmp_path / "disk")
    (row,) = of_benchmarks(tmp_path / "benchmarks", tmp_path)
    assert (row.rule, row.wildcards) == ("train_aligner", "run=best seed=0")


def test_a_step_s_own_log_knows_better_than_snakemake(tmp_path):
    benchmarks, logs = tmp_path / "benchmarks", tmp_path / "logs"
    for folder in (benchmarks / "slu", logs / "slu"):
        folder.mkdir(parents=True)
    (benchmarks / "slu/train_aligner.tsv").write_text(EXTENDED)
    log = logs / "slu/train_aligner.log"
    log.write_text(
        "[now] hearsay.slu.train_aligner done after 7200.1 s; CPU 1800.0 s, memory 99 MiB\n"
    )
    [row] = of_benchmarks(benchmarks, logs)
    assert (row.peak_memory_mb, row.cpu_efficiency) == (99, 0.125)
    for text in ("", "the last words of a step that was killed\n"):
        log.write_text(text)
        assert of_benchmarks(benchmarks, logs) == of_benchmarks(benchmarks, tmp_path)


def test_what_a_step_says_it_spent_is_read_and_is_its_own(tmp_path):
    # Linux lets a program's ru_maxrss begin with that of the one which started it.
    large = "import subprocess, sys; much = b'x' * (600 << 20); subprocess.run(sys.argv[1:])"
    (tmp_path / "this.tsv").write_text(EXTENDED)
    with (tmp_path / "this.log").open("w") as log:
        subprocess.run(
            [sys.executable, "-c", large, sys.executable, "-m", "hearsay.step", "this"],
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
            stdout=subprocess.DEVNULL,
            stderr=log,
            check=True,
        )
    [row] = of_benchmarks(tmp_path, tmp_path)
    assert row.peak_memory_mb != of_benchmarks(tmp_path, tmp_path / "none")[0].peak_memory_mb
    assert 5 < row.peak_memory_mb < 500


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n", "s\n"])
def test_a_file_that_is_no_benchmark_is_named(tmp_path, text):
    (tmp_path / "odd.tsv").write_text(text)
    with pytest.raises(InputError, match=r"odd\.tsv: is no benchmark"):
        of_benchmarks(tmp_path, tmp_path)


def test_no_run_yet(tmp_path):
    with pytest.raises(InputError, match="run the workflow first"):
        of_benchmarks(tmp_path / "none", tmp_path)


amounts = st.floats(0, 1e6).map(lambda value: round(value, 3))
uses = st.builds(
    Use, rule=st.sampled_from(["a", "b"]), wildcards=st.text(max_size=5).map(repr),
    state=st.sampled_from(["COMPLETED", "TIMEOUT"]), job=st.just("1"), ended=st.just(""),
    seconds=amounts, cpus=st.integers(1, 9), gpus=st.integers(0, 9), gpu_hours=amounts,
    peak_memory_mb=amounts | st.none(), asked_memory_mb=amounts | st.none(),
    cpu_efficiency=amounts | st.none(), memory_efficiency=amounts | st.none(),
    source=st.just("benchmark"),
)  # fmt: skip


@given(st.lists(uses, min_size=1, max_size=6))
def test_what_is_written_is_read_and_sums_are_those_of_the_rows(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("usage") / "usage.csv"
    write_usage(rows, path)
    assert read_usage(path) == rows
    *rules, total = summarise(rows)
    assert {row["rule"] for row in rules} == {row.rule for row in rows}
    assert sum(int(row["jobs"]) for row in rules) == int(total["jobs"]) == len(rows)
    assert float(total["hours"]) == pytest.approx(sum(r.seconds for r in rows) / 3600, abs=1e-3)
    failed = sum(row.state == "TIMEOUT" for row in rows)
    assert total["not completed"] == (str(failed) if failed else "")


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "rule\n", "\xff"])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "usage.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"usage\.csv"):
        read_usage(path)
