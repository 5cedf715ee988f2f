"""Two at once in one place: the second ends and says why, the first goes on and finishes."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from forks import LONGEST, whole_process
from kills import differences
from miniatures import MINIATURES, Making
from small_target import SUMMARY, arguments

pytestmark = pytest.mark.faults


def wait_for(condition, running, seconds=LONGEST):
    deadline = time.monotonic() + seconds
    while not condition():
        assert running(), "it ended before it could be disturbed"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@contextmanager
def held(process: int) -> Iterator[None]:
    """A process that goes no further for a while, however long what happens meanwhile takes."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def training_in(folder: Path) -> int:
    """The process of the rule's training that runs in a folder."""
    command = b"hearsay.step\0hearsay.spectral.train_digits\0"
    (found,) = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _runs(process, command, folder.resolve())
    ]
    return found


def _runs(process: Path, command: bytes, folder: Path) -> bool:
    try:
        return command in (process / "cmdline").read_bytes() and (
            (process / "cwd").readlink() == folder
        )
    except OSError:  # it has ended
        return False


def test_two_snakemakes_in_one_folder(origin, tmp_path, snakemake):
    command = arguments(tmp_path / "elsewhere", epochs=60)
    folder = tmp_path / "elsewhere"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(snakemake, origin, *command)
        wait_for(
            lambda: list(folder.glob("results/demo/models/digits-2.training/*/checkpoint.pt")),
            lambda: not first.done(),
        )
        with held(training_in(folder)):
            second = snakemake(origin, *command)
            assert not first.done()
        assert second.status != 0
        assert "Directory cannot be locked" in second.text
        assert str(folder) in second.text
        assert "--unlock" in second.text
        done = first.result()
    assert done.status == 0, done.text
    assert set(pd.read_csv(folder / SUMMARY)["model"]) == {"digits-2"}
    log = folder / "logs/demo/models/digits-2/train_digits.log"
    assert "going on from" not in log.read_text(encoding="utf-8")
    assert snakemake(origin, *command, "--dry-run").nothing_to_do


def test_two_trainings_in_one_folder_of_checkpoints(forks, tmp_path):
    step = "hearsay.spectral.train_digits"
    digits = MINIATURES[step](Making(tmp_path, lambda *asked: None))

    def options(out):
        settings = json.loads(digits(out)["settings"]) | {"epochs": 100}
        return digits(out) | {"settings": json.dumps(settings)}

    log = tmp_path / "whole.log"
    assert forks.run(step, options(tmp_path / "whole"), log) == 0, log.read_text()
    out, log = tmp_path / "out", tmp_path / "second.log"
    first = whole_process(step, options(out), tmp_path / "first.log")
    wait_for(lambda: list(out.glob("training/*/checkpoint.pt")), lambda: first.poll() is None)
    with held(first.pid):
        assert forks.run(step, options(out), log) == 1
        assert first.poll() is None
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert "another process is training here; wait for it or stop it" in line
    assert str(out / "training") in line
    assert first.wait(LONGEST) == 0, (tmp_path / "first.log").read_text()
    assert differences(tmp_path / "whole", out) == []
