"""What `doctor` and `usage` print."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hearsay.cluster.doctor import Findings, duration
from hearsay.cluster.facts import Configuration, Limit, Partition, Planned
from hearsay.cluster.surroundings import FEW


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows as a Markdown table whose columns are aligned; numbers to the right."""
    if not rows:
        return ""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    right = {n for n in names if all(not r[n] or r[n][0].isdigit() for r in rows)}

    def line(cells: Mapping[str, str]) -> str:
        shown = [
            cells[name].rjust(widths[name]) if name in right else cells[name].ljust(widths[name])
            for name in names
        ]
        return f"| {' | '.join(shown)} |"

    rule = [
        "-" * (widths[name] - 1) + ":" if name in right else "-" * widths[name] for name in names
    ]
    return "\n".join(
        [line(dict(zip(names, names, strict=True))), f"| {' | '.join(rule)} |", *map(line, rows)]
    )


def report(
    *,
    configuration: Configuration,
    partitions: Sequence[Partition],
    limits: Sequence[Limit],
    found: Findings,
    space: Sequence[tuple[Path, float, bool]],
    hosts: Mapping[str, str],
    faults: Mapping[str, str],
    backend: str,
) -> str:
    """All that `doctor` has to say, as Markdown."""
    accounts = "kept (slurmdbd)" if configuration.accounting else "not kept"
    parts = [
        f"# Cluster {configuration.name}, Slurm {configuration.version} (asked through {backend})",
        f"Accounts are {accounts}; squeue knows a job for {configuration.min_job_age} s after its "
        f"end; preemption {configuration.preemption}; arrays up to "
        f"{max(configuration.max_array_size - 1, 0)}.",
        table([_partition(partition) for partition in partitions]),
    ]
    if said := [_limit(limit) for limit in limits if limit.jobs or limit.submitted]:
        parts.append("\n".join(said))
    gpu = [job for job in found.starts if job.gpus]
    other = [job for job in found.starts if not job.gpus]
    parts += ["## Jobs with GPUs", _asked(gpu, found) or "None."]
    blocked = [job for job in other if not found.starts[job]]
    count = sum(job.jobs for job in other if found.starts[job])
    parts += [
        "## Jobs without GPUs",
        f"{count} can start." + (f"\n\n{_asked(blocked, found)}" if blocked else ""),
        "## Disk and network from here",
        "\n".join([*map(_space, space), *_network(hosts, faults)]),
        "## What to do",
        "\n".join(
            [f"- {fault}" for fault in dict.fromkeys(found.faults)]
            + [f"- (hint) {hint}" for hint in found.hints]
        )
        or "Nothing: every job can start as the profile stands.",
    ]
    if found.lines:
        lines = "\n".join(found.lines)
        parts.append(f"Lines for profiles/slurm/profile.yaml:\n\n```yaml\n{lines}\n```")
    return "\n\n".join(part for part in parts if part)


def _partition(partition: Partition) -> dict[str, str]:
    usable = [node for node in partition.nodes if node.usable]
    gpus = [f"{count} {kind}".strip() for kind, count in sorted(partition.gpus.items())]
    return {
        "partition": partition.name + (" (default)" if partition.default else ""),
        "state": "up" if partition.up else "not up",
        "longest": duration(partition.minutes),
        "nodes": f"{len(usable)} of {len(partition.nodes)}",
        "CPUs a node": str(max((node.cpus for node in usable), default=0)),
        "MB a node": str(max((node.memory for node in usable), default=0)),
        "GPUs a node": ", ".join(gpus) or "0",
    }


def _limit(limit: Limit) -> str:
    where = f"account {limit.account}" + (f", {limit.partition}" if limit.partition else "")
    parts = [f"{limit.jobs} jobs at once"] if limit.jobs else []
    parts += [f"{limit.submitted} submitted"] if limit.submitted else []
    return f"Yours, {where}: at most {' and '.join(parts)}."


def _asked(jobs: Sequence[Planned], found: Findings) -> str:
    rows = []
    for job in sorted(jobs, key=lambda job: (job.rule, job.memory or 0)):
        if found.starts[job]:
            where = ", ".join(found.starts[job])
        else:
            why = [f"{name}: {'; '.join(r)}" for name, r in found.reasons[job].items()]
            where = f"NEVER ({' | '.join(why)})"
        rows.append(
            {
                "rule": job.rule,
                "jobs": str(job.jobs),
                "CPUs": str(job.cpus),
                "MB": "once fetched" if job.memory is None else str(job.memory),
                "time": duration(job.minutes),
                "GPUs": f"{job.gpus} {job.gpu_model}".strip(),
                "can start in": where.replace("|", "/"),
            }
        )
    return table(rows)


def _space(place: tuple[Path, float, bool]) -> str:
    folder, free, writable = place
    said = f"- {folder}: {free:.0f} GB free"
    if not writable:
        return f"{said}, and not writable: give other pathvars"
    return f"{said}, which is little" if free < FEW else said


def _network(hosts: Mapping[str, str], faults: Mapping[str, str]) -> list[str]:
    lines = [f"- {host}: answers" for host in hosts if host not in faults]
    return lines + [
        f"- {host}: does not answer ({why}); downloads from it need another node, or a copy at hand"
        for host, why in faults.items()
    ]
