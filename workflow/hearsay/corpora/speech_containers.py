"""What all folders and archives of speech have in common: their face, and what is not safe."""

import stat
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from hearsay.errors import InputError

LARGEST = 1 << 30  # bytes of one file; an hour of two channels at 48 kHz is 0.7 GB


class Container(Protocol):
    """What holds files by name."""

    sizes: dict[str, int]  # bytes by name; '/' parts the folders of a name

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        ...

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The files named, in one pass and in the order in which they lie there."""
        ...

    def forget(self) -> None:
        """Free what was kept in memory to read again."""
        ...


def safe(archive: Path, name: str) -> str:
    """The name without ``./``; one that leads out of the archive is refused."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or "/" in parts or not parts:
        raise InputError(
            f"{archive}: its member {name!r} leads out of the archive; nothing was read from it"
        )
    return "/".join(parts)


def regular(member: zipfile.ZipInfo) -> bool:
    """Is a member of a zip archive a file, and no link or device?"""
    mode = stat.S_IFMT(member.external_attr >> 16)
    return mode in (0, stat.S_IFREG)


def check_size(container: Path, name: str, size: int) -> None:
    """Refuse a file that is too large to be read into memory."""
    if size > LARGEST:
        raise InputError(
            f"{container} ({name}): is {size} bytes, more than is read at once ({LARGEST}); "
            "split it"
        )
