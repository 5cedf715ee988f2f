"""What is said when a disk is full, a quota used up, or a place cannot be written.

Nothing here changes a number, so this module is left out of every code digest.
"""

import contextlib
import errno
import os
import pwd
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from hearsay.errors import InputError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
}
_REFUSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
}
_KEPT = "what is finished is kept, and a training goes on from its last checkpoint"


@contextlib.contextmanager
def told_if_unwritable(path: Path | str) -> Iterator[None]:
    """Turn an error of the disk, while `path` is written, into one line that names the file.

    Raises
    ------
    InputError
        where the disk is full, the quota used up, or the place read-only or forbidden; any other
        error is raised as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        told = told_of(error, path)
        if told is None:
            raise
        raise InputError(told) from error


@contextlib.contextmanager
def told_if_unreadable() -> Iterator[None]:
    """Turn a system's error about a file that is read into one line that names the file.

    Raises
    ------
    InputError
        in place of an `OSError` that names a file.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        named = os.fsdecode(error.filename)
        raise InputError(f"{named}: cannot be read: {error.strerror}") from None


def told_of(error: BaseException, path: Path | str | None = None) -> str | None:
    """One line about an error of the disk: which file, how much is free, what to do.

    Parameters
    ----------
    path : what was being written, for errors that do not name their file.

    Returns
    -------
    None for every other error.
    """
    named = error.filename if isinstance(error, OSError) else None
    named = os.fsdecode(named) if isinstance(named, str | bytes) else None
    if isinstance(error, OSError) and error.errno in _REFUSED and named is not None:
        return _told_of_refusal(error.errno, named)
    number = _full(error)
    if number is None and path is not None and _no_room(Path(path)):
        number = errno.ENOSPC  # of a library that says less than the system told it
    if number is None:
        return None
    at = path or named
    place = Path(at) if at else None
    where, free = (f"{place}: ", _free(place)) if place else ("", "")
    return f"{where}{_FULL[number]}{free}; free some space and run again: {_KEPT}"


def _full(error: BaseException) -> int | None:
    """The number of a full disk's or quota's error among `error` and those that led to it.

    Libraries hide it: torch raises an error of its own while it handles the system's, and
    safetensors gives its number in the text.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        if isinstance(each, OSError) and each.errno in _FULL:
            return each.errno
        found = re.search(r"\(os error (\d+)\)", str(each))
        if found and int(found[1]) in _FULL:
            return int(found[1])
        each = each.__cause__ or each.__context__
    return None


def existing_of(path: Path) -> Path:
    """The path or the nearest folder above it that is there and can be seen."""
    path = path.absolute()
    # Path.exists raises where a folder above may not be looked into.
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110
        path = path.parent
    return path


def _no_room(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(existing_of(path)).free == 0
    return False


def _free(path: Path) -> str:
    with contextlib.suppress(OSError):
        there = existing_of(path)
        usage = shutil.disk_usage(there)
        while not there.is_mount() and there != there.parent:
            there = there.parent
        return f" ({_size(usage.free)} of {_size(usage.total)} are free on {there})"
    return ""


def _told_of_refusal(number: int, named: str) -> str:
    place = existing_of(Path(named))
    where = "--directory, or pathvars in the configuration"
    if number == errno.EROFS:
        return (
            f"{named}: {_REFUSED[number]}; have it made writable, or name another place ({where}), "
            f"and run again: {_KEPT}"
        )
    owner = ""
    with contextlib.suppress(OSError, KeyError):
        owner = f" ({place} is {stat.filemode(place.stat().st_mode)} of {place.owner()})"
    return (
        f"{named}: {_REFUSED[number]} for {_user()}{owner}; have it allowed, or name another place "
        f"({where}), and run again: {_KEPT}"
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # no name for the number, as in some containers
        return f"user {os.geteuid()}"


def _size(count: int) -> str:
    """Bytes as text, such as 1.5 GiB."""
    number = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
