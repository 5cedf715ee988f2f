"""Free the disk of fetched content, of one subject or of all; the clone itself stays.

git-annex gives a file up only where it can see that another copy exists.
"""

import re
import shutil
import sys
from pathlib import Path

import typer

from hearsay.corpora.keys import Entry, is_present
from hearsay.corpora.openneuro import size_text
from hearsay.corpora.repository import datalad, locked, tree
from hearsay.errors import InputError


def drop(clone: Path, subject: str | None = None) -> int:
    """Drop the content of `subject`'s files, or of all files; return the bytes freed.

    Files that all subjects share, such as TextGrids, go only with all.

    Raises
    ------
    InputError
        where git-annex refuses; the message names the first file and says why.
    """
    if not (clone / ".git").exists():
        raise InputError(f"{clone}: no clone of a dataset")
    with locked(clone / ".git" / "hearsay.lock"):
        entries = [entry for entry in tree(clone).values() if entry.annexed]
        if subject is not None:
            own = re.compile(rf"(?:.*/)?(?:sub-)?{re.escape(subject)}/")
            entries = [entry for entry in entries if own.match(entry.path)]
            if not entries:
                raise InputError(f"{clone}: no annexed files of a subject {subject!r}")
        there = [entry for entry in entries if is_present(clone, entry)]
        complaints = []
        for start in range(0, len(there), 500):
            some = [entry.path for entry in there[start : start + 500]]
            complaints += datalad(clone, "drop", "-d", ".", *some)
        if subject is None:
            shutil.rmtree(clone / ".git" / "hearsay-partial", ignore_errors=True)
        kept = [entry for entry in there if is_present(clone, entry)]
    freed = _bytes(there) - _bytes(kept)
    if kept:
        raise InputError(
            f"{clone / kept[0].path}: not dropped, nor {len(kept) - 1} others "
            f"({size_text(freed)} freed before): {(complaints or ['no reason given'])[0]}. "
            "git-annex drops only what it can see elsewhere: check the network or the source, or "
            f"give the content up for good with `datalad drop --reckless availability -d {clone} "
            f"{clone / kept[0].path}`"
        )
    return freed


def _bytes(entries: list[Entry]) -> int:
    return sum({entry.key: entry.bytes for entry in entries}.values())


def main(
    clone: Path = typer.Option(help="clone of the dataset"),
    subject: str | None = typer.Option(None, help="subject; all content if not given"),
) -> None:
    """Drop, and say how much disk is free again."""
    freed = drop(clone, subject)
    print(f"{clone}: {size_text(freed)} freed", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
