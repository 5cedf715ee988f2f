"""Put right, from outside, what makes the Slurm executor plugin (2.8) wait for ever.

* It asks for the states of jobs a few times in a row. If all fail, as they do within a second while
  slurmctld restarts, it forgets the jobs.
* In the same moment it cannot read MinJobAge, and turns from squeue to sacct, which never answers
  on a cluster without accounts.
* sacct says ``CANCELLED by 1000`` of a cancelled job, which it takes for one that still runs.
* A job that was preempted and not put back stays ``PREEMPTED``; it waits for that to change.

The tests of tests/slurm do these things to a real cluster.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Any, Protocol

from hearsay.cluster.commands import ask
from hearsay.errors import InputError

LAST_LOOK = 10  # answers in a row after which a preempted job is not expected back


class Plugin(Protocol):
    """What is replaced of the module `snakemake_executor_plugin_slurm`."""

    query_job_status: Callable[[str, Logger], Awaitable[Any]]
    get_min_job_age: Callable[[], int | None]


def make_steady(plugin: Plugin, *, seconds: float = 10) -> None:
    """Replace two functions of the plugin by ones that wait, remember and read states rightly.

    Parameters
    ----------
    plugin : the module `snakemake_executor_plugin_slurm`.
    seconds : between two questions while Slurm does not answer.
    """
    query, min_job_age = plugin.query_job_status, plugin.get_min_job_age
    known = [min_job_age()]
    preempted: Counter[str] = Counter()

    async def steady_query(command: str, logger: Logger) -> Any:
        told = False
        while (answer := await query(command, logger)) == (None, None):
            if not told:
                logger.warning(f"Slurm does not answer; asked again every {seconds:g} s: {command}")
                told = True
            await asyncio.sleep(seconds)
        if told:
            logger.warning("Slurm answers again")
        states, duration = answer
        return {job: _state(job, state, preempted) for job, state in states.items()}, duration

    def remembered_min_job_age() -> int | None:
        if (age := min_job_age()) is not None:
            known[0] = age
        return known[0]

    plugin.query_job_status = steady_query
    plugin.get_min_job_age = remembered_min_job_age


def _state(job: str, text: str, preempted: Counter[str]) -> str:
    state = text.partition(" ")[0]
    if state != "PREEMPTED":
        preempted.pop(job, None)
        return state
    preempted[job] += 1
    return "FAILED" if preempted[job] > LAST_LOOK else state


def check_status_command(command: str | None) -> None:
    """Refuse a status command that would never answer.

    Raises
    ------
    InputError
        for ``sacct`` on a cluster that keeps no accounts of ended jobs, with what to set.
    """
    if command == "squeue":
        return
    try:
        ask("sacct", "--noheader", "--allocations", "--starttime=now", "--endtime=now")
    except InputError as error:
        raise InputError(
            f"states of jobs are to be asked through sacct, but {error}; on a cluster that keeps "
            "no accounts of ended jobs set slurm-status-command: squeue in the profile"
        ) from None
