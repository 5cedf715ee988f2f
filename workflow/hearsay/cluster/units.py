"""How Slurm writes times, sizes and generic resources."""

import re

_SIZES = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}


def minutes_of(text: str) -> int | None:
    """Minutes of ``days-hours:minutes:seconds``, begun ones counted; None without a limit."""
    seconds = seconds_of(text)
    return None if seconds is None else int(-(-seconds // 60))


def seconds_of(text: str) -> float | None:
    """Seconds of a time; None for ``UNLIMITED``, ``INVALID``, ``Partition_Limit`` and nothing.

    Slurm leaves the front out: ``90`` alone is minutes, ``1:30`` minutes and seconds.
    """
    text = text.strip()
    if not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}(\.\d+)?", text):
        return None
    days, _, rest = text.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    if days:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = [*parts, 0.0, 0.0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    elif len(parts) == 2:
        hours, (minutes, seconds) = 0.0, parts
    else:
        hours, minutes, seconds = 0.0, parts[0], 0.0
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def megabytes_of(text: str) -> float | None:
    """MB of a size such as ``4000M``, ``3.5Gn`` or ``347140K``; None for nothing."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)[cn]?", text.strip())
    return float(found[1]) * _SIZES[found[2]] if found else None


def gpus_of(text: str) -> dict[str, int]:
    """GPUs by type, of ``gpu:a100:4(S:0-1),gpu:2`` or ``cpu=1,gres/gpu:a100=4,gres/gpu=4``."""
    found: dict[str, int] = {}
    for part in re.sub(r"\(.*?\)", "", text).split(","):
        named = re.fullmatch(
            r"(?:gres[/:])?gpu(?::(?!\d+$)([\w.+-]+))?(?:[:=](\d+))?", part.strip()
        )
        if named:
            kind = named[1] or ""
            found[kind] = found.get(kind, 0) + int(named[2] or 1)
    # TRES lists give the total beside the types.
    if len(found) > 1 and "=" in text:
        found.pop("", None)
    return found
