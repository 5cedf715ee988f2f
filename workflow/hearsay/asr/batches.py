"""Batches of speech: which clips go into which step, read and padded."""

import math
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hearsay.corpora.alphabets import encode
from hearsay.corpora.manifest import Clip, read_audio
from hearsay.errors import InputError
from hearsay.training.loop import Pieces


class SpeechBatch:
    """Clips of one pass through the network, padded with zeros.

    No tuple: in mixed precision Fabric casts the tensors of tuples to 8 bits of mantissa, and the
    audio would be noisy before it is turned into spectrograms.

    Parameters
    ----------
    audio, audio_lengths : [B, samples] float32 at 16 kHz; [B] int64.
    targets, target_lengths : [B, characters] int64; [B] int64.
    """

    def __init__(
        self, audio: Tensor, audio_lengths: Tensor, targets: Tensor, target_lengths: Tensor
    ) -> None:
        self.audio, self.audio_lengths = audio, audio_lengths
        self.targets, self.target_lengths = targets, target_lengths

    def to(self, device: torch.device | str) -> "SpeechBatch":
        """The batch on a device."""
        return SpeechBatch(*(tensor.to(device) for tensor in vars(self).values()))


class SpeechClips(Dataset):
    """Clips with their transcripts as labels.

    Parameters
    ----------
    clips : all of them.
    labels : the alphabet.

    Raises
    ------
    InputError
        for a transcript with a character outside the alphabet; none is ever dropped here.
    """

    def __init__(self, clips: Sequence[Clip], labels: Sequence[str]) -> None:
        self.clips = list(clips)
        self.targets = []
        for clip in self.clips:
            try:
                self.targets.append(torch.tensor(encode(clip.text, labels), dtype=torch.int64))
            except InputError as error:
                raise InputError(f"clip {clip.id}: {error}; prepare the corpus again") from None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(read_audio(self.clips[number])), self.targets[number]


def padded(items: Sequence[tuple[Tensor, Tensor]]) -> SpeechBatch:
    """Clips of different lengths as one batch."""
    audio, targets = zip(*items, strict=True)
    return SpeechBatch(
        torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True),
        torch.tensor([len(each) for each in audio]),
        torch.nn.utils.rnn.pad_sequence(list(targets), batch_first=True),
        torch.tensor([len(each) for each in targets]),
    )


class EpochBatches:
    """The batches of every epoch: the same ones in the same order whenever they are asked for.

    Parameters
    ----------
    sets : parts of corpora, each with its weight: how often a clip of it is seen in an epoch. Of
        the fraction, a random share is drawn anew in every epoch.
    labels : the alphabet.
    batch_size : clips a step, over all processes; the last batch of an epoch may be smaller.
    micro_batch : clips that go through the network at once.
    buckets : groups by length, of which a batch has clips of one; 1 mixes all lengths.
    seed : of the order.
    workers : processes that read audio; 0: this one.
    rank, processes : the share of a data-parallel process.
    """

    def __init__(
        self,
        sets: Sequence[tuple[Sequence[Clip], float]],
        labels: Sequence[str],
        *,
        batch_size: int,
        micro_batch: int,
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
        self._clips = SpeechClips([clip for clips, _ in sets for clip in clips], labels)
        self._weights = [weight for _, weight in sets]
        ends = np.cumsum([len(clips) for clips, _ in sets])
        self._ranges = [
            np.arange(end - len(c), end) for (c, _), end in zip(sets, ends, strict=True)
        ]
        self._durations = np.array([clip.duration for clip in self._clips.clips])
        self._batch_size, self._micro_batch = batch_size, micro_batch
        self._buckets, self._seed, self._workers = buckets, seed, workers
        self._rank, self._processes = rank, processes
        self.clips_per_epoch = sum(
            round(len(r) * w) for r, w in zip(self._ranges, self._weights, strict=True)
        )
        self.steps_per_epoch = math.ceil(self.clips_per_epoch / batch_size)
        last = self.clips_per_epoch - (self.steps_per_epoch - 1) * batch_size
        if last < processes:  # a process would have nothing to do in the last step
            self.steps_per_epoch -= 1
        if self.steps_per_epoch < 1:
            raise InputError(
                f"{self.clips_per_epoch} clips an epoch are too few for {processes} processes"
            )

    def order(self, epoch: int) -> list[np.ndarray]:
        """Numbers of the clips of every step of an epoch, of all processes together."""
        draw = np.random.default_rng([self._seed, epoch])
        chosen = np.concatenate(
            [
                _drawn(numbers, weight, draw)
                for numbers, weight in zip(self._ranges, self._weights, strict=True)
            ]
        )
        draw.shuffle(chosen)
        if self._buckets > 1:
            # Groups by length, shuffled inside; a batch that spans two groups has neighbours only.
            by_length = chosen[np.argsort(self._durations[chosen], kind="stable")]
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
        loader = _loader(self._clips, [each for step in pieces for each in step], self._workers)
        for step in pieces:
            yield Pieces([next(loader) for _ in step], weights=[len(each) for each in step])


def share_of(clips: Sequence[Clip], rank: int, processes: int) -> list[Clip]:
    """What one of several processes validates on.

    Raises
    ------
    InputError
        for fewer clips than processes, which would wait for each other without end.
    """
    if len(clips) < processes:
        raise InputError(
            f"validation: {len(clips)} clips for {processes} processes; take fewer devices"
        )
    return list(clips)[rank::processes]


def batches_by_length(
    clips: Sequence[Clip],
    labels: Sequence[str],
    *,
    batch_size: int,
    workers: int = 0,
) -> Iterator[tuple[list[Clip], SpeechBatch]]:
    """All clips once, the longest first, with the clips of each batch."""
    held = SpeechClips(clips, labels)
    order = sorted(range(len(held)), key=lambda number: -held.clips[number].samples)
    numbers = _cut(order, batch_size)
    for these, batch in zip(numbers, _loader(held, numbers, workers), strict=True):
        yield [held.clips[number] for number in these], batch


def _drawn(numbers: np.ndarray, weight: float, draw: np.random.Generator) -> np.ndarray:
    """Each number `weight` times, the fraction by chance."""
    whole = int(weight)
    rest = round(len(numbers) * weight) - whole * len(numbers)
    return np.concatenate([np.tile(numbers, whole), draw.permutation(numbers)[:rest]])


def _cut(numbers: Sequence[int] | np.ndarray, size: int) -> list[list[int]]:
    return [[int(n) for n in numbers[k : k + size]] for k in range(0, len(numbers), size)]


def _loader(clips: SpeechClips, numbers: list[list[int]], workers: int) -> Iterator[SpeechBatch]:
    """Batches in the order given."""
    loader: DataLoader = DataLoader(
        _Told(clips),
        batch_sampler=numbers,
        num_workers=workers,
        collate_fn=_padded_or_error,
        worker_init_fn=_outlast_sigterm,
        # Else it draws from the global generator, and a resumed training would end differently.
        generator=torch.Generator().manual_seed(0),
    )
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch


class _Told(Dataset):
    """Clips, or what is wrong with them: raised in a worker it would come with its traceback."""

    def __init__(self, clips: SpeechClips) -> None:
        self._clips = clips

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor] | InputError:
        try:
            return self._clips[number]
        except InputError as error:
            return error


def _padded_or_error(items: Sequence[tuple[Tensor, Tensor] | InputError]) -> Any:
    return next((item for item in items if isinstance(item, InputError)), None) or padded(items)


def _outlast_sigterm(worker: int) -> None:
    """A scheduler may tell all processes of a job; the training ends its step and saves first."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
