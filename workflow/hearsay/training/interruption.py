"""SIGTERM during a training: the step under way is finished, the state saved, the job ended."""

import signal
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from hearsay.training.fabric import Fabric


class Interrupted(SystemExit):
    """SIGTERM came; the state is saved. Exits with 143, so that Snakemake retries the job."""

    def __init__(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)
        super().__init__(143)


@contextmanager
def stop_flag(fabric: Fabric) -> Iterator[Callable[[], bool]]:
    """A function that tells whether SIGTERM has come; the step under way is finished first.

    With several processes it is true for all as soon as it is for one.
    """
    came = False

    def note(signum: int, frame: types.FrameType | None) -> None:
        nonlocal came
        came = True

    def stopped() -> bool:
        if fabric.world_size == 1:
            return came
        told = fabric.all_reduce(torch.tensor(float(came)), reduce_op="sum")
        assert isinstance(told, torch.Tensor)
        return bool(told > 0)

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
