"""Worker processes that answer tasks in order, with bounded memory, and die with their parent.

Unlike an executor's, a worker that is brought down by a task (a decoder that crashes on garbage)
costs that task alone, and no worker outlives a parent that was killed.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from hearsay.errors import InputError

Task = TypeVar("Task")
Answer = TypeVar("Answer")

AHEAD = 32  # tasks a worker that may be begun before the oldest is answered
AHEAD_BYTES = 1 << 28

# Signals by which a process falls over its own feet; others come from outside.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("fork")
else:
    _CONTEXT = multiprocessing.get_context("spawn")


class WorkerPool(Generic[Task, Answer]):
    """Processes that apply one function.

    Parameters
    ----------
    function : a module's function of one task.
    processes : how many; none is enough for no task.
    size_of : bytes that a task keeps in memory.
    """

    def __init__(
        self, function: Callable[[Task], Answer], processes: int, size_of: Callable[[Task], int]
    ) -> None:
        self._function = function
        self._size_of = size_of
        self._workers: dict[Connection, Any] = {}
        self._idle: list[Connection] = []
        for _ in range(processes):
            self._start()

    def __enter__(self) -> "WorkerPool[Task, Answer]":
        return self

    def __exit__(self, *_: object) -> None:
        for connection, process in self._workers.items():
            connection.close()
            process.terminate()
        for process in self._workers.values():
            process.join()

    def _start(self) -> None:
        here, there = _CONTEXT.Pipe()
        # A forked worker holds copies of its sisters' ends, which would keep them alive.
        inherited = [here, *self._workers] if _CONTEXT.get_start_method() == "fork" else []
        process = _CONTEXT.Process(
            target=_serve, args=(there, inherited, self._function), daemon=True
        )
        process.start()
        there.close()
        self._workers[here] = process
        self._idle.append(here)

    def answers(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer | str]]:
        """Every task with its answer, in the order of the tasks; a crash is told as text.

        Raises
        ------
        InputError
            that the function raised, or if a worker was killed from outside.
        RuntimeError
            for any other exception of the function, with its traceback.
        """
        running: dict[Connection, tuple[int, Task]] = {}
        ready: dict[int, tuple[Task, Answer | str]] = {}
        begun = told = held = 0
        source = iter(tasks)
        waiting: Task | None = next(source, None)
        while waiting is not None or running or ready:
            while told in ready:
                task, answer = ready.pop(told)
                told += 1
                held -= self._size_of(task)
                yield task, answer
            room = begun - told < AHEAD * len(self._workers) and held < AHEAD_BYTES
            if waiting is not None and self._idle and room:
                connection = self._idle.pop()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.send(waiting)  # one that died shows when it is waited for
                running[connection] = (begun, waiting)
                begun += 1
                held += self._size_of(waiting)
                waiting = next(source, None)  # read while the workers work
                if self._idle and waiting is not None:
                    continue
            for answered in wait(list(running), timeout=None if running else 0):
                assert isinstance(answered, Connection)
                number, task = running.pop(answered)
                ready[number] = (task, self._receive(answered))

    def _receive(self, connection: Connection) -> Answer | str:
        try:
            kind, answer = connection.recv()
        except (EOFError, ConnectionResetError):
            return self._buried(connection)
        self._idle.append(connection)
        if kind == "input":
            raise InputError(answer)
        if kind == "error":
            raise RuntimeError(f"a worker failed:\n{answer}")
        return answer

    def _buried(self, connection: Connection) -> str:
        """Why a worker died, by its own fault; another takes its place."""
        process = self._workers.pop(connection)
        process.join()
        connection.close()
        code = process.exitcode or 0
        if code >= 0 or -code not in _CRASHES:
            told = f"signal {-code}" if code < 0 else f"status {code}"
            raise InputError(
                f"a worker process ended with {told}; if it was killed for want of memory, give "
                "the step more, or fewer threads; started again it goes on from here"
            )
        self._start()
        return signal.Signals(-code).name


def _serve(
    connection: Connection, inherited: list[Connection], function: Callable[[Any], Any]
) -> None:
    """Answer tasks until the other end closes, which it does however its process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    faulthandler.disable()  # the parent tells of a crash
    for other in inherited:
        other.close()
    # Decoders write remarks on broken files to where the log goes.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    while True:
        try:
            task = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            answer = ("answer", function(task))
        except InputError as error:
            answer = ("input", str(error))
        except Exception:
            answer = ("error", traceback.format_exc())
        try:
            connection.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return
