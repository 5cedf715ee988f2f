"""A disk that is full or cannot be written: one line that names the file, nothing half-written.

The disks are real ones: small file systems in memory, mounted here, filled, made read-only.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import environment
from kills import differences, visible
from miniatures import MINIATURES, Making

from hearsay.provenance import ROOT

pytestmark = pytest.mark.faults

NOBODY = 65534
STEP = "hearsay.spectral.train_digits"


def fill(place: Path, left: int = 0) -> Path:
    """A file that leaves so many KiB of a disk."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream:
        free = shutil.disk_usage(place).free - 1024 * left
        os.posix_fallocate(stream.fileno(), 0, max(free, 1))
    return filler


@pytest.fixture
def digits(tmp_path, forks):
    """The miniature of digits, and the folder of its undisturbed run."""
    miniature = MINIATURES[STEP](Making(tmp_path, lambda *asked: None))
    log = tmp_path / "whole.log"
    assert forks.run(STEP, miniature(tmp_path / "whole"), log) == 0, log.read_text()
    return miniature, tmp_path / "whole"


def one_error(log: str, *parts: str) -> str:
    """The line of the error, which has these parts and comes without a traceback."""
    assert "Traceback" not in log
    (line,) = [line for line in log.splitlines() if line.startswith("error: ")]
    for part in parts:
        assert part in line, line
    return line


def test_a_training_whose_checkpoint_has_no_room(disk, digits, forks, tmp_path):
    """The earlier checkpoint stays; with space again the same command ends with the same bits."""
    miniature, whole = digits
    place, log = disk(600), tmp_path / "log"
    out = place / "out"
    options, events = miniature(out), tmp_path / "events"
    # Killed when it has one checkpoint, then started again on a disk without room for another.
    status = forks.run(
        STEP, options, log, folder=out, events=events, kill_at=("open .*checkpoint.partial", 1)
    )
    assert status == -9
    (good,) = out.glob("training/*/checkpoint.pt")
    before = good.read_bytes()
    filler, log = fill(place), tmp_path / "full.log"
    assert forks.run(STEP, options, log) == 1
    one_error(
        log.read_text(), f"{good}: the disk is full", "(0 bytes of 600.0 KiB are free on",
        str(place), "free some space and run again",
    )  # fmt: skip
    assert good.read_bytes() == before
    assert {path.name for path in good.parent.iterdir()} == {"checkpoint.pt", "lock"}
    assert visible(out) == sorted(
        f"training/{good.parent.name}/{n}" for n in ("checkpoint.pt", "lock")
    )
    filler.unlink()
    log = tmp_path / "freed.log"
    assert forks.run(STEP, options, log) == 0, log.read_text()
    assert f"going on from {good}" in log.read_text()
    assert differences(whole, out) == []


@pytest.mark.parametrize("left", [0, 1, 4, 16])
def test_a_training_that_also_writes_for_tensorboard(disk, forks, tmp_path, left):
    """Whichever of its writers finds the disk full first, at a start and in the middle."""
    step = "hearsay.lm.train_language_model"
    miniature = MINIATURES[step](Making(tmp_path, lambda *asked: None))
    assert forks.run(step, miniature(tmp_path / "whole"), tmp_path / "whole.log") == 0
    place, log = disk(600), tmp_path / "log"
    options, filler = miniature(place / "out"), fill(place, left=left)
    assert forks.run(step, options, log) == 1, log.read_text()
    where = f"error: {place / 'out'}/"
    one_error(log.read_text(), where, "the disk is full", "are free on", "free some space")
    assert set(visible(place / "out")) <= {
        path.relative_to(place / "out").as_posix() for path in place.glob("out/training/**/*")
    }
    filler.unlink()
    assert forks.run(step, options, log) == 0, log.read_text()
    assert differences(tmp_path / "whole", place / "out") == []


@pytest.mark.parametrize("output", ["weights", "history", "scores", "record"])
def test_a_step_whose_output_has_no_room(disk, digits, forks, tmp_path, output):
    """Checkpoints are on another disk; each output in turn is alone on the full one."""
    miniature, whole = digits
    place = disk(64)
    out = tmp_path / "out"
    options = miniature(out)
    target = place / Path(options[output]).name
    filler, log = fill(place), tmp_path / "log"
    assert forks.run(STEP, options | {output: target}, log) == 1
    one_error(log.read_text(), f"{target}: the disk is full", "0 bytes of 64.0 KiB")
    assert [path.name for path in place.iterdir()] == ["filler"]
    assert list(out.glob("training/*/checkpoint.pt"))
    filler.unlink()
    log = tmp_path / "freed.log"
    assert forks.run(STEP, options | {output: target}, log) == 0, log.read_text()
    shutil.copy(target, options[output])
    assert differences(whole, out) == []


