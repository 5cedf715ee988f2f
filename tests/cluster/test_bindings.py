"""pyslurm's objects are read as its series 25.11 documents them; the real ones are compared with
Slurm's commands in tests/slurm, where pyslurm is built for the Slurm at hand."""

from datetime import datetime
from types import SimpleNamespace as Named

import pytest

from hearsay.cluster import bindings
from hearsay.cluster.bindings import Bindings, choose
from hearsay.cluster.commands import Commands
from hearsay.cluster.facts import Configuration, EndedJob, LiveJob, Node, Partition
from hearsay.errors import InputError


def loading(*records):
    return Named(load=lambda *_: dict(enumerate(records)))


NODES = loading(
    Named(name="n1", effective_cpus=8, total_cpus=9, real_memory=64000, state="IDLE",
          memory_reserved_for_system=1000, configured_gres={"gpu:a100": 4}, partitions=["gpu"]),
)  # fmt: skip
PARTITIONS = loading(
    Named(name="gpu", is_default=True, state="UP", max_time=2880, allowed_accounts=["ALL"]),
    Named(name="any", is_default=False, state="DOWN", max_time="UNLIMITED", allowed_accounts=["a"]),
)
JOBS = loading(
    Named(id=7, name="hearsay_x", state="RUNNING", working_directory="/w", comment=None,
          user_name="me"),
    Named(id=8, name="y", state="COMPLETED", working_directory="/w", comment="", user_name="me"),
    Named(id=9, name="z", state="RUNNING", working_directory="/w", comment="", user_name="you"),
)  # fmt: skip
ENDED = Named(
    id=12, array_id=10, array_task_id=2, state="COMPLETED", working_directory="/w", cpus=4,
    comment="rule_a", standard_output="/w/%A_%a.log", elapsed_time=60, memory=4000,
    gres={"gpu": 2, "gpu:a100": 2}, end_time=datetime(2026, 1, 2).timestamp(),
    stats=Named(user_cpu_time=100, system_cpu_time=20, max_resident_memory=2**30),
)  # fmt: skip


def test_objects_become_facts():
    config = Named(
        cluster_name="c", version="25.11.2", accounting_storage_type="accounting_storage/slurmdbd",
        min_job_age=300, preempt_mode="OFF", job_requeue=True, max_array_size=1001,
    )  # fmt: skip
    database = Named(JobFilter=lambda **chosen: chosen, Jobs=loading(ENDED))
    slurm = Bindings(
        Named(Nodes=NODES, Partitions=PARTITIONS, Jobs=JOBS, db=database,
              slurmctld=Named(Config=Named(load=lambda: config)))
    )  # fmt: skip
    assert slurm.configuration() == Configuration("c", "25.11.2", True, 300, "OFF", True, 1001)
    node = Node("n1", 8, 63000, {"a100": 4}, "IDLE")
    assert slurm.partitions() == [
        Partition("gpu", True, True, 2880, (node,)),
        Partition("any", False, False, None, (), ("a",)),
    ]
    assert slurm.live_jobs("me") == [LiveJob("7", "hearsay_x", "RUNNING", "/w", "")]
    assert slurm.ended_jobs("me", datetime(2026, 1, 1)) == [
        EndedJob("10_2", "COMPLETED", "/w", "rule_a", "/w/10_2.log", 60.0, 120.0, 4, 2, 1024.0,
                 4000.0, datetime(2026, 1, 2))
    ]  # fmt: skip


def test_commands_where_pyslurm_is_not_installed(monkeypatch):
    monkeypatch.setattr(bindings.importlib.util, "find_spec", lambda name: None)
    assert type(choose()) is Commands
    with pytest.raises(InputError, match="--backend commands, which gives the same answers"):
        choose("pyslurm")


def test_no_slurm_here(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="scontrol: not found; run this on a node"):
        Commands().configuration()
