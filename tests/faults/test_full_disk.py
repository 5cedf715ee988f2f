"""A disk that is full or cannot be written: one line that names the file, nothing half-written.

The disks are real ones: small file systems in memory, mounted here, filled, made read-only.
"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import environment
from kills import differences, visible
from miniatures import MINIATURES, Making

from hearsay.errors import InputError
from hearsay.files import whole_file, whole_folder
from hearsay.provenance import ROOT
from hearsay.storage import told_of
from hearsay.training.checkpoints import CheckpointFolder

pytestmark = pytest.mark.faults

NOBODY = 65534
STEP = "hearsay.spectral.train_digits"


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
        path.relative_to(place / "out").as_posix() for path in place.glob("out/training/*/*")
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
        env=environment(), stdout=subprocess.PIPE, text=True, timeout=120,
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


# --- in this process: every kind of writer, every kind of error -----------------------------------


def _torch(path: Path) -> None:
    torch.save(torch.zeros(100_000), path)


def _safetensors(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(100_000)}, path)


def _csv(path: Path) -> None:
    import pandas as pd

    pd.DataFrame(np.zeros((50_000, 4))).to_csv(path)


def _hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["a"] = np.zeros(100_000)


def _sound(path: Path) -> None:
    import soundfile

    soundfile.write(path, np.zeros(300_000), 16_000)


def _figure(path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 10))
    figure.subplots().imshow(np.random.default_rng(0).random((500, 500)))
    figure.savefig(path, dpi=200)


WRITERS = {
    "w.pt": _torch,
    "w.safetensors": _safetensors,
    "t.csv": _csv,
    "w.h5": _hdf5,
    "a.npz": lambda path: np.savez(path, a=np.zeros(100_000)),
    "s.wav": _sound,
    "f.png": _figure,
    "t.txt": lambda path: path.write_text("x" * 500_000),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_library_that_writes_outputs(disk, name):
    place = disk(200)
    path = place / name
    path.write_text("the earlier one")
    with pytest.raises(InputError, match="the disk is full") as told, whole_file(path) as temporary:
        WRITERS[name](temporary)
    assert str(told.value).startswith(f"{path}: the disk is full (")
    assert path.read_text() == "the earlier one"
    assert [each.name for each in place.iterdir()] == [name]


def test_a_folder_in_one_piece(disk):
    place = disk(200)
    path = place / "folder"
    path.mkdir()
    (path / "earlier").touch()
    with pytest.raises(InputError, match=r"folder: the disk is full"), whole_folder(path) as made:
        (made / "a").write_bytes(bytes(100_000))
        (made / "b").write_bytes(bytes(500_000))
    assert [each.name for each in place.iterdir()] == ["folder"]
    assert [each.name for each in path.iterdir()] == ["earlier"]


def test_a_checkpoint_that_does_not_fit_leaves_both_earlier_ones(disk):
    place = disk(400)
    folder = CheckpointFolder(place, {"step": "test"})
    for number in (1, 2):
        folder.save({"number": number})
    with pytest.raises(InputError, match=r"checkpoint\.pt: the disk is full"):
        folder.save({"weights": torch.zeros(200_000)})
    assert {path.name for path in folder.path.parent.iterdir()} == {
        "lock",
        "checkpoint.pt",
        "checkpoint.previous.pt",
    }
    assert folder.load() == {"number": 2}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disks_and_quotas_are_told_alike(number, tmp_path):
    """No quota can be set on a file system in memory: the error itself is what is given."""
    error = OSError(number, os.strerror(number))
    told = told_of(error, tmp_path / "out.csv")
    assert told.startswith(f"{tmp_path / 'out.csv'}: the disk ")
    assert ("the disk quota is used up" in told) == (number == errno.EDQUOT)
    assert "are free on" in told
    wrapped = RuntimeError("unexpected pos 704 vs 598")
    wrapped.__context__ = error
    assert told_of(wrapped, tmp_path / "out.csv") == told


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        FileNotFoundError(errno.ENOENT, "no such file", "a"),
        PermissionError(errno.EPERM, "operation not permitted"),  # of a process, not of a file
        InputError("a message of ours"),
        RuntimeError("(os error 2)"),
    ],
)
def test_other_errors_are_left_alone(error, tmp_path):
    assert told_of(error, tmp_path / "out.csv") is None
    with pytest.raises(type(error)) as raised, whole_file(tmp_path / "out.csv"):
        raise error
    assert raised.value is error


def test_every_step_is_run_so_that_this_is_told():
    """Rules start steps through hearsay.step alone, which tells it."""
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "python -m hearsay" in line:
                assert "python -m hearsay.step " in line, f"{path}: {line}"
