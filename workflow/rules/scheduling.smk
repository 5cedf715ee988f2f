"""One timer at a time in Snakemake's scheduler, in place of one for every job.

To keep to `--max-jobs-per-timespan`, Snakemake 9 looks for jobs again a second later, after every
look, and each of these looks leads to a further one: a thread and a look a second for each job that
has started or ended, until the run is over. 135 of them took 15 % of a core; the papers' scale has
thousands of jobs.
"""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def look_again_once(scheduler, delay):
    """Let the scheduler look again after `delay` s, unless it is about to anyway."""
    waiting = getattr(scheduler, "_hearsay_timer", None)
    if waiting is None or not waiting.is_alive():
        timer = threading.Timer(delay, scheduler._open_jobs.release)
        timer.daemon = True
        scheduler._hearsay_timer = timer
        timer.start()


# A private method, and so misspelt; where it is gone, so may be the fault.
if hasattr(JobScheduler, "_schedule_reevalutation"):
    JobScheduler._schedule_reevalutation = look_again_once
