"""Files that appear whole or not at all, and their checksums.

Nothing here changes a number, so this module is left out of every code digest.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath

from hearsay.errors import InputError
from hearsay.storage import told_if_unwritable

_UNFINISHED = re.compile(r"\..+\.partial(\.[^.]*)?")


@contextlib.contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; on success rename it there, else remove it.

    The temporary name keeps the suffix, since many writers choose their format by it.

    Raises
    ------
    InputError
        where the disk is full or `path` cannot be written (`told_if_unwritable`).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with told_if_unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _open_to_group(temporary)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # of a place that cannot be written at all
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """As `whole_file`, for a folder; an existing folder at `path` is replaced at the end."""
    path = Path(path)
    with told_if_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(".partial", f".{path.name}.", path.parent))
    try:
        with told_if_unwritable(path):
            yield temporary
            _open_to_group(temporary)
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open_to_group(path: Path) -> None:
    """Give the permissions that the user's umask asks for; some writers make private files."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` in one piece (UTF-8)."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, or of a folder's files with their relative names."""
    path = Path(path)
    if path.is_dir():
        listing = "".join(
            f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n" for file in files_below(path)
        )
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unfinished(path: PurePath) -> PurePath | None:
    """The temporary file or folder that `path` is or lies in, by the names that are used here.

    It is being written, or was left by a step that was killed. None for what is finished.
    """
    ends = (k for k, part in enumerate(path.parts, start=1) if _UNFINISHED.fullmatch(part))
    end = next(ends, 0)
    return PurePath(*path.parts[:end]) if end else None


def finished_below(folder: Path | str) -> list[Path]:
    """As `files_below`, without what is unfinished."""
    return [file for file in files_below(folder) if unfinished(file.relative_to(folder)) is None]


def files_below(folder: Path | str) -> list[Path]:
    """All files below a folder in order, those behind links to folders elsewhere, too.

    A link that leads back to a folder that it lies in is left out.

    Raises
    ------
    InputError
        for a folder that may not be looked into: its files would be missed without a word.
    """
    found: list[Path] = []
    folder = Path(folder)
    waiting = [(folder, [folder.resolve()])]
    while waiting:
        here, above = waiting.pop()
        try:
            for entry in os.scandir(here):
                path = here / entry.name
                if entry.is_dir():
                    real = path.resolve() if entry.is_symlink() else above[-1] / entry.name
                    if real not in above:
                        waiting.append((path, [*above, real]))
                elif entry.is_file():
                    found.append(path)
        except FileNotFoundError:  # a temporary folder of a run that goes on
            continue
        except OSError as error:
            raise InputError(f"{here}: cannot be read: {error.strerror}") from None
    return sorted(found)
