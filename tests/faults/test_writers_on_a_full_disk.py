"""Every library that writes outputs, and every kind of error, in the place where it is told."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hearsay.errors import InputError
from hearsay.files import whole_file, whole_folder
from hearsay.storage import told_of
from hearsay.training.checkpoints import CheckpointFolder

pytestmark = pytest.mark.faults


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
