"""Would the workflow's jobs start on this cluster, and what should the profile say?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hearsay.cluster.facts import Configuration, Limit, Partition, Planned

# The executor plugin asks for states at least this often, in seconds.
LONGEST_BETWEEN_CHECKS = 180


@dataclass
class Findings:
    """What `examine` found.

    Attributes
    ----------
    faults : what keeps the workflow from coming through, one line each.
    hints : what may be better, one line each.
    starts : partitions in which each kind of job can start.
    reasons : for a kind of job that can start nowhere, why not, by partition.
    resources, threads : what the profile should set, by rule.
    options : other keys of the profile, with their values as YAML.
    """

    faults: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    starts: dict[Planned, list[str]] = field(default_factory=dict)
    reasons: dict[Planned, dict[str, list[str]]] = field(default_factory=dict)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """Lines for the profile."""
        lines = [f"{key}: {value}" for key, value in self.options.items()]
        if self.threads:
            lines += ["set-threads:", *[f"  {rule}: {n}" for rule, n in self.threads.items()]]
        if self.resources:
            lines.append("set-resources:")
        for rule, values in self.resources.items():
            lines += [f"  {rule}:", *[f"    {key}: {value}" for key, value in values.items()]]
        return lines


def obstacles(job: Planned, partition: Partition) -> list[str]:
    """Why a job can never start in a partition; empty if it can."""
    found = []
    if not partition.up:
        found.append("it is not up")
    limit = partition.minutes
    if job.minutes is not None and limit is not None and job.minutes > limit:
        found.append(f"{duration(job.minutes)} is more than its limit of {duration(limit)}")
    usable = [node for node in partition.nodes if node.usable]
    if not usable:
        return [*found, "none of its nodes is up" if partition.nodes else "it has no nodes"]

    def gpus(node: Any) -> int:
        if job.gpu_model:
            return node.gpus.get(job.gpu_model, 0)
        return sum(node.gpus.values())

    wanted = [
        (job.cpus, max(node.cpus for node in usable), "{} CPUs", lambda node: node.cpus),
        (job.memory or 0, max(n.memory for n in usable), "{} MB of memory", lambda n: n.memory),
        (job.gpus, max(map(gpus, usable)), f"{{}} GPUs{' ' + job.gpu_model}".rstrip(), gpus),
    ]
    short = [
        f"{what.format(asked)} {'are' if asked != 1 else 'is'} more than a node's {most}"
        for asked, most, what, _ in wanted
        if asked > most
    ]
    if not short and not any(
        all(have(node) >= asked for asked, _, _, have in wanted) for node in usable
    ):
        short.append("no node has enough CPUs, memory and GPUs together")
    return found + short


def examine(
    planned: Sequence[Planned],
    partitions: Sequence[Partition],
    configuration: Configuration,
    limits: Iterable[Limit] = (),
    profile: dict[str, Any] | None = None,
) -> Findings:
    """Hold what the jobs ask against what the cluster offers.

    Parameters
    ----------
    planned : jobs by what they ask for; see `hearsay.cluster.planned.dry_run`.
    partitions, configuration, limits : of the cluster; see `hearsay.cluster.facts.Backend`.
    profile : keys of Snakemake's profile.
    """
    found = Findings()
    profile, limits = profile or {}, list(limits)
    if not _names_qos(profile):
        partitions = [_as_allowed(partition, limits) for partition in partitions]
    by_name = {partition.name: partition for partition in partitions}
    default = next((partition for partition in partitions if partition.default), None)
    automatic = bool(profile.get("slurm-partition-config"))
    for job in planned:
        blocked = {p.name: obstacles(job, p) for p in partitions}
        found.starts[job] = [name for name, reasons in blocked.items() if not reasons]
        if not found.starts[job]:
            found.reasons[job] = blocked
            found.faults.append(f"{job.rule}: {_shown(job)} can never start")
            _remedy(found, job, partitions)
            continue
        named = [name for name in job.partition.split(",") if name]
        if unknown := [name for name in named if name not in by_name]:
            found.faults.append(f"{job.rule}: there is no partition {unknown[0]!r}")
            continue
        # Of several Slurm takes the one that starts the job first.
        able = [name for name in named if not blocked[name]]
        taken = by_name[(able or named)[0]] if named else default
        if automatic and not job.partition:
            continue
        if taken is None:
            found.faults.append(
                f"{job.rule}: names no partition, and the cluster has no default one"
            )
        elif blocked[taken.name]:
            why = "; ".join(blocked[taken.name])
            found.faults.append(f"{job.rule}: goes to partition {taken.name}, but {why}")
        else:
            continue
        found.resources.setdefault(job.rule, {})["slurm_partition"] = found.starts[job][0]
    _status_command(found, configuration, profile)
    _arrays(found, planned, limits, configuration, profile)
    return found


def _as_allowed(partition: Partition, limits: Sequence[Limit]) -> Partition:
    """A partition with the longest time that the widest of the user's associations has in it."""
    own = [limit.minutes for limit in limits if limit.partition in ("", partition.name)]
    given = [minutes for minutes in own if minutes]
    if not own or len(given) < len(own):
        return partition
    return replace(partition, minutes=min(max(given), partition.minutes or max(given)))


