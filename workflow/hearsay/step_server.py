"""A process that keeps the libraries which steps import, and forks a child for each step.

To import torch, transformers and NeMo takes two to nine seconds, which is most of what a miniature
step takes: with nearly two hundred steps it is a third of the demo. The server imports a step's
module when it is first asked for; the child that it forks runs ``hearsay.step`` from its beginning,
with the arguments, streams and folder of the process that asked, which waits for it, hands signals
on to it and ends as it ends. Numbers do not change: a child has its own seeds, and a server refuses
what it cannot do in the same way, so that the step runs in the process that asked.

That is where
- the environment is not the server's own (another conda environment, another number of threads), or
  the limits of processes are not;
- an import fails (the step then fails by itself, with the traceback in its own log);
- a library has started threads, whose locks a child would inherit.

``rules/step_server.smk`` starts one for a run on this machine; it ends with the process that
started it, once its children have ended.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

# Where a server waits, for the steps of the process that started it.
ADDRESS = "HEARSAY_STEP_SERVER"
# What a step's environment may have of its own: no library reads it while it is imported.
OWN = {"_", "OLDPWD", "PWD", "SHLVL", "TEMP", "TEMPDIR", "TMP", "TMPDIR", ADDRESS}
# Snakemake sets these to a job's threads. Libraries read them once, while they are imported.
THREADS = [
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
]
HANDED_ON = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
_TO_READ_A_REQUEST = 10.0  # seconds
_LONGEST_ADDRESS = 100  # characters; Linux takes 107


def can_serve() -> str:
    """Why no server can work on this machine; empty where it can."""
    if not hasattr(os, "pidfd_open"):
        return "it needs Linux"
    if Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists():
        return "a forked process cannot use a GPU that a library has looked for"
    return ""


class StepServer:
    """The server's process, from the side of the one that starts it.

    Parameters
    ----------
    log : file to which libraries print while they are imported.
    threads : of the jobs that it serves; others run by themselves.
    """

    def __init__(self, log: Path, *, threads: int = 1) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        # No one else can open it.
        long = len(tempfile.gettempdir()) > _LONGEST_ADDRESS - len("/hearsay-12345678/steps")
        self._folder = tempfile.TemporaryDirectory(prefix="hearsay-", dir="/tmp" if long else None)
        self.address = str(Path(self._folder.name) / "steps")
        with log.open("w", encoding="utf-8") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hearsay.step_server", self.address],
                stdin=subprocess.PIPE,  # it reads the end of its parent there, however that comes
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C is for those that ask, which hand it on
                env=os.environ | dict.fromkeys(THREADS, str(threads)),
            )

    def stop(self) -> None:
        """Let it end with its last child; return when it has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


# --- the process that asks -----------------------------------------------------------------------


def handed_over(argv: Sequence[str], say: Callable[[str], None]) -> int | None:
    """Let the server named by the environment run ``hearsay.step`` with `argv`, and wait.

    Returns
    -------
    The step's exit status; None where it is to run in this process: there is no server, it is not
    ready, or it refuses, which `say` is told. A step that a signal ended ends this process too.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(address)
        except OSError:
            return None
        child = _Child()
        before = {number: signal.signal(number, child.hand_on) for number in HANDED_ON}
        with suppress(OSError):  # a server that has ended gives no answer either
            socket.send_fds(server, [b"\0"], [0, 1, 2])
            server.sendall(json.dumps(_request(argv)).encode() + b"\n")
        answers = server.makefile("r", encoding="utf-8")
        word, _, told = _line(answers).partition(" ")
        if word != "child":
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            if child.waiting:
                signal.raise_signal(child.waiting[0])
            if word == "no":
                say(f"  alone     {told}")
            return None
        child.started(int(told))
        last = _line(answers).split()
    if not last:
        say("error: the step server has ended, and this step with it; run the same command again")
        return 1
    status = int(last[1])
    if status < 0:
        with suppress(OSError):  # SIGKILL has no other
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _line(answers: TextIO) -> str:
    """The server's next answer; empty where it has ended."""
    try:
        return answers.readline().rstrip("\n")
    except OSError:
        return ""


def _request(argv: Sequence[str]) -> dict[str, Any]:
    umask = os.umask(0)
    os.umask(umask)
    return {
        "argv": list(argv),
        "folder": str(Path.cwd()),
        "umask": umask,
        "kind": _kind(),
        "environment": dict(os.environ),
    }


def _kind() -> dict[str, Any]:
    """What a process has from its start, and a child of another would not have."""
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "Python": sys.prefix,
        "copy of the library": str(Path(__file__).resolve().parent),
        "set of limits": [list(resource.getrlimit(limit)) for limit in limits],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "set of processors": sorted(os.sched_getaffinity(0)),
    }


class _Child:
    """The step's process, as the one that waits knows it."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.waiting: list[int] = []

    def started(self, pid: int) -> None:
        self.pid = pid
        for number in self.waiting:
            self.hand_on(number, None)

    def hand_on(self, number: int, _: FrameType | None) -> None:
        """Signal handler."""
        if self.pid is None:
            self.waiting.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


# --- the server ----------------------------------------------------------------------------------


@dataclass
class _Run:
    """A child and the connection of the process that waits for it; its handle is the child's."""

    pid: int
    handle: int
    client: socket.socket | None


