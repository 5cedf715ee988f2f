"""What is checked and mended before the first job starts."""

import sys
from collections import Counter

from snakemake.logging import logger

from hearsay.cluster.steady import check_status_command, make_steady
from hearsay.future_times import mend_future_times
from hearsay.profiles import array_rules, check_arrays, check_profile, options_of, profiles_of


def check_profiles():
    """Refuse misspelt keys and rules in the profiles given on this command line."""
    import snakemake.cli

    with told_by_snakemake():
        for file in profiles_of(sys.argv[1:], snakemake.cli) if workflow.is_main_process else []:
            check_profile(file, options_of(snakemake.cli), [rule.name for rule in workflow.rules])


def check_python_path():
    """Refuse a cluster run that could not start: the Slurm plugin does not quote Python's path."""
    if " " in sys.executable and not workflow.executor_plugin.common_settings.local_exec:
        raise WorkflowError(
            f"{sys.executable}: Slurm jobs cannot start a Python whose path holds a space; "
            "put the environment elsewhere, such as: make install VENV=$HOME/hearsay-env"
        )


def check_job_arrays():
    """Refuse arrays that a limit may cut short: Snakemake would wait for their jobs for ever."""
    selected = getattr(workflow.executor_settings, "array_jobs", None)
    if not selected:
        return
    waiting = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    limits = workflow.global_resources
    limited = {}
    for job in waiting:
        asked = {name for name in limits if name[0] != "_" and job.resources.get(name)}
        limited.setdefault(job.rule.name, set()).update(asked)
    with told_by_snakemake():
        check_arrays(
            array_rules(selected),
            Counter(job.rule.name for job in waiting),
            workflow.nodes,
            limited,
        )


def make_slurm_steady():
    """Wait for a Slurm that is away for a while; refuse one whose states cannot be asked for."""
    plugin = sys.modules.get("snakemake_executor_plugin_slurm")
    options = workflow.executor_settings
    if plugin is None or not isinstance(options, plugin.ExecutorSettings):
        return
    with told_by_snakemake():
        check_status_command(options.status_command)
    make_steady(plugin)


def mend_times():
    """Set files that a wrong clock has put into the future to the present, and say so."""
    mended = mend_future_times([settings.pathvars.results, settings.pathvars.resources])
    if mended:
        logger.warning(
            f"{len(mended)} files had times in the future, such as {mended[-1]}: set to now; is a "
            "clock wrong, here or on the file server?"
        )


onstart:
    check_python_path()
    check_job_arrays()
    make_slurm_steady()
    mend_times()
    start_step_server()
