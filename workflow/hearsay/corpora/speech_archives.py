"""The files of one folder, tar archive or zip archive, as names, sizes and bytes.

Nothing is ever unpacked to disk. Of an archive only regular files are seen, never links or devices;
it is refused if a name leads out of it, if it is not whole, or if it unpacks to absurdly much.
"""

import contextlib
import os
import stat
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from hearsay.corpora.reading import hidden, refused
from hearsay.corpora.speech_containers import (
    LARGEST,
    Container,
    check_size,
    regular,
    safe,
)
from hearsay.corpora.tar_members import forget_members, is_tar, open_tar
from hearsay.errors import InputError

LARGEST_RATIO = 100  # of unpacked to packed bytes; nothing that is heard packs so well
KEPT = 1 << 30  # bytes of texts kept in memory from the first pass over a packed archive
KEPT_EACH = 1 << 27

_TEXTS = (".tsv", ".txt", ".csv", ".json", ".textgrid")


def is_archive(path: Path) -> bool:
    """Does its name say that it is a tar or zip archive?"""
    name = path.name.lower()
    return name.endswith((".tar", ".tgz", ".zip")) or ".tar." in name[-9:]


def open_archive(path: Path, parts: Collection[str] = ()) -> Container:
    """A tar or zip archive, after one pass over it; texts named like `parts` are sure to be kept.

    Raises
    ------
    InputError
        for what is missing, no archive, truncated or damaged, or not safe.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such archive or folder")
    with refused(path):
        if zipfile.is_zipfile(path):
            return Zip(path)
        if is_tar(path):
            return Tar(path, parts)
        with path.open("rb") as stream:
            start = stream.read(4)
    cut = start == b"PK\3\4" or start[:2] == b"\x1f\x8b"
    what = "a truncated archive" if cut else "no zip or tar archive"
    raise InputError(f"{path}: is {what}, or damaged; get it anew")


def check_archive(path: Path) -> None:
    """Read all of an archive, to its checksums; as `open_archive`, which see, for what is wrong."""
    container = open_archive(path)
    if isinstance(container, Zip):  # a tar archive was read to its end
        for _ in container.stream(container.sizes):
            pass


class Folder:
    """A folder on disk. Links in it are followed, once each; hidden files are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        seen: set[tuple[int, int]] = set()
        waiting = [("", path)]
        while waiting:
            prefix, folder = waiting.pop()
            with refused(folder):
                at = folder.stat()
                if (at.st_dev, at.st_ino) in seen:
                    continue
                seen.add((at.st_dev, at.st_ino))
                for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                    self._add(entry, prefix, waiting)
        self.sizes = dict(sorted(self.sizes.items()))

    def _add(self, entry: os.DirEntry, prefix: str, waiting: list[tuple[str, Path]]) -> None:
        if hidden(entry.name):
            return
        try:
            found = entry.stat()
        except FileNotFoundError:  # a link to nothing: no file
            return
        if stat.S_ISDIR(found.st_mode):
            waiting.append((f"{prefix}{entry.name}/", Path(entry.path)))
        elif stat.S_ISREG(found.st_mode):
            self.sizes[f"{prefix}{entry.name}"] = found.st_size

    def read(self, name: str) -> bytes:
        """As `Container.read`."""
        check_size(self.path, name, self.sizes[name])
        with refused(self.path / name):
            return (self.path / name).read_bytes()

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """As `Container.stream`."""
        for name in sorted(names):
            yield name, self.read(name)

    def forget(self) -> None:
        """As `Container.forget`; nothing is kept."""


