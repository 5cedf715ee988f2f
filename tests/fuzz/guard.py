"""Watch what reading a hostile file does besides: nothing is run, nothing is written elsewhere."""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMORY = 2 << 30  # bytes more than there are
USED = 1 << 30  # bytes of these that may really be used
SECONDS = 60  # of CPU; how long it takes beside other tests says nothing
ASLEEP = 10  # times as long may pass where it waits

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
_CHANGES += ("os.truncate", "os.chmod", "shutil.move", "shutil.rmtree", "shutil.copyfile")
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")

_watched: Path | None = None
_found: list[str] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None:
        return
    if event in _FORBIDDEN:
        _found.append(f"{event}{arguments!r}")
        raise PermissionError(f"{event} while a hostile file was read")
    if event == "open":
        path, _, flags = arguments
        changed = [path] if isinstance(flags, int) and flags & _WRITES else []
    elif event in _CHANGES:
        changed = [each for each in arguments if isinstance(each, str | bytes | os.PathLike)]
    else:
        return
    for path in changed:
        if isinstance(path, str | bytes | os.PathLike):
            place = Path(os.path.realpath(os.fsdecode(path)))
            if not place.is_relative_to(_watched) and place != Path("/dev/null"):
                _found.append(f"{event}: {place}")


sys.addaudithook(_hook)


class TooSlow(BaseException):
    """No Exception: a reader that takes any for a broken file would hide it."""


@contextlib.contextmanager
def guarded(folder: Path, seconds: int = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Whatever is done here writes in `folder` alone, runs no program, ends, and stays small.

    Raises
    ------
    AssertionError
        for anything written elsewhere or run, for more memory than before that was really used,
        and for what takes longer.
    MemoryError
        for what asks for more memory; a reader may refuse the file for that.
    """
    global _watched

    def stop(*_: Any) -> None:
        raise TooSlow

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, before[1]))
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(seconds * ASLEEP)
    _found.clear()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _watched = folder.resolve()
    try:
        yield
    except TooSlow:
        # Not as it came: pytest cannot show a line on which a signal's handler was called at times.
        raise AssertionError(f"more than {seconds} s of CPU, or {ASLEEP} times that") from None
    finally:
        _watched = None
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
        # Here, since a reader may have taken the hook's error for a broken file.
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        if _found or grown > USED >> 10:
            raise AssertionError(_found or f"{grown} kB more than ever before")
