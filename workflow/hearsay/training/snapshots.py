"""Weights at a few epochs of a training, for those who look at how they change."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.training.checkpoints import CheckpointFolder

FIRST = 0  # the network before its first step


def snapshot_epochs(epochs: int, count: int) -> list[int]:
    """Numbers of finished epochs after which a snapshot is kept; 0 is the untrained network.

    After it come `count` more, the last epoch among them, evenly spaced on a logarithmic scale as
    far as whole numbers allow: weights change most at the beginning.
    """
    if count == 0 or epochs == 0:
        return [FIRST]
    steps = [epochs ** (k / max(count - 1, 1)) for k in range(count)] if count > 1 else [epochs]
    return sorted({FIRST, *(round(step) for step in steps)})


class Snapshots:
    """The snapshots of one training; the callable of `hearsay.training.loop.Training.snapshot`.

    They are gathered beside the checkpoint, so that a training that is killed and goes on loses
    none, and come into their own folder once it is over. Snakemake, which removes declared outputs
    of a job that failed, never touches them before that.

    Parameters
    ----------
    checkpoints : of the training.
    epochs, count : of the training, and how many snapshots; see `snapshot_epochs`.
    save : writes the model as it is now to a path, in the form of its final weights.
    writer : False in all but one process of a data-parallel training.
    """

    def __init__(
        self,
        checkpoints: CheckpointFolder,
        *,
        epochs: int,
        count: int,
        save: Callable[[Path], None],
        writer: bool = True,
    ) -> None:
        self._folder = checkpoints.path.parent / "snapshots"
        self._due = snapshot_epochs(epochs, count)
        self._save, self._writer = save, writer

    def __call__(self, epoch: int) -> None:
        """Keep the model after `epoch` epochs, if one is due; the same again after a kill."""
        if self._writer and epoch in self._due:
            self._save(self._folder / _name(epoch))

    def finish(self, out: Path, epochs: int) -> None:
        """Hand all snapshots of a training that ended after `epochs` epochs to the folder `out`.

        Raises
        ------
        InputError
            where one was removed by somebody meanwhile.
        """
        names = [_name(epoch) for epoch in self._due if epoch <= epochs]
        if gone := [name for name in names if not (self._folder / name).is_file()]:
            raise InputError(
                f"{self._folder / gone[0]}: gone while it was needed; remove "
                f"{self._folder.parent} to train afresh"
            )
        with whole_folder(out) as temporary:
            for name in names:
                _link(self._folder / name, temporary / name)


def _name(epoch: int) -> str:
    return f"epoch-{epoch:04}.safetensors"


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where a file system knows no such links."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
