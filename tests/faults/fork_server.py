"""A Python that has imported all training steps and forks a process for each run that is asked for.

To import torch, transformers and NeMo takes seconds, more than a miniature trains. A forked child
is a process of its own, which runs the step as ``python -m hearsay.step`` does; SIGKILL ends it as
it ends any. Requests and answers are lines of JSON on standard input and output.
"""

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

# Of the events that Python tells, those that change what lies in a folder.
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree"}


def main(steps: list[str]) -> None:
    """Import the steps; then a child for each line of standard input, until it ends."""
    importlib.import_module("hearsay.step")
    for step in steps:
        importlib.import_module(step)
    for step in steps:  # the child runs it as __main__, from its beginning
        del sys.modules[step]
    # A line of a library while it is imported must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _become(asked)
            return
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _become(asked: dict[str, Any]) -> None:
    """Run the step in this child; raises SystemExit with its status."""
    # Programs that a step starts read nothing of the requests.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from hearsay import step

    if asked.get("events"):
        sys.addaudithook(_Watch(Path(asked["folder"]), Path(asked["events"]), asked.get("kill_at")))
    for drop in asked.get("as_user", []):
        os.setgid(drop)
        os.setuid(drop)
    sys.argv = ["hearsay.step", asked["step"], *asked["arguments"]]
    sys.exit(step.main())


class _Watch:
    """Notes every change in a folder, and kills this process right before one of them.

    Parameters
    ----------
    kill_at : number of the change that is not to happen; None notes only.
    """

    def __init__(self, folder: Path, log: Path, kill_at: int | None) -> None:
        self._folder, self._kill_at, self._count = str(folder), kill_at, 0
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or not self._here(arguments[0]):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1
        os.write(self._log, f"{event}\t{os.fsdecode(arguments[0])}\n".encode())

    def _here(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.fsdecode(path).startswith(self._folder)


if __name__ == "__main__":
    main(sys.argv[1:])
