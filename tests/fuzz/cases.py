"""How deep the fuzzing goes, how many cases were tried, and how valid files are broken.

``HEARSAY_FUZZ`` is ``ci`` (the default; the same cases every time), ``deep`` (10 times as many, and
others every time), or a number: 1 is half of ``ci``.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guard import guarded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsay.errors import InputError

DEPTH = os.environ.get("HEARSAY_FUZZ", "ci")
TIMES = {"ci": 2.0, "deep": 20.0}.get(DEPTH) or float(DEPTH)

TRIED: Counter[str] = Counter()
REFUSED: Counter[str] = Counter()
SPENT: Counter[str] = Counter()  # seconds

NUMBERS = [b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"1000000000000000000"]
NUMBERS += [b"-9223372036854775809", b"1e308", b"1e999", b"NaN", b"-Infinity", b"0x10", b"9" * 5000]
PIECES = [b"", b"\0", b"\n", b"\t", b"\r\n", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b":", b","]
PIECES += [b"../../../x", b"/etc/passwd", b"$(touch PWNED)", b"`id`", b"; touch PWNED", b"null"]
PIECES += [b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u202e\u0000é".encode(), b"true", b"---"]
PIECES += [
    b"[" * 2000,
    b'{"a":' * 2000,
    b"(" * 500,
    b"&a [*a]",
    b"!!python/object:os.system x",
    b"A" * 9999,
]


def broken(seed: bytes, random_: random.Random) -> bytes:
    """A valid file with one to a few faults: bits, spans, lines, numbers, pieces, its end."""
    data = bytearray(seed)
    for _ in range(random_.choice([1, 1, 1, 2, 3, 8])):
        size = len(data)
        at = random_.randrange(size + 1)
        # Headers are small beside what they describe, and more depends on them.
        at = random_.choice([at, min(at, random_.randrange(600))])
        kind = random_.randrange(9)
        if kind == 0 and at < size:
            data[at] ^= 1 << random_.randrange(8)
        elif kind == 1:
            del data[at : at + random_.choice([1, 2, 8, 100, size])]
        elif kind == 2:
            data[at:at] = random_.randbytes(random_.choice([1, 4, 8, 64]))
        elif kind == 3:
            data[at:at] = random_.choice(PIECES)
        elif kind == 4:
            data[at : at + 8] = random_.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
        elif kind == 5:
            data[at:at] = data[at : at + random_.choice([1, 10, 1000])]
        elif kind == 6:
            lines = bytes(data).splitlines(keepends=True)
            random_.shuffle(lines) if random_.random() < 0.3 else None
            if len(lines) > 1:
                a, b = random_.randrange(len(lines)), random_.randrange(len(lines))
                lines[a], lines[b] = lines[b], lines[a]
            data = bytearray(b"".join(lines))
        elif kind == 7:  # another number in place of one
            digits = [k for k in range(min(size, 20_000)) if 48 <= data[k] <= 57]
            if digits:
                start = stop = random_.choice(digits)
                while stop < len(data) and 48 <= data[stop] <= 57:
                    stop += 1
                data[start:stop] = random_.choice(NUMBERS)
        else:
            cells = bytes(data).split(b"\t") if b"\t" in data else bytes(data).split(b" ")
            cells[random_.randrange(len(cells))] = random_.choice([*PIECES, *NUMBERS])
            data = bytearray((b"\t" if b"\t" in data else b" ").join(cells))
    return bytes(data)


def files(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Valid files with faults, and now and then anything."""
    faulty = st.tuples(st.sampled_from(seeds), st.randoms(use_true_random=True))
    return st.one_of(*[st.builds(lambda pair: broken(*pair), faulty)] * 8, st.binary(max_size=400))


def fuzz(
    name: str, strategy: st.SearchStrategy[Any], examples: int, test: Callable[[Any], None]
) -> None:
    """Try `test` on so many cases, times the depth; count them."""

    @settings(
        max_examples=max(1, round(examples * TIMES)),
        deadline=None,  # `guarded` ends what takes too long
        database=None,
        derandomize=DEPTH == "ci",
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(case: Any) -> None:
        TRIED[name] += 1
        test(case)

    begun = time.monotonic()
    try:
        run()
    finally:
        SPENT[name] += round(time.monotonic() - begun)


def read_or_refuse(
    name: str,
    folder: Path,
    read: Callable[[], Any],
    allowed: tuple[type[Exception], ...] = (),
    lines: int = 1,
) -> None:
    """The file is read, or refused with one message; nothing else happens."""
    try:
        with guarded(folder):
            read()
    except InputError as error:
        REFUSED[name] += 1
        message = str(error)
        assert message.strip()
        assert lines is None or len(message.splitlines()) <= lines, message
        assert max(map(len, message.splitlines())) < 2000, message[:300]
    except allowed:
        REFUSED[name] += 1
