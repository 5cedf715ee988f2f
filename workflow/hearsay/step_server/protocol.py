"""What a process that asks and the step server tell each other.

A connection carries the standard streams, then a request as a line of JSON, and back a line each:
``no REASON``, or ``child PID`` and later ``ended STATUS``, a signal as a negative number.
"""

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Where a server waits, for the steps of the process that started it.
ADDRESS = "HEARSAY_STEP_SERVER"
# What a step's environment may have of its own: no library reads it while it is imported.
OWN = {"_", "OLDPWD", "PWD", "SHLVL", "TEMP", "TEMPDIR", "TMP", "TMPDIR", ADDRESS}


def request(argv: Sequence[str]) -> dict[str, Any]:
    """What a server must know to run ``hearsay.step`` with `argv` as this process would."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "argv": list(argv),
        "folder": str(Path.cwd()),
        "umask": umask,
        "kind": kind(),
        "environment": dict(os.environ),
    }


def kind() -> dict[str, Any]:
    """What a process has from its start, and a child of another would not have."""
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "Python": sys.prefix,
        "copy of the library": str(Path(__file__).resolve().parent.parent),
        "set of limits": [list(resource.getrlimit(limit)) for limit in limits],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "set of processors": sorted(os.sched_getaffinity(0)),
    }


def compared(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that must be the same in the server and in the process that asks."""
    return {name: value for name, value in environment.items() if name not in OWN}