def _names_qos(profile: dict[str, Any]) -> bool:
    """Does the profile ask for a QOS? It has limits of its own, which are not known here."""
    resources = (profile.get("default-resources"), profile.get("set-resources"))
    return bool(profile.get("slurm-qos")) or "qos" in str(resources)


def _status_command(found: Findings, configuration: Configuration, profile: dict[str, Any]) -> None:
    command = profile.get("slurm-status-command")
    if not configuration.accounting and command != "squeue":
        found.faults.append(
            f"slurm-status-command is {command or 'not set'}, but this cluster keeps no accounts: "
            "Snakemake would wait for ever for its first job; set it to squeue"
        )
        found.options["slurm-status-command"] = "squeue"
    if command == "squeue" and configuration.min_job_age < LONGEST_BETWEEN_CHECKS + 60:
        forgets = f"squeue forgets a job after {configuration.min_job_age} s (MinJobAge)"
        if configuration.accounting:
            found.faults.append(f"{forgets}; set slurm-status-command to sacct")
        else:
            found.faults.append(
                f"{forgets}, and states are asked for every {LONGEST_BETWEEN_CHECKS} s: a job may "
                "go unseen; ask the administrator for MinJobAge=300"
            )
    if command == "squeue" and configuration.accounting:
        found.hints.append("slurm-status-command: sacct also sees jobs that ended long ago")
    if "CANCEL" in configuration.preemption and not configuration.requeue:
        found.hints.append(
            "preempted jobs are cancelled here and Snakemake waits for them; "
            "keep to partitions that are not preempted"
        )


def _arrays(
    found: Findings,
    planned: Sequence[Planned],
    limits: Iterable[Limit],
    configuration: Configuration,
    profile: dict[str, Any],
) -> None:
    total = sum(job.jobs for job in planned)
    least = min((limit.submitted for limit in limits if limit.submitted), default=None)
    if least is not None and least < total:
        found.faults.append(
            f"{total} jobs may be ready at once, and only {least} may be submitted: set jobs to "
            f"{least} and slurm-array-jobs to '' (an array that is cut short is never sent)"
        )
        found.options |= {"jobs": str(least), "slurm-array-jobs": '""'}
    if profile.get("slurm-array-jobs") and configuration.max_array_size in (0, 1):
        found.faults.append("this cluster takes no job arrays: set slurm-array-jobs to ''")


def _remedy(found: Findings, job: Planned, partitions: Sequence[Partition]) -> None:
    """Note lines for a job that starts nowhere, where less time or fewer CPUs would let it."""
    for partition in sorted(partitions, key=lambda p: -(p.minutes or math.inf)):
        most = max((node.cpus for node in partition.nodes if node.usable), default=0)
        minutes = min(filter(None, [job.minutes, partition.minutes]), default=None)
        less = replace(job, cpus=min(job.cpus, most), minutes=minutes)
        if not most or obstacles(less, partition):
            continue
        lines = dict(found.resources.get(job.rule, {}))
        if not partition.default:
            lines["slurm_partition"] = partition.name
        if less.cpus < job.cpus:
            found.threads[job.rule] = less.cpus
        if job.minutes and partition.minutes and less.minutes != job.minutes:
            lines["runtime"] = str(less.minutes)
            if job.rule.startswith("train_"):
                attempts = math.ceil(job.minutes / partition.minutes) - 1
                lines["runtime"] += f"  # goes on where it was, with retries: {attempts} or more"
        if lines:
            found.resources[job.rule] = lines
        return


def duration(minutes: int | None) -> str:
    """Minutes as a person writes them: 45m, 12h, 3d."""
    if minutes is None:
        return "no limit"
    for size, letter in ((1440, "d"), (60, "h")):
        if minutes >= size and minutes % size == 0:
            return f"{minutes // size}{letter}"
    return f"{minutes}m"


def _shown(job: Planned) -> str:
    parts = [f"{job.cpus} CPU{'s' if job.cpus > 1 else ''}"]
    if job.memory is not None:
        parts.append(f"{job.memory} MB")
    if job.minutes is not None:
        parts.append(duration(job.minutes))
    if job.gpus:
        parts.append(f"{job.gpus} GPU{'s' if job.gpus > 1 else ''}{' ' + job.gpu_model}".rstrip())
    return f"a job with {', '.join(parts)}"
