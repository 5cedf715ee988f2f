"""One file from an address, by curl, going on where an earlier try broke off."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError

RETRIES = 2
LONGEST_WAIT = 120  # seconds; a server that asks for more patience is told of instead

_COMMAND = ["curl", "--fail", "--location", "--globoff", "--show-error", "--silent"]
_COMMAND += ["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60"]
_COMMAND += ["--max-redirs", "10"]
# curl's own --retry throws away what has come; and it would wait as long as a server says.
_ANSWER = "%{http_code} %header{retry-after} %header{content-range}"

_CANNOT_RESUME = 33  # curl's status for a server that sends no parts of files
_TIMED_OUT = 28  # nothing came for a minute
_NO_SUCH_PART = 416  # the server's answer if the file ends before
_PASSING = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class _Answer:
    """curl's exit status and complaint; the server's status and what it said besides."""

    status: int
    complaint: str
    code: int
    wait: float | None
    total: int | None


def fetch(address: str, file: Path, seen: Callable[[int], object] = lambda _: None) -> None:
    """Download `address` to `file`; what is there already is the beginning of it.

    A server that cannot send the rest is asked for the whole. One that is busy, or falls silent, is
    asked twice more. `seen` hears of the bytes that came.

    Raises
    ------
    InputError
        with curl's reason, or if there is no curl. What came stays for the next try.
    """
    if shutil.which("curl") is None:
        raise InputError("curl is not found; install it")
    answer = _resume(address, file, seen)
    for attempt in range(RETRIES):
        if answer.status == 0 or not (answer.status == _TIMED_OUT or answer.code in _PASSING):
            break
        wait = 2**attempt if answer.wait is None else answer.wait
        if wait > LONGEST_WAIT:
            raise InputError(f"the server is busy and asks to come again in {wait:.0f} s")
        time.sleep(wait)
        answer = _resume(address, file, seen)
    if answer.status != 0:
        raise InputError((answer.complaint.strip().splitlines() or ["curl failed"])[-1])


def _resume(address: str, file: Path, seen: Callable[[int], object]) -> _Answer:
    """Ask for the rest, or for the whole where there is no such rest."""
    answer = _run(address, file, seen)
    size = file.stat().st_size if file.exists() else 0
    if answer.code == _NO_SUCH_PART and size:
        # What is here is all of it, or nothing of it.
        if answer.total == size:
            return _Answer(0, "", 200, None, None)
    elif answer.status != _CANNOT_RESUME:
        return answer
    seen(-size)
    file.unlink()
    return _run(address, file, seen)


def _run(address: str, file: Path, seen: Callable[[int], object]) -> _Answer:
    before = file.stat().st_size if file.exists() else 0
    resume = ["--continue-at", "-"] if before else []
    # A server may name another address of the web, never a file of this machine, nor an address
    # whose answer anyone on the way can change where the first one was safe from that.
    safe = address.lower().startswith("https:")
    others = ["--proto-redir", "=https" if safe else "=http,https"]
    target = ["--write-out", _ANSWER, "--output", str(file), "--url", address]
    process = subprocess.Popen(
        [*_COMMAND, *others, *resume, *target],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        while True:
            try:
                told, complaint = process.communicate(timeout=0.5)
            except subprocess.TimeoutExpired:
                complaint = None
            now = file.stat().st_size if file.exists() else before
            seen(now - before)
            before = now
            if complaint is not None:
                return _answer(process.returncode, complaint, told)
    finally:
        if process.poll() is None:  # interrupted: nothing may write to the file any more
            process.kill()
            process.wait()


def _answer(status: int, complaint: str, told: str) -> _Answer:
    """From what curl wrote out; a curl before 7.84 knows no headers, and a date is no number."""
    code, _, rest = told.partition(" ")
    wait, _, part = rest.partition(" ")
    total = re.fullmatch(r"bytes \*/(\d{1,18})", part.strip())
    return _Answer(
        status,
        complaint,
        int(code) if code.isascii() and code.isdigit() else 0,
        float(wait) if re.fullmatch(r"\d{1,9}", wait, re.ASCII) else None,
        int(total[1]) if total else None,
    )