class Zip:
    """A zip archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        members = [m for m in self._open().infolist() if not m.is_dir() and regular(m)]
        members.sort(key=lambda member: member.header_offset)
        self.sizes: dict[str, int] = {}
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = safe(path, member.filename)
            if not hidden(name):
                self.sizes[name] = member.file_size
                self._members[name] = member  # of several the last, as unpacking would leave it
        if sum(self.sizes.values()) > LARGEST_RATIO * max(path.stat().st_size, 1 << 16):
            raise _too_much(path)

    def _open(self) -> zipfile.ZipFile:
        with refused(self.path):
            return zipfile.ZipFile(self.path)

    def _read(self, archive: zipfile.ZipFile, name: str) -> bytes:
        check_size(self.path, name, self.sizes[name])
        with refused(self.path, name):
            return archive.read(self._members[name])

    def read(self, name: str) -> bytes:
        """As `Container.read`."""
        with self._open() as archive:
            return self._read(archive, name)

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """As `Container.stream`."""
        with self._open() as archive:
            for name in self._members:
                if name in names:
                    yield name, self._read(archive, name)

    def forget(self) -> None:
        """As `Container.forget`; nothing is kept."""


class Tar:
    """A tar archive, packed or not; the first pass over it keeps its texts, within limits."""

    def __init__(self, path: Path, parts: Collection[str] = ()) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        self._number: dict[str, int] = {}  # of the member; of several the last
        self._kept: dict[str, bytes] = {}
        self._places: dict[str, int] = {}  # where its bytes begin, if not packed
        free = KEPT
        with self._opened() as archive:
            packed = type(archive.fileobj).__module__ != "_io"
            limit = LARGEST_RATIO * max(path.stat().st_size, 1 << 16) if packed else None
            for number, member in self._members(archive, limit):
                name = safe(path, member.name)
                if not member.isreg() or member.issparse() or hidden(name):
                    continue
                self.sizes[name] = member.size
                self._number[name] = number
                self._kept.pop(name, None)
                if not packed:
                    self._places[name] = member.offset_data
                elif _worth_keeping(name, member.size, parts) and member.size <= free:
                    free -= member.size
                    self._kept[name] = self._bytes(archive, member)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        with refused(self.path):
            archive = open_tar(self.path)
        with archive:
            yield archive

    def _members(
        self, archive: tarfile.TarFile, limit: int | None = None
    ) -> Iterator[tuple[int, tarfile.TarInfo]]:
        """Number and header of all members; then what is packed is read to its checksum."""
        number = passed = 0
        first: tarfile.TarInfo | None = archive.firstmember  # type: ignore[attr-defined]
        while True:
            with refused(self.path):
                member, first = (first or archive.next()), None
            if member is None:
                break
            forget_members(archive)
            passed = member.offset_data + member.size  # headers too: nothing packs like them
            if limit is not None and passed > limit:
                raise _too_much(self.path)
            yield number, member
            number += 1
        with refused(self.path):
            while block := archive.fileobj.read(1 << 20):
                passed += len(block)
                if limit is not None and passed > limit:
                    raise OSError("its end is too long")

    def _bytes(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        with refused(self.path, member.name):
            stream = archive.extractfile(member)
            assert stream is not None
            data = stream.read()
            if len(data) != member.size:
                raise EOFError("it ends within a file")
            return data

    def read(self, name: str) -> bytes:
        """As `Container.read`."""
        if name in self._kept:
            return self._kept[name]
        check_size(self.path, name, self.sizes[name])
        if name in self._places:
            with refused(self.path, name), self.path.open("rb") as stream:
                stream.seek(self._places[name])
                return stream.read(self.sizes[name])
        (found,) = self.stream([name])
        return found[1]

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """As `Container.stream`."""
        wanted = {self._number[name]: name for name in names}
        if not wanted:
            return
        with self._opened() as archive:
            for number, member in self._members(archive):
                name = wanted.pop(number, None)
                if name is not None:
                    check_size(self.path, name, member.size)
                    yield name, self._bytes(archive, member)
                if not wanted:
                    return

    def forget(self) -> None:
        """As `Container.forget`."""
        self._kept.clear()


def _too_much(path: Path) -> InputError:
    return InputError(
        f"{path}: unpacks to more than {LARGEST_RATIO} times its size, which no corpus of speech "
        "does; nothing was read from it"
    )


def _worth_keeping(name: str, size: int, parts: Collection[str]) -> bool:
    if not name.lower().endswith(_TEXTS) or size > LARGEST:
        return False
    return size <= KEPT_EACH or PurePosixPath(name).stem in parts
