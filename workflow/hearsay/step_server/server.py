"""The step server: takes requests, forks, and tells how a child ended."""

import json
import os
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsay.step_server.child import become, import_step, leave
from hearsay.step_server.protocol import compared, kind

_TO_READ_A_REQUEST = 10.0  # seconds


@dataclass
class _Run:
    """A child and the connection of the process that waits for it; its handle is the child's."""

    pid: int
    handle: int
    client: socket.socket | None


class _RefusedError(Exception):
    """The step is to run in the process that asked."""


def main(handle: int) -> None:
    """Serve at a listening socket until standard input ends, and then until the last child has."""
    with socket.socket(fileno=handle) as listener, selectors.DefaultSelector() as selector:
        listener.set_inheritable(False)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        server = _Server(listener, selector)
        while server.open or server.runs:
            for key, _ in selector.select():
                server.serve(key.fileobj)


class _Server:
    def __init__(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        self._listener, self._selector = listener, selector
        self._environment = compared(os.environ)
        self.runs: list[_Run] = []
        self.open = True

    def serve(self, source: Any) -> None:
        """Do what is to be done when there is something to read."""
        if source is self._listener:
            self._accept()
        elif source is sys.stdin:
            self._selector.unregister(sys.stdin)
            self._selector.unregister(self._listener)
            Path(self._listener.getsockname()).unlink(missing_ok=True)  # gone with its folder
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
                become(asked, streams)
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
        own = kind()
        if others := [name for name in own if asked["kind"][name] != own[name]]:
            raise _RefusedError(f"the step server has another: {', '.join(others)}")
        theirs = compared(asked["environment"])
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
            with suppress(OSError):  # it has ended meanwhile
                names.append((task / "comm").read_text(encoding="utf-8").strip())
    # pyarrow's allocator makes its own ready for a fork.
    return [name for name in names if name != "jemalloc_bg_thd"]


_PREPARED: set[str] = set()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(f"{__doc__}\nusage: python -m hearsay.step_server.server HANDLE")
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    main(int(sys.argv[1]))
    leave(0)
