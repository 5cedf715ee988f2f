"""Tar archives from outside: no header of theirs can fill the memory or lead in circles.

Python's reader takes sizes as they are stated: it would read an extended header of any length into
memory (a few kB packed may unpack to GB), and go backwards at a negative size.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LARGEST_HEADER = 1 << 20  # bytes of one member's extended header, which holds a long name
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class Member(tarfile.TarInfo):
    """Header of a member; a broken or hostile one is an error, and ends nothing in silence."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Member":
        """As the method of Python's class, which calls it for every block that is a header."""
        try:
            found = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error}, where a file or the end should begin") from None
        if found.size < 0 or (found.type in _EXTENDED and found.size > LARGEST_HEADER):
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found

    def _apply_pax_info(self, pax_headers: dict, encoding: str, errors: str) -> None:
        super()._apply_pax_info(pax_headers, encoding, errors)  # type: ignore[misc]
        if self.size < 0:
            raise tarfile.ReadError(f"a file of {self.size} bytes")


def open_tar(source: Path | BinaryIO) -> tarfile.TarFile:
    """A tar archive, packed or not, for reading; raises what `tarfile.open` does."""
    if isinstance(source, Path):
        return tarfile.open(source, tarinfo=Member)
    return tarfile.open(fileobj=source, tarinfo=Member)


def forget_members(archive: tarfile.TarFile) -> None:
    """Let go of the headers of members that were passed; Python's reader would keep all of them."""
    archive.members = []  # type: ignore[attr-defined]  # not in typeshed


def members_of(
    archive: tarfile.TarFile, most: int | None = None, largest: int | None = None
) -> Iterator[tarfile.TarInfo]:
    """Members one by one; none is kept, and so many there may be.

    Parameters
    ----------
    most : members.
    largest : bytes unpacked up to the end of a member, headers included: nothing packs like them.

    Raises
    ------
    tarfile.ReadError
        for more of them.
    """
    number = 0
    while (member := archive.next()) is not None:
        forget_members(archive)
        number += 1
        end = member.offset_data + member.size
        if (most is not None and number > most) or (largest is not None and end > largest):
            raise tarfile.ReadError(f"{number} files and {end} bytes unpacked are too much")
        yield member


def is_tar(path: Path) -> bool:
    """Does a file begin like a tar archive?"""
    try:
        with open_tar(path):
            return True
    except tarfile.TarError:
        return False
