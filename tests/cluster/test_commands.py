"""What Slurm's commands print is read, whatever the user's shell tells them; they are stand-ins."""

from datetime import datetime

import pytest

from hearsay.cluster.commands import Commands
from hearsay.cluster.facts import Limit
from hearsay.cluster.resume import resume
from hearsay.errors import InputError

# Slurm's own commands heed these: lists cut to some states, times without a year.
SHELL = {
    "SLURM_TIME_FORMAT": "relative",
    "SQUEUE_STATES": "RUNNING",
    "SQUEUE_PARTITION": "gpu",
    "SQUEUE_ACCOUNT": "other",
    "SACCT_FORMAT": "jobid",
}
COLUMNS = ["17", "17", "COMPLETED", "60", "00:30", "", "4000M", "cpu=2,mem=4000M,node=1", "2"]
MINE = "|".join([*COLUMNS, "2026-01-02T03:04:05", "/work", "rule_a_wildcards_x", "sbatch --wrap=x"])


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return write


def printing(text):
    return f"cat <<'END'\n{text}\nEND"


def test_a_users_own_settings_of_the_commands_hide_no_job(program, monkeypatch):
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_CLUSTERS", "here")
    heeded = "$SQUEUE_STATES$SQUEUE_PARTITION$SQUEUE_ACCOUNT"
    program("squeue", f'test -n "{heeded}" || echo "7|PENDING|/work|$SLURM_CLUSTERS|rule_a"')
    relative = f'echo "{MINE}" | sed s/2026-01-02T/Ystday/'
    program("sacct", f'test -n "$SLURM_TIME_FORMAT" && {relative} || echo "{MINE}"')
    assert [(job.id, job.name) for job in Commands().live_jobs("me")] == [("7", "here")]
    [job] = Commands().ended_jobs("me", datetime(2026, 1, 1))
    assert job.ended == datetime(2026, 1, 2, 3, 4, 5)


def test_a_job_that_was_submitted_with_several_lines_is_read_past(program):
    other = MINE.replace("sbatch --wrap=x", "sbatch --wrap=cd here\npython run.py\n\n# v 1.0")
    program("sacct", printing(f"{other}\n{MINE.replace('17', '18')}\n18.batch|18.batch|COMPLETED"
                              "|60|00:30|1024K|||2|2026-01-02T03:04:05|||"))  # fmt: skip
    jobs = Commands().ended_jobs("me", datetime(2026, 1, 1))
    assert [(job.id, job.peak_memory) for job in jobs] == [("17", None), ("18", 1.0)]


def test_words_of_another_encoding_are_read_past(program):
    program("scontrol", r"printf 'NodeName=n CPUTot=2 RealMemory=9 State=IDLE Partitions=p "
            r"PartitionName=p State=UP MaxTime=UNLIMITED Reason=L\374fter\n'")  # fmt: skip
    assert [one.minutes for one in Commands().partitions()] == [None]


def test_all_of_an_array_is_cancelled_however_long_the_list_of_its_tasks(program, tmp_path):
    queue = [f"12_[1,3,5,7,...]|PENDING|{tmp_path}|n|rule_a", f"12_2|RUNNING|{tmp_path}|n|rule_a"]
    queue += [f"9|RUNNING|{tmp_path}|n|rule_b"]
    program("squeue", f"test -e {tmp_path}/asked && exit 0\n" + printing("\n".join(queue)))
    # Slurm knows no such job as 12_[1,3,5,7,...].
    program("scancel", f'echo "$@" > {tmp_path}/asked; case "$*" in *...*) exit 1;; esac')
    with pytest.raises(InputError, match="could not be unlocked"):
        resume(Commands(), "me", tmp_path, ["--nonsense"], leftover="cancel", seconds=0)
    assert (tmp_path / "asked").read_text().split() == ["12", "12_2", "9"]


def test_a_refusal_names_the_options_that_there_are(program, tmp_path):
    program("squeue", f'echo "9|RUNNING|{tmp_path}|n|rule_b"')
    with pytest.raises(InputError, match=r"--leftover wait .* --leftover cancel"):
        resume(Commands(), "me", tmp_path, [])


@pytest.mark.parametrize(
    ("script", "limits"),
    [
        ('echo "normal|||"; echo "short|5|200|04:00:00"; echo "odd"',
         [Limit("lab", "", 5, 200, 240), Limit("old", "gpu", 7, 900, 1440)]),
        ("exit 1", [Limit("lab", "", None, 1000, 1440), Limit("old", "gpu", 7, 900, 1440)]),
    ],
)  # fmt: skip
def test_the_limits_of_the_qos_that_jobs_have_come_first(program, script, limits):
    own = printing("lab|||1000|1-00:00:00|short\nold|gpu|7|900|1-00:00:00|")
    program("sacctmgr", f'case "$*" in *associations*) {own}\n;; *) {script};; esac')
    assert Commands().limits("me") == limits
