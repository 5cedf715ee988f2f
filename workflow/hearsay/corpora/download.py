"""Plain downloads of annexed files, for when git-annex's own remotes refuse."""

from collections.abc import Callable
from pathlib import Path

from hearsay.corpora.curl import fetch
from hearsay.corpora.keys import Entry, check_content
from hearsay.corpora.repository import git
from hearsay.errors import InputError


def download(clone: Path, entry: Entry, address: str, seen: Callable[[int], object]) -> None:
    """Download one file by curl, check it, and give it to git-annex as the content of its key.

    A download that broke off goes on where it stopped. `seen` hears of the bytes that came.

    Raises
    ------
    InputError
        with curl's reason, or for content that is not the key's, which is then removed.
    """
    folder = clone / ".git" / "hearsay-partial"
    folder.mkdir(exist_ok=True)
    partial = folder / entry.key
    if partial.exists() and partial.stat().st_size > entry.bytes:
        partial.unlink()
    if not (partial.exists() and partial.stat().st_size == entry.bytes):
        fetch(address, partial, seen)
    try:
        check_content(partial, entry.key)
    except InputError as error:
        partial.unlink()
        raise InputError(f"{address} came damaged and was removed: {error}") from None
    git(clone, "annex", "reinject", str(partial.absolute()), entry.path)
