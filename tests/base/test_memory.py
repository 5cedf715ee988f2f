"""Memory that is freed and asked for again is not asked of the kernel again."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from hearsay.memory import keep_freed_memory
assert {kept} is False or keep_freed_memory()
def faults(size, times=20):
    block = torch.ones(size); del block
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        block = torch.ones(size); other = torch.ones(size); del block, other
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(8 << 20), faults(32 << 20, 4))
"""


def count(kept):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(kept=kept)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_blocks_below_the_bound_are_kept_and_those_above_given_back():
    small, _ = count(kept=False)
    kept, large = count(kept=True)
    # 20 times two blocks of 32 MB are 320,000 pages of 4 kB, if each is filled anew. torch's are
    # aligned, which costs a kept block now and then.
    assert kept < small / 2
    assert large > 0
