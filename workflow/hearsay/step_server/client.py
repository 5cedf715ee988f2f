"""The process that asks the step server to run its step."""

import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import TextIO

from hearsay.step_server.protocol import ADDRESS, request

HANDED_ON = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]


def handed_over(argv: Sequence[str], say: Callable[[str], None]) -> int | None:
    """Let the server named by the environment run ``hearsay.step`` with `argv`, and wait.

    Returns
    -------
    The step's exit status; None where it is to run in this process: no server is named, or it does
    not answer, or it refuses, and `say` is told which. A step that a signal ended ends this
    process too.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(address)
        except OSError:
            say("  alone     the step server does not answer; its log may say why")
            return None
        child = _Child()
        before = {number: signal.signal(number, child.hand_on) for number in HANDED_ON}
        with suppress(OSError):  # a server that has ended gives no answer either
            socket.send_fds(server, [b"\0"], [0, 1, 2])
            server.sendall(json.dumps(request(argv)).encode() + b"\n")
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
