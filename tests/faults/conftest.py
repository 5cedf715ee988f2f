"""Shared by the tests of faults: the fork server, small disks, the table of kills at the end."""

import csv
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forks import Forks
from kills import KILLS, Tally
from miniatures import MINIATURES

TALLIES = pytest.StashKey[list[Tally]]()
PHASES = ["start-up", "training", "checkpoint write", "final outputs"]


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Forked processes that have imported all training steps."""
    server = Forks(list(MINIATURES), tmp_path_factory.mktemp("server") / "log")
    yield server
    server.close()


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[..., Path]]:
    """Mount a file system of so many KiB; unmounted at the end."""
    mounted = []

    def make(size: int, *options: str) -> Path:
        place = tmp_path / f"disk {len(mounted)}"
        place.mkdir()
        wanted = ",".join([f"size={size}k", *options])
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", wanted, "tmpfs", place], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    if os.geteuid():
        pytest.skip("only root may mount a file system")
    yield make
    for place in mounted:
        # Lazily: the errors that a test caught may still hold files of it.
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture(scope="session")
def tallies(pytestconfig: pytest.Config) -> list[Tally]:
    """Kills of every step, told at the end."""
    return pytestconfig.stash.setdefault(TALLIES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the kills of every step; also as CSV in the file that HEARSAY_KILLS_CSV names."""
    tallies = terminalreporter.config.stash.get(TALLIES, [])
    if not tallies:
        return
    rows = [_row(tally) for tally in tallies]
    terminalreporter.section("kills")
    for row in rows:
        told = ", ".join(f"{row[phase]} {phase}" for phase in PHASES)
        terminalreporter.line(
            f"{row['step']}: {row['kills']} kills ({told}), {row['resumed']} resumed, "
            f"{row['finished']} finished, {row['differences']} differences, {row['seconds']} s"
        )
    total, wrong = (sum(row[name] for row in rows) for name in ("kills", "differences"))
    terminalreporter.line(f"{len(rows)} steps: {total} kills, {wrong} differences")
    if named := os.environ.get("HEARSAY_KILLS_CSV"):
        with Path(named).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _row(tally: Tally) -> dict:
    return {
        "step": tally.step,
        "kills": tally.total,
        **{how: tally.kills[how] for how in dict.fromkeys(KILLS)},
        **{phase: tally.found[phase] for phase in PHASES},
        "resumed": tally.resumed,
        "finished": tally.finished,
        "differences": tally.differences,
        "seconds": round(tally.seconds, 1),
    }