def test_a_step_that_writes_a_folder_on_a_full_disk(disk, forks, tmp_path):
    step = "hearsay.demo.train_tiny_model"
    miniature = MINIATURES[step](Making(tmp_path, lambda *asked: None))
    options, place, log = miniature(tmp_path / "out"), disk(64), tmp_path / "log"
    filler = fill(place, left=8)
    target = place / "model"
    assert forks.run(step, options | {"out": target}, log) == 1
    one_error(log.read_text(), f"{target}: the disk is full")
    assert [path.name for path in place.iterdir()] == ["filler"]
    filler.unlink()
    assert forks.run(step, options | {"out": target}, log) == 0, log.read_text()
    assert (target / "model.safetensors").is_file()


def test_a_log_on_the_full_disk_hides_nothing(disk, digits, tmp_path):
    """The whole command with its log there: the line comes on standard output instead."""
    miniature, _ = digits
    place = disk(64)
    fill(place)
    done = subprocess.run(
        ["bash", "-c", 'exec 2> "$0"; shift 0; exec "$@"', place / "log", sys.executable, "-m",
         "hearsay.step", STEP, *map(str, _words(miniature(place / "out")))],
        env=environment(), stdout=subprocess.PIPE, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode != 0
    one_error(done.stdout, "the disk is full", "free some space and run again")
    assert not visible(place / "out") or visible(place / "out")[0].endswith("lock")


def _words(options: dict) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def test_a_read_only_disk(disk, digits, forks, tmp_path):
    miniature, _ = digits
    place, log = disk(600), tmp_path / "log"
    out = place / "out"
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    assert forks.run(STEP, miniature(out), log) == 1
    one_error(log.read_text(), str(out), "the file system is read-only", "--directory")
    assert not out.exists()


def test_a_disk_that_is_read_only_when_a_training_goes_on(disk, digits, forks, tmp_path):
    miniature, whole = digits
    place = disk(600)
    options = miniature(place / "out")
    more = {"folder": place / "out", "events": tmp_path / "events"}
    kill = {**more, "kill_at": ("open .*checkpoint.partial", 3)}
    assert forks.run(STEP, options, tmp_path / "log", **kill) == -9
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    log = tmp_path / "read-only.log"
    assert forks.run(STEP, options, log) == 1
    one_error(log.read_text(), str(place), "the file system is read-only", "run again")
    subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    assert forks.run(STEP, options, log) == 0, log.read_text()
    assert "going on from" in log.read_text()
    assert differences(whole, place / "out") == []


@pytest.fixture
def roots() -> Iterator[Path]:
    """A folder that others may read and not write; pytest's own are closed to them."""
    if os.geteuid():
        pytest.skip("only root may become another user")
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_a_folder_of_another_user(roots, digits, forks, tmp_path):
    miniature, _ = digits
    log = tmp_path / "log"
    assert forks.run(STEP, miniature(roots / "out"), log, user=NOBODY) == 1
    one_error(
        log.read_text(), f"{roots / 'out'}", "permission denied for nobody",
        f"({roots} is drwxr-xr-x of root)", "run again",
    )  # fmt: skip
    assert not any(roots.iterdir())


def test_a_folder_that_is_closed_to_the_user(roots, digits, forks, tmp_path):
    """Not even looked into: the nearest folder that can be is named."""
    miniature, _ = digits
    closed, log = roots / "closed", tmp_path / "log"
    closed.mkdir(mode=0o700)
    assert forks.run(STEP, miniature(closed / "in" / "out"), log, user=NOBODY) == 1
    one_error(log.read_text(), f"({closed} is drwx------ of root)")


def test_every_step_is_run_so_that_this_is_told():
    """Rules start steps through hearsay.step alone, which tells it."""
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if '"python -m hearsay' in line:
                assert "python -m hearsay.step " in line, f"{path}: {line}"
