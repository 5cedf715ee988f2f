"""The plain texts of a corpus, in a folder, a zip or a tar archive, and their lines.

Nothing of an archive is ever unpacked to disk: of its members only those that are asked for are
read, as streams, and no more than their stated size.
"""

import contextlib
import hashlib
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from hearsay.corpora.reading import hidden, refused
from hearsay.corpora.speech_archives import Folder
from hearsay.corpora.speech_containers import regular
from hearsay.corpora.tar_members import forget_members, is_tar, open_tar
from hearsay.corpora.text_corpus import SPLITS
from hearsay.errors import InputError

LARGEST = 1 << 30  # bytes of one text in an archive
LARGEST_IN_ALL = 4 * LARGEST  # bytes that an archive may unpack to
MOST_FILES = 100_000

_NAMED = {"train": ("train",), "valid": ("valid", "dev"), "test": ("test",)}
Stream = IO[bytes]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Text:
    """One text file: a file on disk, or a regular member of an archive.

    Attributes
    ----------
    path : the file, or the archive.
    name : its path in the archive or folder.
    bytes : its (unpacked) size, as stated.
    """

    path: Path
    name: str
    bytes: int
    in_archive: bool

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.in_archive else str(self.path)

    @contextlib.contextmanager
    def open(self) -> Iterator[Stream]:
        """Its bytes as a stream; a damaged archive or too large a member is an `InputError`."""
        if self.in_archive and self.bytes > LARGEST:
            raise InputError(
                f"{self}: is {self.bytes} bytes unpacked, more than is read from an archive "
                f"({LARGEST}); if it is meant, unpack it yourself and name the folder as path"
            )
        with contextlib.ExitStack() as stack, refused(self):
            if not self.in_archive:
                stream: Stream | None = stack.enter_context(self.path.open("rb"))
            elif zipfile.is_zipfile(self.path):
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                stream = stack.enter_context(archive.open(self.name))
            else:
                tar = stack.enter_context(open_tar(self.path))
                # The last file of the name; a link of the same name is nothing to follow.
                named = [m for m in tar if m.isreg() and m.name == self.name]
                stream = tar.extractfile(named[-1])
            assert stream is not None
            yield stream

    def sha256(self) -> str:
        """Checksum of its bytes."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]

    def lines(self) -> Iterator[tuple[int, str]]:
        r"""Number (from 1) and text of its lines, ends with ``\n`` or ``\r\n`` included.

        Raises
        ------
        InputError
            for bytes that are not UTF-8 and for NUL, with line and byte.
        """
        with self.open() as stream:
            for number, raw in enumerate(stream, start=1):
                if number == 1:
                    raw = raw.removeprefix(_BYTE_ORDER_MARK)
                try:
                    line = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{self}, line {number}, byte {error.start + 1}: "
                        f"0x{raw[error.start]:02x} is not UTF-8; convert the file"
                    ) from None
                if "\0" in line:
                    raise InputError(
                        f"{self}, line {number}: holds a NUL byte: it is no text, or text in "
                        "UTF-16; convert it to UTF-8"
                    )
                yield number, line


@dataclass(frozen=True)
class Passage:
    """Lines `start` to `stop` (the end if None) of one or several texts read one after another."""

    texts: tuple[Text, ...]
    start: int = 0
    stop: int | None = None

    @property
    def part(self) -> bool:
        """Is it anything else than one whole text?"""
        return len(self.texts) != 1 or self.start != 0 or self.stop is not None

    def __str__(self) -> str:
        if not self.part:
            return str(self.texts[0])
        others = f" and {len(self.texts) - 1} more" if len(self.texts) > 1 else ""
        return f"{self.texts[0]}{others}, lines {self.start + 1} to {self.stop}"

    def lines(self) -> Iterator[tuple[Text, int, str]]:
        """Text, line number in that text, and line."""
        count = 0
        for text in self.texts:
            for number, line in text.lines():
                if self.stop is not None and count >= self.stop:
                    return
                if count >= self.start:
                    yield text, number, line
                count += 1


def texts_of(source: Path) -> list[Text]:
    """All regular files of a folder or archive, by name; hidden ones are left out.

    Links in a folder are followed, those in an archive are not.

    Raises
    ------
    InputError
        for a source that is missing or no archive, that is truncated or damaged, or whose members
        have names that lead out of it, and for a folder that cannot be read.
    """
    if source.is_dir():
        return [Text(source / name, name, n, False) for name, n in Folder(source).sizes.items()]
    if not source.is_file():
        raise InputError(f"{source}: no such archive or folder")
    with refused(source):
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                members = _zip_members(source, archive)
        elif is_tar(source):
            with open_tar(source) as tar:
                members = _tar_members(source, tar)
        else:
            with source.open("rb") as stream:
                cut = stream.read(4) == b"PK\3\4"
            raise InputError(
                f"{source}: is {'a truncated zip archive' if cut else 'no zip or tar archive'}, or "
                "damaged; get it anew (zip and tar archives and folders are read)"
            )
    for name, _ in members:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or "/" in parts:
            raise InputError(
                f"{source}: its member {name!r} leads out of the archive; nothing was read from it"
            )
    return [Text(source, n, size, True) for n, size in sorted(members) if not hidden(n)]


def _tar_members(source: Path, tar: tarfile.TarFile) -> list[tuple[str, int]]:
    """Names and sizes of a tar archive's files, after reading all of it, but only so much."""
    members: list[tuple[str, int]] = []
    passed = 0
    while (member := tar.next()) is not None:
        forget_members(tar)
        passed = member.offset_data + member.size  # headers too: nothing packs like them
        if passed > LARGEST_IN_ALL or len(members) > MOST_FILES:
            raise _too_large(source)
        if member.isreg():
            members.append((member.name, member.size))
    # What is compressed has its checksum behind the last member.
    while block := tar.fileobj.read(1 << 20):
        passed += len(block)
        if passed > LARGEST_IN_ALL:
            raise _too_large(source)
    return members


