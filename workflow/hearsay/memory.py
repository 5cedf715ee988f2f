"""How the C library keeps memory that a step frees and asks for again, and how much it was."""

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path

# mallopt's names in glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory(*, below: int = 64 << 20, in_all: int = 512 << 20) -> bool:
    """Keep freed blocks for the next that ask, where the C library is glibc; return whether.

    By default glibc maps each large block anew and gives it back at once. A training frees and
    asks for the same tensors at every step, and the kernel fills them with zeros each time: a sixth
    of a small training's time. No result depends on it.

    Parameters
    ----------
    below : blocks of fewer bytes come from the heap; larger ones are mapped and given back.
    in_all : how many free bytes at the heap's end are kept.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, below) and mallopt(_TRIM_THRESHOLD, in_all))


def largest_memory() -> int:
    """The largest resident memory of this process, or of one that it waited for, in bytes.

    Linux counts a program's ru_maxrss from that of the process which started it, so there this
    process's own comes from VmHWM, which begins anew; a child's begins with no more than that.
    """
    unit = 1 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return max(children, int(line.split()[1]) << 10)
    return max(children, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
