"""Files whose times lie in the future, as a wrong clock left them, are set to the present.

Snakemake fails a job whose outputs are older than its inputs, and no output of now is newer than an
input of tomorrow.
"""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

MICROSECOND = 1000  # in ns: what file systems at least tell apart


def mend_future_times(folders: Iterable[Path | str]) -> list[Path]:
    """Set times in the future to now, in the order that they had; other times stay.

    Parameters
    ----------
    folders : with all that is in them, but for the insides of git; those that are not there are
        passed over.

    Returns
    -------
    The files that were set, the oldest first. A file of another user, or on a disk that is
    read-only, is none of them.
    """
    now = time.time_ns()
    found = []
    for folder in folders:
        for root, below, names in os.walk(folder):
            below[:] = [name for name in below if name != ".git"]
            for path in (Path(root, name) for name in names):
                with contextlib.suppress(OSError):  # gone meanwhile
                    when = path.lstat().st_mtime_ns
                    if when > now and not path.is_symlink():
                        found.append((when, path))
    mended = []
    for number, (_, path) in enumerate(sorted(found)):
        present = now - (len(found) - number) * MICROSECOND
        with contextlib.suppress(OSError):
            os.utime(path, ns=(present, present))
            mended.append(path)
    return mended