def _zip_members(source: Path, archive: zipfile.ZipFile) -> list[tuple[str, int]]:
    """Names and (stated) sizes of a zip archive's files."""
    members = [
        (m.filename, m.file_size) for m in archive.infolist() if not m.is_dir() and regular(m)
    ]
    if sum(size for _, size in members) > LARGEST_IN_ALL or len(members) > MOST_FILES:
        raise _too_large(source)
    return members


def _too_large(source: Path) -> InputError:
    return InputError(
        f"{source}: is more than {LARGEST_IN_ALL} bytes unpacked, or more than {MOST_FILES} files, "
        "which are not read; unpack what is wanted of it and name the folder as path"
    )


def check_texts(source: Path) -> None:
    """Read all texts of an archive, to their checksums; as `texts_of`, which see."""
    for text in texts_of(source):
        text.sha256()


def choose_splits(
    source: Path, texts: Sequence[Text], names: Mapping[str, str]
) -> dict[str, Passage]:
    """Training, validation and test text of a corpus.

    Files named in `names` (by split) are taken, else those whose names hold ``train``, ``valid`` or
    ``dev``, and ``test``. A source with none of these is a plain folder: its ``.txt`` files, by
    name, are split by lines, 80 % to train and 10 % each to valid and test, in the order of lines.

    Raises
    ------
    InputError
        for a split without a file or with several, and for a source without text.
    """
    found = {split: _matching(texts, split, names.get(split)) for split in SPLITS}
    if not names and not any(found.values()):
        return _by_lines(source, texts)
    for split, matches in found.items():
        key = f"files.{split}.name"
        if not matches:
            wanted = " or ".join(repr(part) for part in _NAMED[split])
            there = ", ".join(text.name for text in texts[:5]) or "nothing"
            raise InputError(
                f"{source}: no file for {split}: "
                + (f"none is named {names[split]!r}" if split in names else f"no name has {wanted}")
                + f" (there are: {there}{', …' if len(texts) > 5 else ''}); set {key}"
            )
        if len(matches) > 1:
            several = ", ".join(text.name for text in matches[:4])
            raise InputError(f"{source}: several files for {split}: {several}; set {key} to one")
    for split, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        if found[split] == found[other]:
            raise InputError(
                f"{source}: {found[split][0].name} would be both {split} and {other}; "
                f"set files.{split}.name and files.{other}.name"
            )
    return {split: Passage((matches[0],)) for split, matches in found.items()}


def _matching(texts: Sequence[Text], split: str, name: str | None) -> list[Text]:
    if name is not None:
        return [text for text in texts if f"/{text.name}".endswith(f"/{name}")]

    def fits(text: Text) -> bool:
        last = text.name.rpartition("/")[2].lower()
        return any(part in last for part in _NAMED[split])

    return list(filter(fits, texts))


def _by_lines(source: Path, texts: Sequence[Text]) -> dict[str, Passage]:
    plain = tuple(text for text in texts if text.name.lower().endswith(".txt"))
    if not plain:
        raise InputError(
            f"{source}: holds neither files for train, valid and test nor any .txt file"
        )
    count = sum(1 for text in plain for _ in text.lines())
    if count < 10:
        raise InputError(
            f"{source}: {count} lines in {len(plain)} .txt files are too few to be split into "
            "train, valid and test (at least 10)"
        )
    first, second = count * 8 // 10, count * 9 // 10
    return {
        "train": Passage(plain, 0, first),
        "valid": Passage(plain, first, second),
        "test": Passage(plain, second, count),
    }
