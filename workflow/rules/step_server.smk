"""A process that keeps imported libraries for the steps of a run on this machine."""

import os
from pathlib import Path

from snakemake.logging import logger

from hearsay.step_server.protocol import ADDRESS
from hearsay.step_server.starter import StepServer, can_serve


def start_step_server():
    """Start the server that `step_server: true` asks for; jobs elsewhere have no use for it."""
    global step_server
    if not (settings.step_server and workflow.is_main_process and workflow.local_exec):
        return
    if reason := can_serve():
        logger.warning(f"step_server: {reason}; each step imports its libraries by itself")
        return
    # Kept by its name: it ends with the pipe that this process holds.
    step_server = StepServer(Path(settings.pathvars.logs) / "step_server.log")
    os.environ[ADDRESS] = step_server.address
