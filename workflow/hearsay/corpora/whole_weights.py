"""Whether a file of weights is one, and all of it, as far as that shows without a checksum."""

import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from hearsay.corpora.reading import refused
from hearsay.corpora.tar_members import members_of, open_tar
from hearsay.errors import InputError

MOST_FILES = 10_000
# Weights hardly compress: an archive that unpacks to more than this many times its size is a trap.
EXPANSION = 20

_PAGE = (b"<!doctype", b"<html", b"<?xml")
_LARGEST_HEADER = 100_000_000  # of safetensors, by its own rules


def weights_members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Members of an archive of weights at `path`, as `members_of`, within the limits of weights."""
    return members_of(archive, MOST_FILES, max(EXPANSION * path.stat().st_size, 1 << 20))


def check_weights(path: Path) -> None:
    """Refuse a page of the web, half a safetensors file, and half an archive.

    Old pickles have no length in them; of these nothing is known.

    Raises
    ------
    InputError
        with the reason after the path.
    """
    with path.open("rb") as stream:
        start = stream.read(16)
        if start.lstrip().lower().startswith(_PAGE):
            raise InputError(f"{path}: is a page of the web, not weights")
        if start[8:9] == b"{":
            _check_safetensors(path, int.from_bytes(start[:8], "little"))
    if start[:4] == b"PK\3\4":
        with refused(path), zipfile.ZipFile(path):  # its directory stands at its end
            pass
    elif path.name.removesuffix(".partial").endswith((".nemo", ".tar", ".tar.gz", ".tgz")):
        _check_tar(path)


def _check_safetensors(path: Path, length: int) -> None:
    size = path.stat().st_size
    end = 0
    if length <= min(_LARGEST_HEADER, size - 8):
        with path.open("rb") as stream:
            stream.seek(8)
            text = stream.read(length)
        try:
            tensors = {k: v for k, v in json.loads(text).items() if k != "__metadata__"}
            end = 8 + length + max((t["data_offsets"][1] for t in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise InputError(f"{path}: is a damaged safetensors file") from None
    if end != size:
        raise InputError(f"{path}: is a truncated or damaged safetensors file")


def _check_tar(path: Path) -> None:
    with refused(path), open_tar(path) as archive:
        for _ in weights_members(archive, path):
            pass
