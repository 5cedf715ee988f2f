"""Which jobs would start on a cluster, which never, and what the profile should say."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hearsay.cluster.doctor import duration, examine, obstacles
from hearsay.cluster.facts import Configuration, Limit, Node, Partition, Planned
from hearsay.cluster.planned import local_rules, read_jobs

NODE = Node("n1", 8, 64_000, {"a100": 2}, "IDLE")
GPU = Partition("gpu", False, True, 2880, (NODE,))
CPU = Partition("cpu", True, True, 600, (Node("c1", 48, 190_000, {}, "MIXED"),))
SQUEUE = {"slurm-status-command": "squeue"}


def cluster(accounting=False, **more):
    values = {"min_job_age": 300, "preemption": "OFF", "requeue": True, "max_array_size": 1001}
    return Configuration("c", "22.05.8", accounting, **values | more)


def job(**more):
    values = {"jobs": 3, "cpus": 4, "memory": 8000, "minutes": 60, "gpus": 0}
    return Planned("train_recogniser", **values | more)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"cpus": 9}, ["9 CPUs are more than a node's 8"]),
        ({"memory": 64_001}, ["64001 MB of memory are more than a node's 64000"]),
        ({"minutes": 2881}, ["2881m is more than its limit of 2d"]),
        ({"gpus": 3}, ["3 GPUs are more than a node's 2"]),
        ({"gpus": 1, "gpu_model": "h100"}, ["1 GPUs h100 is more than a node's 0"]),
        ({"cpus": 8, "memory": 64_000, "minutes": 2880, "gpus": 2, "gpu_model": "a100"}, []),
        ({"memory": None, "minutes": None}, []),
    ],
)
def test_obstacles(asked, why):
    assert obstacles(job(**asked), GPU) == why


def test_no_single_node_has_it_all():
    thin, fat = Node("a", 8, 1000, {"": 1}, "IDLE"), Node("b", 8, 64_000, {}, "IDLE")
    mixed = Partition("m", True, True, None, (thin, fat))
    assert obstacles(job(gpus=1), mixed) == ["no node has enough CPUs, memory and GPUs together"]


@pytest.mark.parametrize(
    "state", ["IDLE+CLOUD+POWERED_DOWN", "IDLE~", "IDLE+CLOUD+POWERING_DOWN", "MIXED+POWER_DOWN"]
)
def test_a_node_that_sleeps_until_a_job_wakes_it_counts(state):
    asleep = Partition("p", True, True, None, (Node("n", 8, 64_000, {}, state),))
    assert obstacles(job(), asleep) == []


@pytest.mark.parametrize(
    "state",
    [
        *["DOWN*", "IDLE+DRAIN", "FAIL", "IDLE+NOT_RESPONDING+DOWN"],
        *["DOWN+CLOUD+POWERED_DOWN", "IDLE+CLOUD+DRAIN+POWERED_DOWN", "INVAL", "MIXED+INVALID_REG"],
    ],
)
def test_nodes_that_are_away_do_not_count(state):
    away = Partition("p", True, True, None, (Node("n", 8, 64_000, {}, state),))
    assert obstacles(job(), away) == ["none of its nodes is up"]
    assert obstacles(job(), Partition("p", True, False, None, ())) == [
        "it is not up",
        "it has no nodes",
    ]


@given(
    st.builds(job, cpus=st.integers(1, 64), memory=st.integers(1, 200_000) | st.none(),
              minutes=st.integers(1, 6000) | st.none(), gpus=st.integers(0, 4)),
)  # fmt: skip
def test_what_can_start_fits_a_node_and_what_cannot_is_explained(asked):
    found = examine([asked], [CPU, GPU], cluster(), profile=SQUEUE)
    for partition in (CPU, GPU):
        node = partition.nodes[0]
        fits = (
            asked.cpus <= node.cpus
            and (asked.memory or 0) <= node.memory
            and (asked.minutes or 0) <= partition.minutes
            and asked.gpus <= sum(node.gpus.values())
        )
        assert (partition.name in found.starts[asked]) == fits
    assert bool(found.faults) == ("cpu" not in found.starts[asked])
    if not found.starts[asked]:
        assert all(found.reasons[asked].values())


def test_a_gpu_job_that_would_go_to_the_default_partition_is_sent_elsewhere():
    found = examine([job(gpus=1)], [CPU, GPU], cluster(), profile=SQUEUE)
    assert found.faults == [
        "train_recogniser: goes to partition cpu, but 1 GPUs is more than a node's 0"
    ]
    assert yaml.safe_load("\n".join(found.lines)) == {
        "set-resources": {"train_recogniser": {"slurm_partition": "gpu"}}
    }


def test_the_lines_that_are_suggested_make_the_job_start():
    long = job(gpus=1, minutes=4320, cpus=16)
    found = examine([long], [CPU, GPU], cluster(), profile=SQUEUE)
    lines = yaml.safe_load("\n".join(found.lines))
    asked = lines["set-resources"]["train_recogniser"]
    assert "retries: 1 or more" in "\n".join(found.lines)
    changed = job(gpus=1, cpus=lines["set-threads"]["train_recogniser"], minutes=asked["runtime"],
                  partition=asked["slurm_partition"])  # fmt: skip
    assert examine([changed], [CPU, GPU], cluster(), profile=SQUEUE).faults == []


def test_one_of_several_partitions_is_enough():
    several = job(gpus=1, partition="cpu,gpu")
    assert not examine([several], [CPU, GPU], cluster(), profile=SQUEUE).faults
    found = examine([job(gpus=1, partition="cpu,gone")], [CPU, GPU], cluster(), profile=SQUEUE)
    assert found.faults == ["train_recogniser: there is no partition 'gone'"]


def test_a_partition_that_is_not_there():
    found = examine([job(partition="gone")], [CPU], cluster(), profile=SQUEUE)
    assert found.faults == ["train_recogniser: there is no partition 'gone'"]


@pytest.mark.parametrize(
    ("accounting", "command", "age", "fault"),
    [
        (False, "sacct", 300, "wait for ever"),
        (False, None, 300, "wait for ever"),
        (False, "squeue", 300, ""),
        (False, "squeue", 60, "squeue forgets a job after 60 s"),
        (True, "squeue", 60, "set slurm-status-command to sacct"),
        (True, "sacct", 60, ""),
        (True, "sacct", 300, ""),
    ],
)
def test_the_status_command(accounting, command, age, fault):
    profile = {"slurm-status-command": command} if command else {}
    found = examine([job()], [CPU], cluster(accounting, min_job_age=age), profile=profile)
    assert [fault in text for text in found.faults] == ([True] if fault else [])


def test_fewer_submitted_jobs_than_there_are():
    limits = [Limit("lab", "", None, 2, None)]
    found = examine([job()], [CPU], cluster(), limits, profile=SQUEUE)
    assert "only 2 may be submitted" in found.faults[0]
    assert yaml.safe_load("\n".join(found.lines)) == {"jobs": 2, "slurm-array-jobs": ""}


def test_a_job_longer_than_the_user_may_have():
    long, open_ended = job(minutes=4320), Partition("cpu", True, True, None, CPU.nodes)
    day, limits = 1440, [Limit("lab", "", None, None, 1440), Limit("lab", "gpu", None, None, None)]
    found = examine([long], [open_ended], cluster(), limits, profile=SQUEUE)
    assert found.reasons[long] == {"cpu": ["3d is more than its limit of 1d"]}
    asked = yaml.safe_load("\n".join(found.lines))["set-resources"]["train_recogniser"]
    assert asked == {"runtime": day}
    # The widest counts, and a QOS that is asked for by name has limits of its own.
    wider = [*limits, Limit("rich", "", None, None, None)]
    assert not examine([long], [open_ended], cluster(), wider, profile=SQUEUE).faults
    named = SQUEUE | {"default-resources": {"qos": "long"}}
    assert not examine([long], [open_ended], cluster(), limits, profile=named).faults


@pytest.mark.parametrize(
    ("minutes", "text"), [(None, "no limit"), (45, "45m"), (60, "1h"), (90, "90m"), (4320, "3d")]
)
def test_durations(minutes, text):
    assert duration(minutes) == text


DRY_RUN = """\
rule train_aligner:
    input: a.jsonl, b
    output: results/x
    jobid: 3
    wildcards: run=best, seed=0
    threads: 4
    resources: tmpdir=/tmp, mem_mb=7020, mem=7.02 GB, runtime=1440, slurm_extra=--signal=TERM, gpu=2

rule train_aligner:
    output: results/y
    wildcards: run=cosine, seed=0
    threads: 4
    resources: tmpdir=/tmp, mem_mb=7020, runtime=1440, gpu=2

rule audit_model:
    output: results/z
    resources: mem_mb=<TBD>, runtime=120, slurm_partition=short, gpu_model=a100

localrule fetch_model:
    output: results/w

rule fetch_text:
    output: results/v

rule all:
    input: results/x
    resources: tmpdir=/tmp
"""


def test_a_dry_run_is_read():
    assert "fetch_text" in local_rules()
    jobs = read_jobs(DRY_RUN, local_rules())
    assert jobs == [
        Planned("train_aligner", 2, 4, 7020, 1440, 2),
        Planned("audit_model", 1, 1, None, 120, 0, "short", "a100"),
    ]
    assert jobs[0].example == {"run": "best", "seed": "0"}
