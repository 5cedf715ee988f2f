"""A cluster asked through Slurm's own commands, whose delimited text is the same over releases."""

import os
import re
import shutil
import subprocess
from datetime import datetime

from hearsay.cluster.facts import Configuration, EndedJob, Limit, LiveJob, Node, Partition
from hearsay.cluster.units import gpus_of, megabytes_of, minutes_of, seconds_of
from hearsay.errors import InputError

_ACCOUNTED = [
    *["JobID", "JobIDRaw", "State", "ElapsedRaw", "TotalCPU", "MaxRSS", "ReqMem", "AllocTRES"],
    *["AllocCPUS", "End", "WorkDir", "Comment", "SubmitLine"],
]
_LIVE = "%i|%T|%Z|%j|%k"
# A user's own settings of the commands, which would cut lists short, change times, or ask back.
_SETTINGS = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT")


class Commands:
    """`hearsay.cluster.facts.Backend` by scontrol, squeue, sacct and sacctmgr."""

    name = "commands"

    def configuration(self) -> Configuration:
        """Settings of the cluster, by ``scontrol show config``."""
        values = {}
        for line in ask("scontrol", "show", "config").splitlines():
            key, separator, value = line.partition(" = ")
            if separator:
                values[key.strip()] = value.strip()
        age = re.match(r"\d*", values.get("MinJobAge", ""))
        assert age is not None, "no digits match too"
        return Configuration(
            name=values.get("ClusterName", ""),
            version=values.get("SLURM_VERSION", ""),
            accounting=values.get("AccountingStorageType", "").endswith("slurmdbd"),
            min_job_age=int(age[0] or 0),
            preemption=values.get("PreemptMode", "OFF"),
            requeue=values.get("JobRequeue", "1") == "1",
            max_array_size=int(values.get("MaxArraySize", 0)),
        )

    def partitions(self) -> list[Partition]:
        """All partitions, by ``scontrol show partition`` and ``scontrol show node``."""
        nodes: dict[str, list[Node]] = {}
        for record in _records(ask("scontrol", "--oneliner", "show", "node")):
            node = Node(
                name=record["NodeName"],
                # What the system keeps for itself is not for jobs.
                cpus=int(record.get("CPUEfctv") or record.get("CPUTot", "0")),
                memory=int(record.get("RealMemory", 0)) - int(record.get("MemSpecLimit", 0) or 0),
                gpus=gpus_of(record.get("Gres", "")),
                state=record.get("State", ""),
            )
            for partition in filter(None, record.get("Partitions", "").split(",")):
                nodes.setdefault(partition, []).append(node)
        return [
            Partition(
                name=record["PartitionName"],
                default=record.get("Default") == "YES",
                up=record.get("State") == "UP",
                minutes=minutes_of(record.get("MaxTime", "")),
                nodes=tuple(nodes.get(record["PartitionName"], ())),
                accounts=_accounts(record.get("AllowAccounts", "ALL")),
            )
            for record in _records(ask("scontrol", "--oneliner", "show", "partition"))
        ]

    def limits(self, user: str) -> list[Limit]:
        """The user's associations, by ``sacctmgr``; what their default QOS says goes before."""
        shown = "Account,Partition,MaxJobs,MaxSubmit,MaxWall,DefaultQOS"
        asked = ["sacctmgr", "--noheader", "--parsable2", "show"]
        own = _cells(ask(*asked, "associations", f"user={user}", f"format={shown}"), 6)
        try:
            said = ask(*asked, "qos", "format=Name,MaxJobsPU,MaxSubmitPU,MaxWall")
        except InputError:  # not for everyone's eyes
            said = ""
        qualities = {name: most for name, *most in _cells(said, 4)}
        found = []
        for account, partition, *most, quality in own:
            first = qualities.get(quality or "normal", ["", "", ""])
            jobs, submitted, wall = (one or other for one, other in zip(first, most, strict=True))
            limit = Limit(account, partition, _number(jobs), _number(submitted), minutes_of(wall))
            found.append(limit)
        return found

    def live_jobs(self, user: str) -> list[LiveJob]:
        """The user's jobs that wait or run, by ``squeue``."""
        said = ask("squeue", "--noheader", f"--user={user}", f"--format={_LIVE}")
        rows = [line.split("|", 4) for line in said.splitlines() if line.count("|") >= 4]
        return [LiveJob(id, name, state, folder, what) for id, state, folder, name, what in rows]

    def ended_jobs(self, user: str, since: datetime) -> list[EndedJob]:
        """The user's jobs that ended, by ``sacct``; memory is the largest of a job's steps."""
        asked = ["sacct", "--noheader", "--parsable2", f"--user={user}", "--duplicates"]
        start = f"--starttime={since:%Y-%m-%dT%H:%M:%S}"
        said = ask(*asked, start, f"--format={','.join(_ACCOUNTED)}")
        jobs: list[dict[str, str]] = []
        peaks: dict[int, float] = {}
        for line in said.splitlines():
            cells = line.split("|", len(_ACCOUNTED) - 1)
            if len(cells) < len(_ACCOUNTED):
                continue  # of a job that was submitted with several lines
            row = dict(zip(_ACCOUNTED, cells, strict=True))
            if "." not in row["JobID"]:
                jobs.append(row)
            elif jobs and (peak := megabytes_of(row["MaxRSS"])) is not None:
                # A job's steps follow it.
                peaks[len(jobs) - 1] = max(peak, peaks.get(len(jobs) - 1, 0.0))
        ended = [_ended(row, peaks.get(k)) for k, row in enumerate(jobs)]
        return sorted(
            (job for job in ended if job.ended is not None), key=lambda job: (job.ended, job.id)
        )


