"""What TensorBoard shows of a training: one point an epoch, by name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hearsay.storage import told_if_unwritable

Write = Callable[[int, Mapping[str, float]], None]


@contextmanager
def scalars(folder: Path | str | None, epoch: int) -> Iterator[Write]:
    """Give ``write(epoch, row)``, which puts the row's numbers on disk at once.

    Parameters
    ----------
    folder : of TensorBoard's files; None: nothing is written.
    epoch : that comes next, from 1; after a kill it is trained again and replaces the old one.

    Raises
    ------
    InputError
        if the folder cannot be written.
    """
    if folder is None:
        yield lambda epoch, row: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with told_if_unwritable(folder):
        writer = SummaryWriter(str(folder), purge_step=epoch)

    def write(epoch: int, row: Mapping[str, float]) -> None:
        with told_if_unwritable(folder):
            for name, value in row.items():
                writer.add_scalar(name, value, epoch)
            writer.flush()

    try:
        yield write
    finally:
        # Ends its thread with the training; all it was given is on disk, or was told of.
        with suppress(OSError):
            writer.close()
