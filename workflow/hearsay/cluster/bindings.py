"""A cluster asked through pyslurm, where it is installed (``pip install 'hearsay[slurm]'``).

pyslurm is bound to one release of Slurm and has to be built against it; attribute names are those
of its series 25.11. What it has no objects for is asked through Slurm's commands.
"""

import importlib.util
from collections.abc import Mapping
from datetime import datetime
from types import ModuleType
from typing import Any

from hearsay.cluster.commands import Commands
from hearsay.cluster.facts import Backend, Configuration, EndedJob, LiveJob, Node, Partition
from hearsay.errors import InputError

_LIVE = ("PENDING", "RUNNING", "SUSPENDED", "REQUEUED", "RESIZING", "COMPLETING")


class Bindings(Commands):
    """`hearsay.cluster.facts.Backend` by pyslurm's objects."""

    name = "pyslurm"

    def __init__(self, pyslurm: ModuleType | Any) -> None:
        self._slurm = pyslurm

    def configuration(self) -> Configuration:
        """Settings of the cluster, by `pyslurm.slurmctld.Config`."""
        config = self._slurm.slurmctld.Config.load()
        return Configuration(
            name=config.cluster_name or "",
            version=config.version or "",
            accounting=(config.accounting_storage_type or "").endswith("slurmdbd"),
            min_job_age=int(config.min_job_age or 0),
            preemption=config.preempt_mode or "OFF",
            requeue=bool(config.job_requeue),
            max_array_size=int(config.max_array_size or 0),
        )

    def partitions(self) -> list[Partition]:
        """All partitions, by `pyslurm.Partitions` and `pyslurm.Nodes`."""
        nodes: dict[str, list[Node]] = {}
        for record in self._slurm.Nodes.load().values():
            node = Node(
                name=record.name,
                cpus=record.effective_cpus or record.total_cpus,
                memory=record.real_memory - (record.memory_reserved_for_system or 0),
                gpus=_gpus(record.configured_gres or {}),
                state=record.state,
            )
            for partition in record.partitions:
                nodes.setdefault(partition, []).append(node)
        return [
            Partition(
                name=record.name,
                default=bool(record.is_default),
                up=record.state == "UP",
                minutes=record.max_time if isinstance(record.max_time, int) else None,
                nodes=tuple(nodes.get(record.name, ())),
                accounts=tuple(a for a in record.allowed_accounts if a != "ALL"),
            )
            for record in self._slurm.Partitions.load().values()
        ]

    def live_jobs(self, user: str) -> list[LiveJob]:
        """The user's jobs that wait or run, by `pyslurm.Jobs`."""
        return [
            LiveJob(str(job.id), job.name, job.state, job.working_directory, job.comment or "")
            for job in self._slurm.Jobs.load().values()
            if job.user_name == user and job.state in _LIVE
        ]

    def ended_jobs(self, user: str, since: datetime) -> list[EndedJob]:
        """The user's jobs that ended, by `pyslurm.db.Jobs`."""
        chosen = self._slurm.db.JobFilter(users=[user], start_time=since)
        jobs = [
            _ended(job)
            for job in self._slurm.db.Jobs.load(chosen).values()
            if job.state not in _LIVE
        ]
        return sorted(jobs, key=lambda job: (job.ended, job.id))


def choose(name: str = "auto") -> Backend:
    """The backend that is asked for.

    Parameters
    ----------
    name : ``commands``, ``pyslurm``, or ``auto`` for pyslurm where it is installed.

    Raises
    ------
    InputError
        for another name, and for pyslurm where it is missing or made for another Slurm.
    """
    if name not in ("auto", "commands", "pyslurm"):
        raise InputError(f"backend {name!r}: there is none; take auto, commands or pyslurm")
    if name == "commands" or (name == "auto" and importlib.util.find_spec("pyslurm") is None):
        return Commands()
    try:
        import pyslurm
    except ImportError as error:
        # A library of another release of Slurm ends here too.
        raise InputError(
            f"pyslurm cannot be used ({error}); build the series of your Slurm, or take "
            "--backend commands, which gives the same answers"
        ) from None
    return Bindings(pyslurm)


def _gpus(resources: Mapping[str, Any]) -> dict[str, int]:
    """GPUs by type, of pyslurm's ``{"gpu:a100": 4}`` or ``{"gpu": {"a100": 4}}``."""
    found: dict[str, int] = {}
    for name, value in resources.items():
        family, _, kind = name.partition(":")
        if family != "gpu":
            continue
        for inner, count in value.items() if isinstance(value, Mapping) else [(kind, value)]:
            found[inner or ""] = int(count.count if hasattr(count, "count") else count)
    return found


def _ended(job: Any) -> EndedJob:
    stats = job.stats
    cpu = (getattr(stats, "user_cpu_time", 0) or 0) + (getattr(stats, "system_cpu_time", 0) or 0)
    peak = getattr(stats, "max_resident_memory", None)
    number = str(job.id) if job.array_id is None else f"{job.array_id}_{job.array_task_id}"
    gpus = _gpus(getattr(job, "gres", None) or {})
    if len(gpus) > 1:
        gpus.pop("", None)  # the total beside the types
    return EndedJob(
        id=number,
        state=job.state.split(" ")[0],
        folder=job.working_directory or "",
        what=job.comment or "",
        output=(job.standard_output or "").replace("%j", str(job.id)).replace("%A_%a", number),
        seconds=float(job.elapsed_time or 0),
        cpu_seconds=float(cpu),
        cpus=int(job.cpus or 0),
        gpus=sum(gpus.values()),
        peak_memory=peak / 2**20 if peak else None,
        asked_memory=float(job.memory) if job.memory else None,
        ended=datetime.fromtimestamp(job.end_time) if job.end_time else datetime.min,
    )
