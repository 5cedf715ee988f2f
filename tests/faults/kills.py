"""Kill a training again and again, start it again each time, and compare what it leaves."""

import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from forks import Child, Forks, whole_process
from miniatures import Miniature

# Facts of a run record that differ between equal runs.
# And the commit, which says -dirty of a checkout that somebody edits meanwhile.
TIMES = {"wall_seconds", "finished", "training_seconds", "tokens_per_second", "commit"}
# Changes of a folder, as fork_server.py notes them, at or after which a run is killed.
PATTERNS = {
    "checkpoint event": r"checkpoint\.(pt|partial|previous)",
    "within a write": r"^open .*\.partial",
    # Hidden names beside the outputs, before they are renamed to them.
    "output event": r"^(open|os\.\w+) \.[^/]*(/|$)",
    "removal event": r"^(shutil\.rmtree|os\.rmdir|os\.remove) [^.]*\.?training",
}
LONGEST_WRITE = 0.004  # seconds from the opening of a file to the kill, at most
# How each step is killed. What is in one line goes on in one folder, in an order drawn by chance;
# then a run comes to its end there, and the next line begins in an empty one.
LONG_PLAN = [
    ["whole process", "any moment", "checkpoint event", "within a write"],
    ["any moment", "checkpoint event", "output event"],
    ["any moment", "checkpoint event", "within a write", "output event"],
    ["removal event"],
]
PLAN = [
    ["whole process", "any moment", "checkpoint event"],
    ["within a write", "output event"],
    ["removal event"],
]
if os.environ.get("HEARSAY_KILLS") == "all":
    PLAN = LONG_PLAN
KILLS = [how for line in PLAN for how in line]
ATTEMPTS = 20


@dataclass
class Tally:
    """What was done to one step."""

    step: str
    kills: Counter = field(default_factory=Counter)
    found: Counter = field(default_factory=Counter)
    finished: int = 0
    resumed: int = 0
    differences: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return self.kills.total()


def visible(folder: Path) -> list[str]:
    """Files that could be taken for outputs, relative to the folder: all but hidden ones.

    TensorBoard's event files are named by time and process, and are no declared outputs.
    """
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and not name.parts[0].endswith(".tensorboard"):
            found.append(name.as_posix())
    return sorted(found)


def differences(whole: Path, other: Path) -> list[str]:
    """Names of visible files that only one folder has, or that differ in more than their times."""
    names = {folder: set(visible(folder)) for folder in (whole, other)}
    found = sorted(names[whole] ^ names[other])
    for name in sorted(names[whole] & names[other]):
        first, second = whole / name, other / name
        if name.endswith(".run.json"):
            records = [json.loads(path.read_text(encoding="utf-8")) for path in (first, second)]
            facts = [{k: v for k, v in each.items() if k not in TIMES} for each in records]
            changed = [k for k in facts[0] | facts[1] if facts[0].get(k) != facts[1].get(k)]
            if changed:
                found.append(f"{name} ({', '.join(changed)})")
        elif first.read_bytes() != second.read_bytes():
            found.append(name)
    return found


class Killer:
    """Runs one step's miniature in a folder and kills it in the ways of `PLAN`.

    Parameters
    ----------
    whole : folder of the undisturbed run, which was made by the whole command; `seconds` it took.
    """

    def __init__(
        self,
        step: str,
        miniature: Miniature,
        forks: Forks,
        folder: Path,
        whole: Path,
        seconds: float,
    ) -> None:
        self.tally, self._forks, self._whole = Tally(step), forks, whole
        self._step, self._out = step, folder / "out"
        self._options = miniature(self._out)
        self._log, self._events = folder / "log", folder / "events"
        self._whole_seconds, self._draw = seconds, random.Random(f"kills of {step}")
        started = time.monotonic()
        self._run_to_the_end()
        self._seconds = time.monotonic() - started
        self._changes = self._events.read_text().splitlines()
        self._clear()

    def kill_all(self) -> Tally:
        """All kills of the plan."""
        started = time.monotonic()
        for line in PLAN:
            for how in self._draw.sample(line, len(line)):
                self._kill(how)
            self._run_to_the_end()
            self._clear()
        self.tally.seconds = time.monotonic() - started
        return self.tally

    def _kill(self, how: str) -> None:
        for _ in range(ATTEMPTS):
            before, there = self._log_size(), self._files()
            status = self._attempt(how)
            self.tally.resumed += "going on from" in self._said(before)
            if status == -signal.SIGKILL:
                self.tally.kills[how] += 1
                self.tally.found[self._phase(how, there)] += 1
                return
            assert status == 0, self._said(before)
            self._compare()  # it was faster than the kill
            self._clear()
        raise AssertionError(f"{self._step}: no kill {how} in {ATTEMPTS} attempts")

    def _attempt(self, how: str) -> int:
        """One run, killed in this way unless it ends before; its status."""
        if how == "whole process":
            process = whole_process(self._step, self._options, self._log)
            time.sleep(self._draw.uniform(0, self._whole_seconds))
            process.kill()
            return process.wait()
        if how == "any moment":
            child = self._start()
            if not self._forks.ended(self._draw.uniform(0, 0.8 * self._seconds)):
                child.kill()
            return self._forks.wait(child)
        noted = [line for line in self._changes if re.search(PATTERNS[how], line)]
        # Of the first half, since a run that goes on has fewer to come than a whole one.
        kill_at = (PATTERNS[how], self._draw.randrange(-(-len(noted) // 2)))
        delay = self._draw.uniform(0, LONGEST_WRITE) if how == "within a write" else None
        return self._forks.wait(self._start(kill_at, delay))

    def _start(self, kill_at: tuple[str, int] | None = None, delay: float | None = None) -> Child:
        return self._forks.start(
            self._step,
            self._options,
            self._log,
            folder=self._out,
            events=self._events,
            kill_at=kill_at,
            delay=delay,
        )

    def _run_to_the_end(self) -> None:
        before = self._log_size()
        status = self._forks.wait(self._start())
        assert status == 0, self._said(before)
        self.tally.resumed += "going on from" in self._said(before)
        self._compare()

    def _compare(self) -> None:
        self.tally.finished += 1
        found = differences(self._whole, self._out)
        self.tally.differences += len(found)
        assert not found, f"{self._step}: {', '.join(found)} differ from the undisturbed run's"

    def _files(self) -> set[tuple[str, int]]:
        """Files beside the outputs and their times."""
        paths = [path for path in self._out.rglob("*") if path.is_file()]
        return {(p.relative_to(self._out).as_posix(), p.stat().st_mtime_ns) for p in paths}

    def _phase(self, how: str, before: set[tuple[str, int]]) -> str:
        """Where the kill met the run: as planned, or by what the run had written until then."""
        if how == "checkpoint event":
            return "checkpoint write"
        if how in ("output event", "removal event"):
            return "final outputs"
        names = {name for name, _ in self._files() - before}
        checkpoints = {name.rpartition("/")[2] for name in names if "/checkpoint." in name}
        if any("/" not in name for name in names):
            return "final outputs"
        if "checkpoint.partial" in checkpoints:
            return "checkpoint write"
        return "training" if checkpoints else "start-up"

    def _clear(self) -> None:
        shutil.rmtree(self._out)

    def _log_size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _said(self, start: int) -> str:
        with self._log.open("rb") as stream:
            stream.seek(start)
            return stream.read().decode(errors="replace")
