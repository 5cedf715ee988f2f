"""`doctor` and `usage` on a real cluster; the documentation shows what they print."""

import csv
import getpass
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hearsay.cluster.bindings import Bindings
from hearsay.cluster.commands import Commands

pytestmark = [pytest.mark.slurm]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "cluster.md"


def ask(folder, command, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "hearsay.cluster", command, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "workflow")},
        capture_output=True,
        text=True,
        timeout=900,
    )


def shown(name):
    """The block under a mark in the documentation."""
    return re.search(rf"<!-- {name} -->\n````\n(.*?)\n````", DOCUMENT.read_text("utf-8"), re.S)[1]


def table_of(text, head):
    """The rows of the first Markdown table that begins with a column `head`."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    start = next(k for k, row in enumerate(rows) if row[0] == head)
    end = next(
        (k for k in range(start + 1, len(rows)) if rows[k][0] in ("rule", "partition")), None
    )
    return rows[start:end]


@pytest.mark.accounts
def test_doctor_says_what_the_documentation_shows(slurm, origin):
    done = ask(origin, "doctor", "--no-network")
    assert "Traceback" not in done.stderr
    expected = shown("doctor")
    assert re.findall(r"^#+ (.*?)(?:,.*)?$", done.stdout, re.M) == re.findall(
        r"^#+ (.*?)(?:,.*)?$", expected, re.M
    )
    here, there = table_of(done.stdout, "partition"), table_of(expected, "partition")
    assert [row[:3] for row in here] == [row[:3] for row in there]
    # What is asked comes from the settings; what a node has is this machine's.
    here, there = table_of(done.stdout, "rule"), table_of(expected, "rule")
    assert [row[:-1] for row in here] == [row[:-1] for row in there]
    cpus = os.cpu_count()
    assert done.returncode == (1 if cpus < 8 else 0)
    if cpus < 8:
        assert f"8 CPUs are more than a node's {cpus}" in done.stdout
        assert "set-threads:" in done.stdout
    accounts = "kept (slurmdbd)" if slurm.accounting else "not kept"
    assert f"Accounts are {accounts};" in done.stdout


def test_doctor_of_the_demo_finds_nothing(slurm, origin):
    status = "sacct" if slurm.accounting else "squeue"
    chosen = ["--profile", "slurm", "--configfile", "config/demo.yaml", "--", "spectral"]
    done = ask(origin, "doctor", "--no-network", "--", *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every job can start" in done.stdout
    assert status == "squeue" or "slurm-status-command: sacct also sees" in done.stdout


def test_doctor_names_hosts_that_do_not_answer(slurm, origin, tmp_path):
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("models: {away: {url: 'http://user:secret@nowhere.invalid/w.pth'}}\n")
    chosen = ["--profile", "slurm", "--configfile", "config/demo.yaml", hosts, "--", "spectral"]
    done = ask(origin, "doctor", "--", *chosen)
    said = done.stdout + done.stderr
    assert "secret" not in said
    assert "nowhere.invalid: does not answer" in said or "models.away.url" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["doctor", "--", "--profile", "nowhere"], "profile 'nowhere': no such folder"),
        (["doctor", "--", "--profile", "slurm", "--", "nonsense"], "snakemake refuses: "),
        (["doctor", "--backend", "telepathy"], "backend 'telepathy': there is none"),
        (["usage", "--source", "benchmark", "--", "-d", "/nonexistent"], "no such folder"),
        (["usage", "--", "--configfile", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_bad_input_is_one_line(slurm, origin, arguments, message):
    done = ask(origin, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_usage_counts_every_job_of_the_run(slurm, through_slurm):
    folder, done = through_slurm
    chosen = ["--profile", "slurm", "--configfile", "config/demo.yaml"]
    told = ask(folder, "usage", "--", *chosen)
    assert told.returncode == 0, told.stderr
    with (folder / "results/demo/usage.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    (folder / "results/demo/usage.csv").unlink()  # the page of this folder was made without it
    source = "accounting" if slurm.accounting else "benchmark"
    assert {row["source"] for row in rows} == {source}
    ran = {name: n for name, n in done.jobs.items() if name not in ("all", "spectral", "lm")}
    if slurm.accounting:  # not what ran on the login node
        ran = {name: n for name, n in ran.items() if name not in ("clone_dataset", "fetch_subject")}
    counted = {name: sum(row["rule"] == name for row in rows) for name in ran}
    assert counted == ran
    for row in rows:
        assert float(row["seconds"]) >= 0
        if row["rule"] == "audit_model":
            assert re.fullmatch(r"model=[\w-]+", row["wildcards"])
        if slurm.accounting and row["state"] == "COMPLETED":
            assert float(row["asked_memory_mb"]) >= 1000
            assert row["job"]
    assert {row["wildcards"] for row in rows if row["rule"] == "audit_model"} >= {
        "model=digits-2",
        "model=digits-3",
    }
    assert table_of(told.stdout, "rule")[0] == table_of(shown("usage"), "rule")[0]
    assert table_of(told.stdout, "rule")[-1][:2] == ["all", str(len(rows))]


@pytest.mark.accounts
def test_both_backends_give_the_same_answers(slurm):
    pyslurm = pytest.importorskip("pyslurm", reason="pyslurm is not built for this Slurm")
    one, other, user = Commands(), Bindings(pyslurm), getpass.getuser()
    assert other.configuration() == one.configuration()
    assert other.partitions() == one.partitions()
    assert other.live_jobs(user) == one.live_jobs(user)
    if slurm.accounting:
        since = datetime.now() - timedelta(days=1)
        assert [(job.id, job.state) for job in other.ended_jobs(user, since)] == [
            (job.id, job.state) for job in one.ended_jobs(user, since)
        ]
