"""One file from an address, by curl, going on where an earlier try broke off."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from hearsay.errors import InputError

_COMMAND = ["curl", "--fail", "--location", "--globoff", "--retry", "2", "--show-error", "--silent"]
_COMMAND += ["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60"]
_CANNOT_RESUME = 33  # curl's status for a server that sends no parts of files


def fetch(address: str, file: Path, seen: Callable[[int], object] = lambda _: None) -> None:
    """Download `address` to `file`; what is there already is the beginning of it.

    A server that cannot send the rest is asked for the whole. `seen` hears of the bytes that came.

    Raises
    ------
    InputError
        with curl's reason, or if there is no curl. What came stays for the next try.
    """
    if shutil.which("curl") is None:
        raise InputError("curl is not found; install it")
    status, reason = _run(address, file, seen)
    if status == _CANNOT_RESUME:
        seen(-file.stat().st_size)
        file.unlink()
        status, reason = _run(address, file, seen)
    if status != 0:
        raise InputError((reason.strip().splitlines() or ["curl failed"])[-1])


def _run(address: str, file: Path, seen: Callable[[int], object]) -> tuple[int, str]:
    """curl's exit status and complaints."""
    before = file.stat().st_size if file.exists() else 0
    resume = ["--continue-at", "-"] if before else []
    process = subprocess.Popen(
        [*_COMMAND, *resume, "--output", str(file), "--url", address],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        while True:
            try:
                _, complaints = process.communicate(timeout=0.5)
            except subprocess.TimeoutExpired:
                complaints = None
            now = file.stat().st_size if file.exists() else before
            seen(now - before)
            before = now
            if complaints is not None:
                return process.returncode, complaints
    finally:
        if process.poll() is None:  # interrupted: nothing may write to the file any more
            process.kill()
            process.wait()
