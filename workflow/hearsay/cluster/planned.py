"""What the workflow's jobs ask for, from a dry run of Snakemake.

The library never imports Snakemake: the dry run is a process of its own, with the arguments that a
user would give, and what it prints is read here.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from hearsay.cluster.facts import Planned
from hearsay.cluster.units import minutes_of
from hearsay.errors import InputError
from hearsay.provenance import ROOT

_JOB = re.compile(r"^(localrule|rule|checkpoint) (\S+):\n((?:    .*\n?)*)", re.M)
_FIELD = re.compile(r"^    (\w+): (.*)$", re.M)


def dry_run(arguments: Sequence[str], *, every: bool = True) -> list[Planned]:
    """The jobs that Snakemake would send to the cluster.

    Parameters
    ----------
    arguments : of Snakemake, such as ``["--profile", "slurm", "all"]``.
    every : also those whose outputs are there already.

    Raises
    ------
    InputError
        with Snakemake's own message if it refuses.
    """
    # Without a number of cores a dry run caps all threads at one.
    options = ["--dry-run", "--nolock", "--cores", "100000", *(["--forceall"] if every else [])]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *options, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise InputError(f"snakemake refuses: {_last_message(done.stdout)}")
    return read_jobs(done.stdout, local_rules())


def read_jobs(text: str, local: Collection[str] = ()) -> list[Planned]:
    """Read a dry run's text; jobs of one rule that ask for the same are counted together.

    Rules without outputs and those in `local` run where Snakemake runs.
    """
    counted: Counter[Planned] = Counter()
    for kind, rule, body in _JOB.findall(text):
        fields = dict(_FIELD.findall(body))
        if kind == "localrule" or rule in local or "output" not in fields:
            continue
        asked = dict(
            part.partition("=")[::2]
            for part in re.split(r", (?=\w+=)", fields.get("resources", ""))
        )
        wildcards = dict(
            part.partition("=")[::2]
            for part in re.split(r", (?=\w+=)", fields.get("wildcards", ""))
        )
        job = Planned(
            rule=rule,
            jobs=0,
            cpus=_number(asked.get("cpus_per_task") or fields.get("threads")) or 1,
            memory=_number(asked.get("mem_mb")),
            minutes=_minutes(asked.get("runtime", "")),
            gpus=_number(asked.get("gpu")) or 0,
            partition=asked.get("slurm_partition", ""),
            gpu_model=asked.get("gpu_model", ""),
            example=wildcards if wildcards.keys() - {""} else {},
        )
        counted[job] += 1  # equal whatever its wildcards, of which the first ones stay
    return [replace(job, jobs=number) for job, number in counted.items()]


def local_rules() -> set[str]:
    """Rules that run on the login node; a dry run does not tell them apart."""
    found: set[str] = set()
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.findall(r"^localrules:\n((?:    .*\n)+)", path.read_text("utf-8"), re.M):
            found |= set(re.findall(r"\w+", block))
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _minutes(text: str) -> int | None:
    return int(text) if text.isdigit() else minutes_of(text)


def _last_message(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if re.match(r"(WorkflowError|InputError|error|MissingInput|\w+(Error|Exception))\b", line):
            return " ".join(lines[index : index + 6])
    return " ".join(lines[-3:]) or "it printed nothing"
