"""git and git-annex repositories, read and driven through the programs themselves.

Works on clones and on bare repositories; what git knows (names, keys, sizes, public addresses) is
read without any content being there.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hearsay.corpora.keys import Entry, size_of
from hearsay.errors import InputError

_LINK = re.compile(rb"(?:^|/)annex/objects/(?:[^\n]*/)?([^/\n]+)\n?")


# --- the programs -------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Environment for git: the programs of this Python first, an author, and no questions."""
    found = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_INDEX_FILE")}
    found.pop("GIT_WORK_TREE", None)
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", "")])
    for who in ("AUTHOR", "COMMITTER"):  # git-annex commits to its own branch
        found.setdefault(f"GIT_{who}_NAME", "hearsay")
        found.setdefault(f"GIT_{who}_EMAIL", "hearsay@localhost")
    found |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C.UTF-8"}
    return found | {"DATALAD_UI_PROGRESSBAR": "none", "DATALAD_LOG_LEVEL": "error"}


def _check_programs() -> None:
    for program in ("git", "git-annex", "datalad"):
        if shutil.which(program, path=environment()["PATH"]) is None:
            raise InputError(f"{program} is not found; `make install` installs all but git itself")


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`; InputError with git's last line if it fails."""
    return _git(folder, *arguments).decode(errors="surrogateescape")


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    # A folder that is no repository is not to be taken for a part of the one around it.
    ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=stdin,
            capture_output=True,
            env=environment() | ceiling,
        )
    except FileNotFoundError:
        raise InputError("git is not found; install it") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise InputError(f"{folder}: git {arguments[0]} failed: {lines[-1]}")
    return done.stdout


def datalad(
    folder: Path, *arguments: str, result: Callable[[dict[str, Any]], None] | None = None
) -> list[str]:
    """Run DataLad in `folder`; hand each of its results to `result`; return its complaints."""
    _check_programs()
    complaints: list[str] = []
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            ["datalad", "-f", "json", *arguments],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                with contextlib.suppress(json.JSONDecodeError):
                    found = json.loads(line)
                    if result is not None:
                        result(found)
                    if found["status"] in ("error", "impossible"):
                        complaints.append(_complaint(found))
        if process.returncode != 0 and not complaints:
            errors.seek(0)
            complaints = [" ".join(errors.read().split())[-300:] or "it gave no reason"]
    return complaints


def _complaint(found: dict[str, Any]) -> str:
    text = found.get("error_message") or found.get("message") or found["status"]
    if isinstance(text, list):  # a format and its values
        text = text[0] % tuple(text[1:]) if len(text) > 1 else text[0]
    lines = " ".join(str(text).splitlines()[:1]).split()
    return " ".join(lines)[:300]


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold `file` as a lock, so that one process at a time changes what it stands for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another process has {file}", file=sys.stderr, flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:  # some network file systems have no locks
            print(f"{file} cannot be locked ({error}); going on without", file=sys.stderr)
        yield


def remove_tree(folder: Path) -> None:
    """Remove a folder with git-annex's write-protected content in it."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)
    shutil.rmtree(folder)


# --- what git knows -----------------------------------------------------------------------------


def tags(repository: Path) -> list[str]:
    """Tags of a repository, in the order of version numbers."""
    return git(repository, "tag", "--list", "--sort=version:refname").split()


def commit_of(repository: Path, version: str) -> str:
    """Commit of a tag, branch or (shortened) commit; InputError lists the tags there are."""
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", f"{version}^{{commit}}").strip()
    except InputError:
        git(repository, "rev-parse", "--git-dir")  # a better reason: no repository at all
    known = ", ".join(tags(repository)) or "none"
    raise InputError(f"{repository}: no version {version!r}; its tags: {known}")


def tree(repository: Path, version: str = "HEAD") -> dict[str, Entry]:
    """All files of a version, with git-annex's keys and sizes, sorted by path."""
    listing = git(repository, "ls-tree", "-r", "-l", "-z", "--full-tree", version)
    rows = []
    for line in filter(None, listing.split("\0")):
        facts, path = line.split("\t", 1)
        mode, kind, blob, length = facts.split()
        if kind == "blob":
            rows.append((path, mode, blob, int(length)))
    small = {blob for _, mode, blob, size in rows if mode == "120000" or size < 512}
    contents = _contents(repository, sorted(small))
    entries = {}
    for path, mode, blob, size in sorted(rows):
        content = contents.get(blob, b"")
        link = _LINK.search(content) if mode == "120000" else _LINK.fullmatch(content)
        if link is None:
            entries[path] = Entry(path, f"GIT-s{size}--{blob}", size)
        else:
            key = link.group(1).decode()
            entries[path] = Entry(path, key, size_of(key))
    return entries


def _contents(repository: Path, objects: Sequence[str]) -> dict[str, bytes]:
    """Contents of blobs by their names (``branch:path`` too); those that are missing are left."""
    out = _git(repository, "cat-file", "--batch", stdin=("\n".join(objects) + "\n").encode())
    found, at = {}, 0
    for name in objects:
        end = out.index(b"\n", at)
        head = out[at:end].split()
        at = end + 1
        if head[-1] != b"missing":
            size = int(head[-1])
            found[name] = out[at : at + size]
            at += size + 1
    return found


def public_addresses(repository: Path, entries: Iterable[Entry]) -> dict[str, tuple[str, str]]:
    """Public S3 address and version of annexed files, as the git-annex branch records them.

    Returns
    -------
    path -> (address without a version, version). Only buckets that keep versions and that are
    not marked as dead count; a file that was never exported there is left out.
    """
    branch = None
    for name in ("refs/heads/git-annex", "refs/remotes/origin/git-annex"):
        with contextlib.suppress(InputError):
            branch = branch or commit_of(repository, name)
    if branch is None:
        return {}
    logs = _contents(repository, [f"{branch}:remote.log", f"{branch}:trust.log"])
    buckets = _public_buckets(*(logs.get(f"{branch}:{n}.log", b"") for n in ("remote", "trust")))
    names = {entry.path: f"{branch}:{_log_name(entry.key)}.log.rmet" for entry in entries}
    records = _contents(repository, sorted(set(names.values())))
    found = {}
    for path, name in names.items():
        # Exported more than once: the newest under this path, else the newest at all.
        exports = [
            (place.endswith(f"/{path}"), time, f"{buckets[uuid]}/{place}", version)
            for time, uuid, version, place in _exports(records.get(name, b""))
            if uuid in buckets
        ]
        if exports:
            found[path] = max(exports)[2:]
    return found


def _log_name(key: str) -> str:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:3]}/{digest[3:6]}/{key}"


def _public_buckets(remotes: bytes, trust: bytes) -> dict[str, str]:
    dead = {line.split()[0] for line in trust.decode().splitlines() if " X " in line}
    found = {}
    for line in remotes.decode().splitlines():
        uuid, *pairs = line.split()
        remote = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if remote.get("publicurl") and remote.get("versioning") == "yes" and uuid not in dead:
            found[uuid] = remote["publicurl"].rstrip("/")
    return found


def _exports(record: bytes) -> Iterator[tuple[float, str, str, str]]:
    """Lines ``{time}s {uuid}:V +{version}#{place}`` of a key's remote metadata."""
    for line in record.decode(errors="replace").splitlines():
        time, _, rest = line.partition(" ")
        uuid, _, values = rest.partition(":V ")
        for value in values.split():
            version, hash_, place = value[1:].partition("#")
            if value.startswith("+") and hash_ and not version.startswith("!"):
                yield float(time.rstrip("s")), uuid, version, place
