"""A git-annex dataset that appears whole, with the same commit and keys wherever it is made."""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from hearsay.errors import InputError

DATE = "2025-01-01T00:00:00+00:00"
SECONDS = "1735689600"  # the same date for git-annex's logs
MARKER = Path(".git") / "made-by-hearsay"

GITATTRIBUTES = """\
* annex.backend=MD5E
**/.git* annex.largefiles=nothing
*.bval annex.largefiles=nothing
*.bvec annex.largefiles=nothing
*.json annex.largefiles=nothing
*.tsv annex.largefiles=nothing
.bidsignore annex.largefiles=nothing
CHANGES annex.largefiles=nothing
README annex.largefiles=nothing
"""


def annex_environment() -> dict[str, str]:
    """Environment in which git works without anyone's settings, and with dates that stand still.

    The git-annex beside this Python comes before any other.
    """
    who = {"NAME": "hearsay demo", "EMAIL": "demo@hearsay.invalid", "DATE": DATE}
    foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        **{f"GIT_{role}_{what}": who[what] for role in ("AUTHOR", "COMMITTER") for what in who},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ANNEX_VECTOR_CLOCK": SECONDS,
        "LC_ALL": "C.UTF-8",
    }


@contextlib.contextmanager
def whole_dataset(folder: Path, name: str, version: str, run: str) -> Iterator[Path]:
    """Give an empty folder to fill; then make it a git-annex dataset and move it to `folder`.

    Parameters
    ----------
    folder : where it appears. What is there already is replaced, but only if it was made here.
    name : of the dataset, from which its identifiers are derived.
    version : the tag of its only commit.
    run : id of the run that makes it, left in `MARKER`.

    Raises
    ------
    InputError
        if there is something else at `folder`, or if git or git-annex is missing or fails.
    """
    if folder.exists() and not (folder / MARKER).is_file():
        raise InputError(
            f"{folder}: there is something that this step did not write; move it, or name another "
            "folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield temporary
        _commit(temporary, name, version)
        (temporary / MARKER).write_text(run + "\n", encoding="utf-8")
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        if folder.exists():
            folder.rename(old)
        temporary.rename(folder)
        remove_dataset(old)
    finally:
        remove_dataset(temporary)


def remove_dataset(folder: Path) -> None:
    """Remove a dataset; git-annex keeps its objects in folders without write permission."""
    if not folder.exists():
        return
    for path, _, _ in os.walk(folder):
        os.chmod(path, os.stat(path).st_mode | stat.S_IRWXU)  # noqa: PTH101, PTH116
    shutil.rmtree(folder)


def _commit(folder: Path, name: str, version: str) -> None:
    identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"hearsay/{name}")
    (folder / ".gitattributes").write_text(GITATTRIBUTES, encoding="utf-8")
    (folder / ".datalad").mkdir()
    (folder / ".datalad" / "config").write_text(
        f'[datalad "dataset"]\n\tid = {identifier}\n', encoding="utf-8"
    )
    here = uuid.uuid5(uuid.NAMESPACE_URL, f"hearsay/{name}/origin")
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "config", "gc.auto", "0"],
        # Named before init, which would draw an identifier and note this machine's path.
        ["git", "config", "annex.uuid", str(here)],
        ["git", "annex", "init", "--quiet", f"origin of {name}"],
        ["git", "annex", "add", "--quiet", "."],
        ["git", "commit", "--quiet", "--no-verify", "--message", f"{name} {version}"],
        ["git", "tag", version],
    ):
        _run(command, folder)


def _run(command: list[str], folder: Path) -> None:
    shown = " ".join(command[:3])
    try:
        done = subprocess.run(
            command, cwd=folder, env=annex_environment(), capture_output=True, text=True
        )
    except FileNotFoundError:
        raise InputError(f"{command[0]} is missing; install it (envs/ lists it)") from None
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reason = output[-1] if output else f"status {done.returncode}"
        raise InputError(f"{shown} failed in {folder} ({reason}); is git-annex installed?")
