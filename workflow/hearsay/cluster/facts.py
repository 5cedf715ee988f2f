"""What is known about a cluster and its jobs, whichever way it was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

# Beginnings of words in a node's state. One that is POWERED_DOWN sleeps until a job wakes it.
UNUSABLE = ("DOWN", "DRAIN", "FAIL", "ERROR", "INVAL", "FUTURE", "NO_RESPOND")


@dataclass(frozen=True)
class Node:
    """One compute node.

    Attributes
    ----------
    name : its name.
    cpus : CPUs that jobs can have.
    memory : MB that jobs can have.
    gpus : GPUs by type; the type is empty where the cluster names none.
    state : as Slurm writes it, such as ``IDLE`` or ``DOWN*+DRAIN``.
    """

    name: str
    cpus: int
    memory: int
    gpus: Mapping[str, int]
    state: str

    @property
    def usable(self) -> bool:
        """Could the node take a job, now or once others end?"""
        return not any(word.startswith(UNUSABLE) for word in self.state.upper().split("+"))


@dataclass(frozen=True)
class Partition:
    """One partition; `minutes` is its longest time, None without a limit."""

    name: str
    default: bool
    up: bool
    minutes: int | None
    nodes: tuple[Node, ...]
    accounts: tuple[str, ...] = ()

    @property
    def gpus(self) -> dict[str, int]:
        """Most GPUs of one node, by type."""
        most: dict[str, int] = {}
        for node in self.nodes:
            for kind, count in node.gpus.items():
                most[kind] = max(count, most.get(kind, 0))
        return most


@dataclass(frozen=True)
class Limit:
    """What one association of the user may have; None where nothing is said."""

    account: str
    partition: str
    jobs: int | None
    submitted: int | None
    minutes: int | None


@dataclass(frozen=True)
class Configuration:
    """Settings of the cluster that decide how Snakemake must talk to it.

    Attributes
    ----------
    name, version : of the cluster and of its Slurm.
    accounting : is there a database of jobs that ended?
    min_job_age : seconds for which ``squeue`` still knows a job that ended.
    preemption : Slurm's ``PreemptMode``, such as ``REQUEUE`` or ``OFF``.
    requeue : do jobs start again after their node failed, unless they say otherwise?
    max_array_size : largest index of a job array, plus one.
    """

    name: str
    version: str
    accounting: bool
    min_job_age: int
    preemption: str
    requeue: bool
    max_array_size: int


@dataclass(frozen=True)
class LiveJob:
    """A job that waits or runs."""

    id: str
    name: str
    state: str
    folder: str
    what: str


@dataclass(frozen=True)
class EndedJob:
    """One attempt of a job that ended, from the accounting database.

    Attributes
    ----------
    id : Slurm's, with ``_`` and the task's number for one of an array.
    state : such as ``COMPLETED`` or ``TIMEOUT``.
    folder : working directory that it was submitted from.
    what : the comment that the executor plugin gave it: rule and wildcards.
    output : file that its standard output went to; may hold ``%j``.
    seconds, cpu_seconds : elapsed, and of all CPUs together.
    cpus, gpus : allocated.
    peak_memory, asked_memory : MB; None where unknown.
    ended : when, in local time.
    """

    id: str
    state: str
    folder: str
    what: str
    output: str
    seconds: float
    cpu_seconds: float
    cpus: int
    gpus: int
    peak_memory: float | None
    asked_memory: float | None
    ended: datetime | None


@dataclass(frozen=True)
class Planned:
    """Jobs of one rule that ask for the same.

    Attributes
    ----------
    rule : name of the rule.
    jobs : how many there are.
    cpus, memory, minutes, gpus : what each asks for; memory in MB; None where not known before
        its inputs are there.
    partition, gpu_model : if the rule or profile names one.
    example : wildcards of one of them.
    """

    rule: str
    jobs: int
    cpus: int
    memory: int | None
    minutes: int | None
    gpus: int
    partition: str = ""
    gpu_model: str = ""
    example: Mapping[str, str] = field(default_factory=dict, compare=False)


class Backend(Protocol):
    """A way of asking a cluster; every method may raise `hearsay.errors.InputError`."""

    name: str

    def configuration(self) -> Configuration:
        """Settings of the cluster."""
        ...

    def partitions(self) -> list[Partition]:
        """All partitions that are shown to this user, in the cluster's order."""
        ...

    def limits(self, user: str) -> list[Limit]:
        """The user's associations; none without accounting."""
        ...

    def live_jobs(self, user: str) -> list[LiveJob]:
        """The user's jobs that wait or run; a waiting array is one of them."""
        ...

    def ended_jobs(self, user: str, since: datetime) -> list[EndedJob]:
        """The user's jobs that ended after `since`, oldest first; needs accounting."""
        ...
