"""Which examples go into which step: drawn anew every epoch, the same whenever asked for."""

import math
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hearsay.errors import InputError
from hearsay.training.pieces import Pieces

Collate = Callable[[Sequence[Any]], Any]


class EpochBatches:
    """The batches of every epoch.

    Parameters
    ----------
    examples : a dataset of sized length.
    lengths : of every example, for groups of like length; any unit.
    collate : makes a batch of examples.
    sets : how many examples each part has, in their order, and its weight: how often one is seen in
        an epoch. Of the fraction a random share is drawn anew in every epoch. All once if None.
    batch_size : examples a step, over all processes; the last batch of an epoch may be smaller.
    micro_batch : examples that go through the network at once.
    buckets : groups by length, of which a batch has examples of one; 1 mixes all lengths.
    seed : of the order.
    workers : processes that read; 0: this one.
    rank, processes : the share of a data-parallel process.

    Raises
    ------
    InputError
        for less than an example a step and process.
    """

    def __init__(
        self,
        examples: Dataset,
        lengths: Sequence[float],
        collate: Collate,
        *,
        batch_size: int,
        micro_batch: int,
        sets: Sequence[tuple[int, float]] | None = None,
        buckets: int = 1,
        seed: int = 0,
        workers: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size < processes:
            raise InputError(
                f"batch_size {batch_size} is less than one clip for each of {processes} processes; "
                "take a larger batch or fewer devices"
            )
        self._examples, self._lengths = examples, np.array(lengths)
        self._collate = collate
        sets = [(len(self._lengths), 1.0)] if sets is None else sets
        ends = np.cumsum([count for count, _ in sets])
        self._sets = [
            (np.arange(end - count, end), weight)
            for (count, weight), end in zip(sets, ends, strict=True)
        ]
        self._batch_size, self._micro_batch = batch_size, micro_batch
        self._buckets, self._seed, self._workers = buckets, seed, workers
        self._rank, self._processes = rank, processes
        self.clips_per_epoch = sum(round(len(numbers) * weight) for numbers, weight in self._sets)
        self.steps_per_epoch = math.ceil(self.clips_per_epoch / batch_size)
        last = self.clips_per_epoch - (self.steps_per_epoch - 1) * batch_size
        if last < processes:  # a process would have nothing to do in the last step
            self.steps_per_epoch -= 1
        if self.steps_per_epoch < 1:
            raise InputError(
                f"{self.clips_per_epoch} clips an epoch are too few for {processes} processes"
            )

    def order(self, epoch: int) -> list[np.ndarray]:
        """Numbers of the examples of every step of an epoch, of all processes together."""
        draw = np.random.default_rng([self._seed, epoch])
        chosen = np.concatenate([_drawn(numbers, weight, draw) for numbers, weight in self._sets])
        draw.shuffle(chosen)
        if self._buckets > 1:
            # Groups by length, shuffled inside; a batch that spans two groups has neighbours only.
            by_length = chosen[np.argsort(self._lengths[chosen], kind="stable")]
            chosen = np.concatenate(
                [draw.permutation(group) for group in np.array_split(by_length, self._buckets)]
            )
        cuts = range(self._batch_size, len(chosen), self._batch_size)
        steps = np.split(chosen, list(cuts))[: self.steps_per_epoch]
        if self._buckets > 1:
            # A smaller last batch stays last, so that every epoch has its steps alike.
            full = draw.permutation(len(steps) - 1)
            steps = [*(steps[k] for k in full), steps[-1]]
        return steps

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Pieces]:
        """Steps of an epoch from number `start` on, for this process."""
        steps = [step[self._rank :: self._processes] for step in self.order(epoch)[start:]]
        pieces = [_cut(step, self._micro_batch) for step in steps]
        numbers = [each for step in pieces for each in step]
        loader = _loader(self._examples, numbers, self._collate, self._workers)
        for step in pieces:
            yield Pieces([next(loader) for _ in step], weights=[len(each) for each in step])


def batches_by_length(
    examples: Dataset,
    lengths: Sequence[float],
    collate: Collate,
    *,
    batch_size: int,
    workers: int = 0,
) -> Iterator[tuple[list[int], Any]]:
    """All examples once, the longest first: their numbers, and the batch."""
    numbers = _cut(sorted(range(len(lengths)), key=lambda n: -lengths[n]), batch_size)
    yield from zip(numbers, _loader(examples, numbers, collate, workers), strict=True)


def _drawn(numbers: np.ndarray, weight: float, draw: np.random.Generator) -> np.ndarray:
    """Each number `weight` times, the fraction by chance."""
    whole = int(weight)
    rest = round(len(numbers) * weight) - whole * len(numbers)
    return np.concatenate([np.tile(numbers, whole), draw.permutation(numbers)[:rest]])


def _cut(numbers: Sequence[int] | np.ndarray, size: int) -> list[list[int]]:
    return [[int(n) for n in numbers[k : k + size]] for k in range(0, len(numbers), size)]


def _loader(
    examples: Dataset, numbers: list[list[int]], collate: Collate, workers: int
) -> Iterator[Any]:
    """Batches in the order given."""
    loader: DataLoader = DataLoader(
        _Told(examples),
        batch_sampler=numbers,
        num_workers=workers,
        collate_fn=_CollatedOrError(collate),
        worker_init_fn=_outlast_sigterm,
        # Else it draws from the global generator, and a resumed training would end differently.
        generator=torch.Generator().manual_seed(0),
    )
    with _sigterm_waits():
        batches = iter(loader)
    try:
        for batch in batches:
            if isinstance(batch, InputError):
                raise batch
            yield batch
    finally:
        # With it its workers end. An error's traceback would keep them, and they outlast the
        # SIGTERM with which a process ends those that are left, and then waits for them.
        del batches


class _Told(Dataset):
    """Examples, or what is wrong with them: raised in a worker it would come with its traceback."""

    def __init__(self, examples: Dataset) -> None:
        self._examples = examples

    def __getitem__(self, number: int) -> Any:
        try:
            return self._examples[number]
        except InputError as error:
            return error


class _CollatedOrError:
    def __init__(self, collate: Collate) -> None:
        self._collate = collate

    def __call__(self, items: Sequence[Any]) -> Any:
        wrong = next((item for item in items if isinstance(item, InputError)), None)
        return wrong or self._collate(items)


@contextmanager
def _sigterm_waits() -> Iterator[None]:
    """Workers that start here are told of SIGTERM only once they outlast it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outlast_sigterm(worker: int) -> None:
    """A scheduler may tell all processes of a job; the training ends its step and saves first."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
