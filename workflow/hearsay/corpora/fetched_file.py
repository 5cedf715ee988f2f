"""One file from an address, going on where it broke off, and verified by its checksums."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from hearsay.corpora import curl
from hearsay.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """What is fetched, and how a message calls it.

    Attributes
    ----------
    name : for the progress bar.
    url : its address.
    key : the setting that messages name.
    checksums : expected ones by algorithm (``md5``, ``sha256``); None where it is not known.
    local : what to do with a copy at hand, as the end of a message.
    check : raises `InputError` for a file that is not whole, with the reason after its path.
    """

    name: str
    url: str
    key: str
    checksums: Mapping[str, str | None]
    local: str
    check: Callable[[Path], object]


LONGEST_NAME = 200  # bytes; file systems take 255, and partial files have longer names


def name_in(url: str, key: str) -> str:
    """The name of the file at an address, which it will have on disk.

    Raises
    ------
    InputError
        for an address without one, or one that is no plain name of a file.
    """
    try:
        path = unquote(urlsplit(url).path)
    except ValueError as error:
        raise InputError(f"{key}: {url!r} is no address ({error})") from None
    name = "" if path.endswith("/") else PurePosixPath(path).name
    if not name.isprintable() or name.startswith(".") or len(name.encode()) > LONGEST_NAME:
        raise InputError(f"{key}: {url!r} ends in {name[:80]!r}, which is no name for a file")
    if not name:
        raise InputError(f"{key}: {url!r} names no file; give the address of one file")
    return name


def fetch(wanted: Wanted, partial: Path) -> dict[str, str]:
    """Download to `partial`, verify it, and return its checksums, SHA-256 always among them.

    Raises
    ------
    InputError
        for an address that does not hand it over (what came stays, for the next try), and for a
        file that is not the expected one or not whole, which is removed.
    """
    _download(wanted, partial)
    size = partial.stat().st_size if partial.exists() else 0
    came = f"{wanted.key}: what came from {wanted.url} ({size:,} bytes)"
    if size == 0:
        partial.unlink(missing_ok=True)
        raise InputError(f"{wanted.key}: {wanted.url} answered with nothing; {wanted.local}")
    expected = {name: value for name, value in wanted.checksums.items() if value is not None}
    found = checksums_of(partial, {"sha256", *expected})
    for name, value in expected.items():
        if found[name] != value.lower():
            partial.unlink()
            raise InputError(
                f"{came} has the {name} {found[name]}, not {value}; it was removed. Run again, or "
                f"correct {wanted.key}.{name}; {wanted.local}"
            )
    try:
        wanted.check(partial)
    except InputError as error:
        partial.unlink()
        reason = str(error)
        if reason.startswith(str(partial)):  # a name that is gone in a moment
            reason = reason.removeprefix(str(partial)).partition(": ")[2]
        raise InputError(f"{came} {reason}; it was removed; {wanted.local}") from None
    return found


def _download(wanted: Wanted, partial: Path) -> None:
    begun = partial.stat().st_size if partial.exists() else 0
    if begun:
        print(f"{wanted.name}: going on after {begun:,} bytes", file=sys.stderr)
    try:
        with tqdm(
            desc=f"fetch {wanted.name}",
            initial=begun,
            unit="B",
            unit_scale=True,
            mininterval=0.2 if sys.stderr.isatty() else 5,
            file=sys.stderr,
        ) as bar:
            curl.fetch(wanted.url, partial, bar.update)
    except InputError as error:
        raise InputError(
            f"{wanted.key}: {wanted.url} could not be fetched ({error}); {wanted.local}"
        ) from None


def checksums_of(path: Path, algorithms: set[str]) -> dict[str, str]:
    """Checksums by algorithm, in one pass over the file."""
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(algorithms)}
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            for digest in digests.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in digests.items()}
