"""A Python that has imported all training steps and forks a process for each run that is asked for.

To import torch, transformers and NeMo takes seconds, more than a miniature trains. A forked child
is a process of its own, which runs the step as ``python -m hearsay.step`` does; SIGKILL ends it as
it ends any. Requests and answers are lines of JSON on standard input and output. Unlike
``hearsay.step_server`` it imports all steps before the first, and can kill a child at a place.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from hearsay.step_server.child import import_step, leave

# Of the events that Python tells, those that change what lies in a folder.
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree"}


def main(steps: list[str]) -> None:
    """Import the steps; then a child for each line of standard input, until it ends."""
    for step in steps:
        import_step(step)
    # A line of a library while it is imported must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _become(asked)
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _become(asked: dict[str, Any]) -> NoReturn:
    """Run the step in this child, and end it."""
    # Programs that a step starts read nothing of the requests.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from hearsay import step

    if asked.get("events"):
        watch = _Watch(
            Path(asked["folder"]), Path(asked["events"]), asked["kill_at"], asked["delay"]
        )
        sys.addaudithook(watch)
    if user := asked.get("as_user"):
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    sys.argv = ["hearsay.step", asked["step"], *asked["arguments"]]
    leave(step.run_here())


class _Watch:
    """Notes every change in a folder, and kills this process right before one of them.

    Parameters
    ----------
    kill_at : a pattern of changes, as they are noted, and the number of the one among them that is
        not to happen; None notes only.
    delay : seconds that the process has left from there; it goes on until then.
    """

    def __init__(
        self, folder: Path, log: Path, kill_at: tuple[str, int] | None, delay: float | None
    ) -> None:
        self._folder, self._left, self._delay = str(folder), kill_at and kill_at[1], delay
        self._pattern = re.compile(kill_at[0]) if kill_at else None
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or (path := self._path(event, arguments)) is None:
            return
        note = f"{event} {path}"
        if self._pattern is not None and self._pattern.search(note):
            if self._left == 0:
                self._kill()
            self._left -= 1
        os.write(self._log, f"{note}\n".encode())

    def _kill(self) -> None:
        """At once, or by another process that waits, while this one goes on."""
        if self._delay is None:
            os.kill(os.getpid(), signal.SIGKILL)
            return
        step = os.getpid()
        if not os.fork():
            time.sleep(self._delay)
            if os.getppid() == step:  # which may have ended; its child's parent is another then
                os.kill(step, signal.SIGKILL)
            os._exit(0)

    def _path(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """What is changed, relative to the folder; None for anything else."""
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return None
        path = os.fsdecode(path)
        place = arguments[1] if event in ("os.remove", "os.rmdir") else None
        if isinstance(place, int) and place >= 0:  # how shutil.rmtree names what it removes
            path = str(Path(f"/proc/self/fd/{place}").readlink() / path)
        return os.path.relpath(path, self._folder) if path.startswith(self._folder) else None


if __name__ == "__main__":
    main(sys.argv[1:])
