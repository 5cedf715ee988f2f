"""The step server's process, from the side of the one that starts it."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

# Snakemake sets these to a job's threads. Libraries read them once, while they are imported.
THREADS = [
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
]
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
        with log.open("w", encoding="utf-8") as stream, socket.socket(socket.AF_UNIX) as listener:
            # Made here, so that a step which asks before the server has begun waits for it.
            listener.bind(self.address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hearsay.step_server.server", str(listener.fileno())],
                pass_fds=[listener.fileno()],
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
