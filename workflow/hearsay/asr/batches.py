"""Batches of speech: which clips go into which step, read and padded."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from hearsay.corpora.alphabets import encode
from hearsay.corpora.manifest import Clip, read_audio
from hearsay.errors import InputError
from hearsay.training import epoch_batches


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


class EpochBatches(epoch_batches.EpochBatches):
    """The batches of every epoch.

    Parameters
    ----------
    sets : parts of corpora, each with its weight: how often a clip of it is seen in an epoch. Of
        the fraction, a random share is drawn anew in every epoch.
    labels : the alphabet.
    options : as of `hearsay.training.epoch_batches.EpochBatches`.

    Raises
    ------
    InputError
        for a part of which an epoch would see no clip, besides what `SpeechClips` refuses.
    """

    def __init__(
        self, sets: Sequence[tuple[Sequence[Clip], float]], labels: Sequence[str], **options: Any
    ) -> None:
        for held, weight in sets:
            if not round(len(held) * weight):
                raise InputError(
                    f"the part of clip {held[0].id}: weight {weight:g} of {len(held)} clips is "
                    "none an epoch; raise its weight in corpora"
                )
        clips = SpeechClips([clip for held, _ in sets for clip in held], labels)
        super().__init__(
            clips,
            [clip.duration for clip in clips.clips],
            padded,
            sets=[(len(held), weight) for held, weight in sets],
            **options,
        )


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
    lengths = [clip.samples for clip in clips]
    options = {"batch_size": batch_size, "workers": workers}
    for numbers, batch in epoch_batches.batches_by_length(held, lengths, padded, **options):
        yield [held.clips[number] for number in numbers], batch
