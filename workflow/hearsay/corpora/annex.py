"""Files that git-annex should have fetched: is the content there?"""

from pathlib import Path

from hearsay.errors import InputError

POINTER = b"/annex/objects/"


def check_present(path: Path | str) -> None:
    """Return if `path` is a file with content; else say what is in its place and what to run.

    Raises
    ------
    InputError
        for a link into git-annex's store whose content was never fetched, a pointer file (what an
        unlocked file is before it is fetched), an empty file, and a path that does not exist.
    """
    path = Path(path)
    remedy = f"run `datalad get {path}`, or the rule that fetches this subject again"
    if path.is_symlink() and not path.exists():
        target = path.readlink()
        if "annex/objects" in target.as_posix():
            raise InputError(f"{path}: its content ({target.name}) is not fetched; {remedy}")
        raise InputError(f"{path}: a link to {target}, which does not exist")
    if not path.exists():
        raise InputError(f"{path}: no such file; {remedy}")
    if not path.is_file():
        raise InputError(f"{path}: not a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file; remove it and {remedy}")
    with path.open("rb") as stream:
        start = stream.read(1024)
    if start.startswith(POINTER):
        key = start.splitlines()[0].decode(errors="replace").rpartition("/")[2]
        raise InputError(f"{path}: its content ({key}) is not fetched; {remedy}")
