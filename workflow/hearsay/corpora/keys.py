"""Keys of git-annex: the bytes and the checksum that a file's content must have."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hearsay.corpora.annex import check_present
from hearsay.errors import InputError

_KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?:-s(?P<size>\d+))?(?:-[mSC]\d+)*--(?P<name>.+)")


@dataclass(frozen=True)
class Entry:
    """A file of a repository: its path in it, git-annex's key, and its bytes.

    A file that lies in git itself has the key ``GIT-s{bytes}--{its blob}``.
    """

    path: str
    key: str
    bytes: int

    @property
    def annexed(self) -> bool:
        """Does git-annex hold its content, and git only the key?"""
        return not self.key.startswith("GIT-")


def is_present(clone: Path, entry: Entry) -> bool:
    """Is the file's content in the clone, whatever its state?"""
    path = clone / entry.path
    if entry.bytes == 0:
        return path.is_file()
    try:
        check_present(path)
    except InputError:
        return False
    return True


def size_of(key: str) -> int:
    """Bytes that a key of git-annex states; 0 for keys that state none."""
    parts = _KEY.fullmatch(key)
    return int((parts and parts["size"]) or 0)


def checksum_of(key: str) -> tuple[str, str] | None:
    """Name of the hash and digest in a key of git-annex; None for keys that hold none."""
    parts = _KEY.fullmatch(key)
    if parts is None:
        return None
    if parts["backend"] == "GIT":
        return "git", parts["name"]
    name = parts["backend"].removesuffix("E").lower()
    if name not in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
        return None
    return name, parts["name"].partition(".")[0]


def check_content(file: Path, key: str, seen: Callable[[int], object] = lambda _: None) -> None:
    """Check a file's size and checksum against git-annex's key; `seen` hears of bytes read.

    Raises
    ------
    InputError
        naming the file, with what was found and what the key says.
    """
    size = file.stat().st_size
    parts, expected = _KEY.fullmatch(key), checksum_of(key)
    if parts and parts["size"] and size != int(parts["size"]):
        raise InputError(f"{file}: {size} bytes, but its key {key} says {parts['size']}")
    if expected is None:
        return
    name, digest = expected
    if name == "git":
        found = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    else:
        found = hashlib.new(name, usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            found.update(block)
            seen(len(block))
    if found.hexdigest() != digest:
        what = "SHA-1 of git" if name == "git" else name.upper()
        raise InputError(f"{file}: its {what} is {found.hexdigest()}, but its key is {key}")
