"""What a child of the step server is before it is a step, and how it ends."""

import atexit
import ctypes
import gc
import importlib
import os
import signal
import sys
import tempfile
import threading
import traceback
from typing import Any, NoReturn


def import_step(step: str) -> None:
    """Import a step's module and all that it imports, for children that run it as a program.

    Memory is kept from Python's collector, which in each child would copy all its pages.
    """
    importlib.import_module("hearsay.step")
    importlib.import_module(step)
    del sys.modules[step]  # a child runs it from its beginning, as __main__
    gc.collect()
    gc.freeze()


def become(asked: dict[str, Any], streams: list[int]) -> NoReturn:
    """Run the step in this child as the process that asked would have, and end."""
    _die_with_parent()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.umask(asked["umask"])
    os.chdir(asked["folder"])
    os.environ.update(asked["environment"])
    tempfile.tempdir = None  # to be looked for again
    sys.argv = asked["argv"]
    sys.path[0] = asked["folder"]  # as `python -m` has it
    if "numpy" in sys.modules:  # Python's own generator does so itself
        sys.modules["numpy"].random.seed()
    from hearsay import step

    try:
        status = step.run_here()
    except BaseException:
        traceback.print_exc()
        status = 1
    leave(status)


def leave(status: int) -> NoReturn:
    """End a forked process: what was registered for the end is done, and all is written.

    To tear down all modules, those of other steps among them, takes seconds and changes no file.
    """
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as Python's end does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or 120  # as Python ends where the last output cannot be written
    os._exit(status)


def _die_with_parent() -> None:
    """Let the kernel kill this process if the server dies: nobody would wait for it."""
    set_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
