"""What readers of folders and archives share: what is passed over, and what is told of faults."""

import contextlib
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import PurePosixPath

from hearsay.errors import InputError, reason_of

# The last ones are what zipfile and tarfile raise for numbers and names that make no sense; LZMA
# streams say how much memory they want.
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, OSError),
    *(ValueError, LookupError, OverflowError, struct.error, MemoryError),
)


def hidden(name: str) -> bool:
    """Is a file, or a folder it lies in, a hidden one?"""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


@contextlib.contextmanager
def refused(path: object, name: str = "") -> Iterator[None]:
    """What goes wrong in reading is the file's fault, not the program's.

    Parameters
    ----------
    path : what is read, as messages name it.
    name : of a member of it.

    Raises
    ------
    InputError
        for what cannot be read, is damaged, or cannot be unpacked.
    """
    what = f"{path} ({name})" if name else f"{path}"
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{what}: cannot be read: {error.strerror}") from None
        reason = reason_of(error).rstrip(":")
        raise InputError(f"{what}: is truncated or damaged ({reason}); get it anew") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted; an unknown compression
        raise InputError(f"{what}: cannot be unpacked: {error}") from None