def ask(*command: str) -> str:
    """What a command of Slurm prints.

    Raises
    ------
    InputError
        if it is not installed, fails, or does not answer within a minute.
    """
    if shutil.which(command[0]) is None:
        raise InputError(
            f"{command[0]}: not found; run this on a node from which jobs are submitted"
        )
    around = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    try:
        done = subprocess.run(
            command, env=around, capture_output=True, text=True, errors="replace", timeout=60
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} did not answer within a minute; try again later") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise InputError(f"{' '.join(command[:3])} failed: {said}")
    return done.stdout


def _records(text: str) -> list[dict[str, str]]:
    """The ``Key=value`` pairs of every line; a value ends where the next key begins."""
    return [
        {key: value.strip() for key, value in re.findall(r"(\S+?)=(.*?)(?=\s\S+?=|$)", line)}
        for line in text.splitlines()
        if "=" in line
    ]


def _cells(text: str, number: int) -> list[list[str]]:
    """Rows of a table with `number` columns."""
    return [line.split("|") for line in text.splitlines() if line.count("|") == number - 1]


def _accounts(text: str) -> tuple[str, ...]:
    return () if text in ("", "ALL", "(null)") else tuple(text.split(","))


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _ended(row: dict[str, str], peak: float | None) -> EndedJob:
    line = row.get("SubmitLine", "")
    # The words of the line are not quoted; these options come in this order.
    given = re.search(r"--output (.*?) --export=ALL --comment (.*?) +(?:-[AptDC] |--)", line)
    gpus = sum(gpus_of(row["AllocTRES"]).values())
    if not gpus and (asked := re.search(r" --gpus=(?:[\w.-]+:)?(\d+)", line)):
        gpus = int(asked[1])  # where the database does not count them
    try:
        ended = datetime.fromisoformat(row["End"])
    except ValueError:  # "Unknown": it still runs
        ended = None
    return EndedJob(
        id=row["JobID"],
        state=row["State"].split(" ")[0],
        folder=row["WorkDir"],
        what=row["Comment"] or (given[2] if given else ""),
        output=(given[1] if given else "")
        .replace("%j", row["JobIDRaw"])
        .replace("%A_%a", row["JobID"]),
        seconds=float(row["ElapsedRaw"] or 0),
        cpu_seconds=seconds_of(row["TotalCPU"]) or 0.0,
        cpus=int(row["AllocCPUS"] or 0),
        gpus=gpus,
        peak_memory=peak,
        asked_memory=megabytes_of(row["ReqMem"]),
        ended=ended,
    )
