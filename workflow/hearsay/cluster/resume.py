"""Go on after Snakemake has died: never two writers, then unlock, then run again."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hearsay.cluster.commands import ask
from hearsay.cluster.facts import Backend, LiveJob
from hearsay.errors import InputError


def jobs_of(backend: Backend, user: str, folder: Path) -> list[LiveJob]:
    """Jobs of a workflow in `folder` that wait or run."""
    return [
        job
        for job in backend.live_jobs(user)
        if job.what.startswith("rule_") and Path(job.folder).resolve() == folder.resolve()
    ]


def snakemakes_in(folder: Path) -> list[int]:
    """Process numbers of running Snakemakes that work in `folder`, on this machine (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            there = (entry / "cwd").resolve(strict=True)
        except (OSError, RuntimeError):
            continue  # another user's, or gone
        named = any(Path(os.fsdecode(word)).name == "snakemake" for word in words[:3])
        # `python -m snakemake` shows its file; jobs are told by what they are told to do.
        named |= any(word.endswith(b"/snakemake/__main__.py") for word in words[:3])
        named |= b"snakemake" in words[:4] and b"-m" in words[:4]
        if named and b"--target-jobs" not in words and there == folder.resolve():
            found.append(int(entry.name))
    return sorted(found)


def wait_for(backend: Backend, user: str, folder: Path, *, seconds: float = 30) -> None:
    """Wait until no job of the workflow is left; says on standard error how many are."""
    before = -1
    while jobs := jobs_of(backend, user, folder):
        if len(jobs) != before:
            print(f"waiting for {len(jobs)} jobs", file=sys.stderr, flush=True)
            before = len(jobs)
        time.sleep(seconds)


def resume(
    backend: Backend,
    user: str,
    folder: Path,
    arguments: Sequence[str],
    *,
    leftover: str = "refuse",
    seconds: float = 30,
) -> int:
    """Unlock the folder and run Snakemake again; return its status.

    Parameters
    ----------
    backend, user : whose jobs are looked for, and how.
    folder : the workflow's working directory.
    arguments : of Snakemake; incomplete outputs are made again whatever they say.
    leftover : what is done about jobs of the dead Snakemake that still wait or run: ``refuse``,
        ``wait`` until they ended (their results are kept), or ``cancel`` them (a training saves
        first and goes on from there).
    seconds : between two looks at the queue.

    Raises
    ------
    InputError
        if a Snakemake is still at work in the folder, or if jobs are left and `leftover` is
        ``refuse``.
    """
    if alive := snakemakes_in(folder):
        raise InputError(
            f"{folder}: Snakemake still works here (process {', '.join(map(str, alive))}); "
            "leave it, or end it with Ctrl-C first"
        )
    jobs = jobs_of(backend, user, folder)
    if jobs and leftover == "refuse":
        shown = "; ".join(f"{job.id} {job.state} {job.what}" for job in jobs[:10])
        more = f"; and {len(jobs) - 10} more" if len(jobs) > 10 else ""
        raise InputError(
            f"{folder}: {len(jobs)} jobs of an earlier run are still there ({shown}{more}), and "
            "two writers would spoil their outputs; take --leftover wait to let them end, or "
            "--leftover cancel"
        )
    if jobs and leftover == "cancel":
        # Slurm sends SIGTERM first, on which a training saves.
        # Tasks of an array that wait are 12_[1,3,…], cut short where there are many: all of it.
        ask("scancel", *dict.fromkeys(job.id.partition("_[")[0] for job in jobs))
    if jobs:
        wait_for(backend, user, folder, seconds=seconds)
    # Before the arguments: what stands behind a `--` of theirs would be a target.
    snakemake = [sys.executable, "-m", "snakemake"]
    unlocked = subprocess.run([*snakemake, "--unlock", *arguments], stdout=subprocess.PIPE)
    if unlocked.returncode:
        raise InputError(f"{folder}: could not be unlocked; see Snakemake's message above")
    return subprocess.run([*snakemake, "--rerun-incomplete", *arguments]).returncode
