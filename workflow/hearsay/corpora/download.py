"""Plain downloads of annexed files, for when git-annex's own remotes refuse."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

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
    if shutil.which("curl") is None:
        raise InputError("curl is not found; install it")
    folder = clone / ".git" / "hearsay-partial"
    folder.mkdir(exist_ok=True)
    partial = folder / entry.key
    if partial.exists() and partial.stat().st_size > entry.bytes:
        partial.unlink()
    command = ["curl", "--fail", "--location", "--retry", "2", "--show-error", "--silent"]
    command += ["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60"]
    resume = ["--continue-at", "-"] if partial.exists() else []
    if not (partial.exists() and partial.stat().st_size == entry.bytes):
        process = subprocess.Popen(
            [*command, *resume, "--output", str(partial), address],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        _, reason = _follow(process, partial, seen)
        if process.returncode != 0:
            if process.returncode == 33:  # the server cannot resume: the next try starts afresh
                partial.unlink(missing_ok=True)
            raise InputError((reason.strip().splitlines() or ["curl failed"])[-1])
    try:
        check_content(partial, entry.key)
    except InputError as error:
        partial.unlink()
        raise InputError(f"{address} came damaged and was removed: {error}") from None
    git(clone, "annex", "reinject", str(partial.absolute()), entry.path)


def _follow(
    process: subprocess.Popen[str], partial: Path, seen: Callable[[int], object]
) -> tuple[str, str]:
    before = partial.stat().st_size if partial.exists() else 0
    while True:
        try:
            out, errors = process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            out = errors = None
        now = partial.stat().st_size if partial.exists() else before
        seen(now - before)
        before = now
        if errors is not None:
            return out, errors
