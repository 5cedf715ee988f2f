"""Wait for a Slurm that does not answer, where the executor plugin would lose its jobs.

The plugin (2.8) asks a few times in a row; if all fail, as they do within a second while slurmctld
restarts, it forgets the jobs and Snakemake waits for ever. In the same moment it cannot read
MinJobAge, and turns from squeue to sacct, which never answers on a cluster without accounts. Both
are put right here, from outside; the tests kill a slurmctld to see that they are.
"""

import asyncio
from logging import Logger
from types import ModuleType
from typing import Any

from hearsay.cluster.commands import ask
from hearsay.errors import InputError


def be_patient(plugin: ModuleType, *, seconds: float = 10) -> None:
    """Let the plugin ask for the states of jobs until there is an answer.

    Parameters
    ----------
    plugin : the module `snakemake_executor_plugin_slurm`.
    seconds : between two questions.
    """
    query, min_job_age = plugin.query_job_status, plugin.get_min_job_age
    known = [min_job_age()]

    async def patient_query(command: str, logger: Logger) -> Any:
        told = False
        while (answer := await query(command, logger)) == (None, None):
            if not told:
                logger.warning(f"Slurm does not answer; asked again every {seconds:g} s: {command}")
                told = True
            await asyncio.sleep(seconds)
        if told:
            logger.warning("Slurm answers again")
        return answer

    def remembered_min_job_age() -> int | None:
        if (age := min_job_age()) is not None:
            known[0] = age
        return known[0]

    plugin.query_job_status = patient_query
    plugin.get_min_job_age = remembered_min_job_age


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
