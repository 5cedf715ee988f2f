"""Processes of steps that can be killed: forked ones, and whole ones as Snakemake starts them."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miniatures import Options, command

from hearsay.provenance import ROOT

HERE = Path(__file__).resolve().parent
LONGEST = 600.0  # seconds of one run, which takes a few where nothing else runs
# One thread, so that bits are the same; tokenisers start none, so that a child can be forked.
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT / "workflow"),
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def environment() -> dict[str, str]:
    """Of every process of this harness."""
    return os.environ | ENVIRONMENT


def whole_process(step: str, options: Options, log: Path) -> subprocess.Popen:
    """``python -m hearsay.step``, as the step's rule starts it."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "hearsay.step", step, *command(options)],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )


@dataclass(frozen=True)
class Child:
    """A forked process; the handle stays its own when it has ended."""

    pid: int
    handle: int | None

    def kill(self) -> bool:
        """SIGKILL; False where it had ended before."""
        if self.handle is None:
            return False
        try:
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


class Forks:
    """The fork server (fork_server.py), which has imported the steps given."""

    def __init__(self, steps: Sequence[str], log: Path) -> None:
        with log.open("wb") as stream:
            self._server = subprocess.Popen(
                [sys.executable, str(HERE / "fork_server.py"), *steps],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                bufsize=0,
            )
        if self._line(LONGEST) != "ready":
            raise RuntimeError(f"the fork server did not start: {log.read_text()}")

    def start(
        self,
        step: str,
        options: Options,
        log: Path,
        *,
        folder: Path | None = None,
        events: Path | None = None,
        kill_at: tuple[str, int] | None = None,
        delay: float | None = None,
        user: int | None = None,
    ) -> Child:
        """Fork a run; `events` notes its changes in `folder`, `kill_at` ends it at one."""
        asked: dict[str, Any] = {"step": step, "arguments": command(options), "log": str(log)}
        if events is not None:
            asked |= {"folder": str(folder), "events": str(events)}
            asked |= {"kill_at": kill_at, "delay": delay}
        if user is not None:
            asked["as_user"] = user
        assert self._server.stdin is not None
        self._server.stdin.write((json.dumps(asked) + "\n").encode())
        pid = int(self._line(LONGEST))
        try:
            return Child(pid, os.pidfd_open(pid))
        except ProcessLookupError:  # it ended at once
            return Child(pid, None)

    def ended(self, seconds: float) -> bool:
        """Whether the run has ended after so many seconds at most."""
        assert self._server.stdout is not None
        return bool(select.select([self._server.stdout], [], [], seconds)[0])

    def wait(self, child: Child, seconds: float = LONGEST) -> int:
        """Status of the run; minus a signal's number where one ended it."""
        if not self.ended(seconds):
            child.kill()
            raise TimeoutError(f"a run did not end in {seconds} s")
        if child.handle is not None:
            os.close(child.handle)
        return int(self._line(LONGEST))

    def run(self, step: str, options: Options, log: Path, **more: Any) -> int:
        """Start a run and wait for its end."""
        return self.wait(self.start(step, options, log, **more))

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(LONGEST)

    def _line(self, seconds: float) -> str:
        assert self._server.stdout is not None
        end, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            if not self.ended(max(0.0, end - time.monotonic())):
                raise TimeoutError(f"no answer of the fork server in {seconds} s")
            byte = self._server.stdout.read(1)
            if not byte:
                raise RuntimeError("the fork server has ended")
            line += byte
        return line.decode().strip()
