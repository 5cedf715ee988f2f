"""Run one step of the workflow, with a log that says where, when and with what it ran.

``python -m hearsay.step hearsay.spectral.audit_model --weights …`` is
``python -m hearsay.spectral.audit_model --weights …`` with a header and a footer on standard error.
The header is written before the step's module is imported, so that the traceback of an import
error lies in the same log, under the host and the versions that explain it.
"""

import contextlib
import os
import resource
import runpy
import shlex
import sys
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path

from hearsay.errors import InputError
from hearsay.memory import keep_freed_memory, largest_memory
from hearsay.provenance import PACKAGE, ROOT
from hearsay.step_server.client import handed_over
from hearsay.storage import told_of
from hearsay.surroundings import surroundings


def main() -> int:
    """Run the module named first, with the other arguments; return its exit status."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(f"{__doc__}\nusage: python -m hearsay.step MODULE [ARGUMENTS]")
        return 0 if len(sys.argv) > 1 else 2
    status = handed_over(sys.argv, _log)
    return run_here() if status is None else status


def run_here() -> int:
    """Run the step that `sys.argv` asks for in this process; return its exit status."""
    module = sys.argv[1]
    _header(module, sys.argv[2:])
    keep_freed_memory()
    started = time.monotonic()
    status = run(module, sys.argv[1:])
    outcome = "done" if status == 0 else f"failed with status {status}"
    _say(f"{module} {outcome} after {time.monotonic() - started:.1f} s; {_spent()}")
    return status


def run(module: str, argv: list[str]) -> int:
    """Run `module` as a program; what a user can put right becomes one line, else a traceback.

    That is an `InputError`, and a disk that is full or cannot be written, whoever writes to it.
    """
    sys.argv = argv
    threading.excepthook = _of_a_thread
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except InputError as error:
        _log(f"error: {error}")
        return 1
    except SystemExit as stop:
        if isinstance(stop.code, str):
            _log(stop.code)
            return 1
        return stop.code or 0
    except BaseException as error:
        told = told_of(error)
        _log(traceback.format_exc().rstrip() if told is None else f"error: {told}")
        return 1
    return 0


def _of_a_thread(unhandled: threading.ExceptHookArgs) -> None:
    """A disk's error in a library's thread, which raises it again in the main one, is one line."""
    told = unhandled.exc_value and told_of(unhandled.exc_value)
    if told:
        _log(f"in another thread: {told}")
    else:
        threading.__excepthook__(unhandled)


def _log(text: str) -> None:
    """Print to standard error, or to standard output where that is a file on a full disk."""
    for stream in (sys.stderr, sys.stdout):
        with contextlib.suppress(OSError):
            stream.write(f"{text}\n")  # in one piece, whatever another thread says
            stream.flush()
            return


def share_with_jobs(*, python: bool) -> None:
    """Let the jobs of this process import this checkout's library, whichever one is installed.

    With `python` they also find the Python that runs this process first, activated or not; a
    conda environment brings one of its own, made from a copy of envs/environment.yaml.
    """
    os.environ["HEARSAY_ROOT"] = str(ROOT)
    first = {"PYTHONPATH": PACKAGE.parent} | (
        {"PATH": Path(sys.executable).parent} if python else {}
    )
    for name, folder in first.items():
        others = filter(None, [os.environ.get(name)])
        os.environ[name] = os.pathsep.join([str(folder), *others])


def _header(module: str, arguments: list[str]) -> None:
    around = surroundings()
    hardware = around["hardware"]
    versions = ", ".join(f"{name} {version}" for name, version in around["versions"].items())
    _say(module)
    _log(f"  host      {hardware['host']} ({hardware['cores']} cores, {hardware['cpu']})")
    _log(f"  platform  {hardware['platform']}")
    _log(f"  commit    {around['commit']}")
    _log(f"  versions  {versions}")
    _log(f"  arguments {shlex.join(arguments)}")


def _spent() -> str:
    """What the kernel counted for this process and those that it waited for."""
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(use.ru_utime + use.ru_stime for use in of)
    return f"CPU {seconds:.1f} s, memory {largest_memory() / (1 << 20):.0f} MiB"


def _say(text: str) -> None:
    _log(f"[{datetime.now().astimezone().isoformat(timespec='seconds')}] {text}")


if __name__ == "__main__":
    sys.exit(main())