class _RefusedError(Exception):
    """The step is to run in the process that asked."""


def main(address: str) -> None:
    """Serve at `address` until standard input ends, and then until the last child has."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address)
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        server = _Server(listener, selector)
        while server.open or server.runs:
            for key, _ in selector.select():
                server.serve(key.fileobj)


class _Server:
    def __init__(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        self._listener, self._selector = listener, selector
        self._environment = _compared(os.environ)
        self.runs: list[_Run] = []
        self.open = True

    def serve(self, source: Any) -> None:
        """Do what is to be done when there is something to read."""
        if source is self._listener:
            self._accept()
        elif source is sys.stdin:
            self._selector.unregister(sys.stdin)
            self._selector.unregister(self._listener)
            Path(self._listener.getsockname()).unlink()
            self._listener.close()  # whoever waits there runs its step by itself
            self.open = False
        else:
            # A run may be over by something else that was ready at the same time.
            for run in [run for run in self.runs if source in (run.client, run.handle)]:
                if source == run.handle:
                    self._ended(run)
                else:
                    self._abandoned(run)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.settimeout(_TO_READ_A_REQUEST)
        streams: list[int] = []
        try:
            _, streams, _, _ = socket.recv_fds(client, 1, 3)
            with client.makefile("r", encoding="utf-8") as lines:
                asked = json.loads(lines.readline())
            self._run(asked, streams, client)
        except _RefusedError as refused:
            with suppress(OSError):
                client.sendall(f"no {refused}\n".encode())
            client.close()
        except (OSError, ValueError):  # whoever asked has gone
            client.close()
        finally:
            for stream in streams:
                os.close(stream)

    def _run(self, asked: dict[str, Any], streams: list[int], client: socket.socket) -> None:
        self._refuse(asked)
        _prepare(asked["argv"][1])
        pid = os.fork()
        if not pid:
            try:
                self._forget(client)
                _become(asked, streams)
            finally:  # never back into the server's loop
                os._exit(1)
        try:
            handle = os.pidfd_open(pid)
        except OSError:  # no handles are left: the step runs where it was asked for, and once
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        run = _Run(pid, handle, client)
        self.runs.append(run)
        for source in (run.handle, client):
            self._selector.register(source, selectors.EVENT_READ)
        with suppress(OSError):
            client.sendall(f"child {pid}\n".encode())

    def _forget(self, client: socket.socket) -> None:
        """Close, in a child, what is the server's."""
        for connection in [self._listener, client, *(run.client for run in self.runs)]:
            if connection is not None:
                connection.close()
        for run in self.runs:
            os.close(run.handle)
        self._selector.close()

    def _refuse(self, asked: dict[str, Any]) -> None:
        kind = _kind()
        if others := [name for name in kind if asked["kind"][name] != kind[name]]:
            raise _RefusedError(f"the step server has another: {', '.join(others)}")
        theirs = _compared(asked["environment"])
        names = sorted(dict(self._environment.items() ^ theirs.items()))
        if names:
            raise _RefusedError(f"an environment of its own: {', '.join(names)}")

    def _ended(self, run: _Run) -> None:
        _, status = os.waitpid(run.pid, 0)
        self.runs.remove(run)
        self._selector.unregister(run.handle)
        os.close(run.handle)
        if run.client is not None:
            with suppress(OSError):
                run.client.sendall(f"ended {os.waitstatus_to_exitcode(status)}\n".encode())
            self._hang_up(run)

    def _abandoned(self, run: _Run) -> None:
        """Whoever asked was killed; without a server that would have been the step itself."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(run.handle, signal.SIGKILL)
        self._hang_up(run)

    def _hang_up(self, run: _Run) -> None:
        assert run.client is not None
        self._selector.unregister(run.client)
        run.client.close()
        run.client = None


def _compared(environment: Any) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in OWN}


def _prepare(step: str) -> None:
    """Import what a step imports, unless it was asked for before."""
    if step not in _PREPARED:
        try:
            import_step(step)
        except BaseException:  # NeMo ends the process where it finds what it does not like
            traceback.print_exc()
            raise _RefusedError(f"the step server could not import {step}") from None
        _PREPARED.add(step)
    if threads := _threads():
        raise _RefusedError(f"libraries that the step server has imported run {', '.join(threads)}")


def _threads() -> list[str]:
    """Threads besides the first whose locks a child would inherit, by name."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        if task.name != str(os.getpid()):
            names.append((task / "comm").read_text(encoding="utf-8").strip())
    # pyarrow's allocator makes its own ready for a fork.
    return [name for name in names if name != "jemalloc_bg_thd"]


_PREPARED: set[str] = set()


def import_step(step: str) -> None:
    """Import a step's module and all that it imports, for children that run it as a program.

    Memory is kept from Python's collector, which in each child would copy all its pages.
    """
    importlib.import_module("hearsay.step")
    importlib.import_module(step)
    del sys.modules[step]  # a child runs it from its beginning, as __main__
    gc.collect()
    gc.freeze()


def _become(asked: dict[str, Any], streams: list[int]) -> NoReturn:
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


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(f"{__doc__}\nusage: python -m hearsay.step_server SOCKET")
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    main(sys.argv[1])
    leave(0)
