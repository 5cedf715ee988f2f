"""Batches of utterances with their sentiments."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from hearsay.corpora.manifest import Clip, read_audio, read_manifest
from hearsay.corpora.slue import read_labels
from hearsay.errors import InputError
from hearsay.slu.speech_encoder import SpeechEncoder
from hearsay.training import epoch_batches


class SentimentBatch:
    """Utterances of one pass through the network, padded with zeros.

    No tuple, so that in mixed precision Fabric leaves the audio's precision alone.

    Parameters
    ----------
    audio, audio_lengths : [B, samples] float32 at 16 kHz; [B] int64.
    ids, lengths : [B, N] int64 word pieces with [CLS] and [SEP]; [B] int64. All 0 without text.
    labels : [B] int64.
    """

    def __init__(
        self, audio: Tensor, audio_lengths: Tensor, ids: Tensor, lengths: Tensor, labels: Tensor
    ) -> None:
        self.audio, self.audio_lengths = audio, audio_lengths
        self.ids, self.lengths, self.labels = ids, lengths, labels

    def to(self, device: torch.device | str) -> "SentimentBatch":
        """The batch on a device."""
        return SentimentBatch(*(tensor.to(device) for tensor in vars(self).values()))


class Item(NamedTuple):
    """One utterance."""

    audio: np.ndarray
    ids: list[int]
    label: int


class SentimentClips(Dataset):
    """Clips with their sentiments, and with word pieces where text is read.

    Parameters
    ----------
    clips : of manifests.
    labels : number of the sentiment by id.
    tokeniser : the text encoder's; None where no text is read.
    audio : whether the audio is read.
    positions : word pieces that the text encoder takes.
    speech : the encoder that hears them; None where no audio is read.
    extra_tokens : that a graft cuts besides the word pieces.

    Raises
    ------
    InputError
        naming the clip: without a sentiment, without a word piece, with too many of them, or with
        less than a frame, or a frame a token, of speech.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: dict[str, int],
        *,
        tokeniser: Any = None,
        positions: int | None = None,
        speech: SpeechEncoder | None = None,
        extra_tokens: int = 0,
    ) -> None:
        self.clips, self._audio = list(clips), speech is not None
        missing = [clip.id for clip in self.clips if clip.id not in labels]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(self.clips)} clips have no sentiment, such as "
                f"{missing[0]!r}; name the table that prepare_slue made of this part"
            )
        names = [clip.id for clip in self.clips]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"clip {twice!r} comes twice; name each part once")
        self.labels = [labels[name] for name in names]
        self.ids = [self._pieces(clip, tokeniser, positions) for clip in self.clips]
        if speech is not None:
            for clip, ids in zip(self.clips, self.ids, strict=True):
                needed = len(ids) - 2 + extra_tokens if ids else 1
                self._check_frames(clip, int(speech.frames_of(clip.samples)), needed)

    @staticmethod
    def _pieces(clip: Clip, tokeniser: Any, positions: int | None) -> list[int]:
        if tokeniser is None:
            return []
        ids = tokeniser(clip.text.split(), is_split_into_words=True)["input_ids"]
        if len(ids) < 3:
            raise InputError(f"clip {clip.id}: its transcript has no word piece; leave it out")
        if positions is not None and len(ids) > positions:
            raise InputError(
                f"clip {clip.id}: {len(ids)} word pieces, but the text encoder takes {positions}; "
                "cut the clip"
            )
        return ids

    @staticmethod
    def _check_frames(clip: Clip, frames: int, needed: int) -> None:
        if frames < needed:
            raise InputError(
                f"clip {clip.id}: {max(frames, 0)} frames of speech, but {needed} are needed; "
                "leave it out"
            )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> Item:
        audio = read_audio(self.clips[number]) if self._audio else np.zeros(1, np.float32)
        return Item(audio, self.ids[number], self.labels[number])

    @property
    def samples(self) -> list[int]:
        """Length of each."""
        return [clip.samples for clip in self.clips]


def padded(items: Sequence[Item]) -> SentimentBatch:
    """Utterances of different lengths as one batch."""
    audio = [torch.from_numpy(item.audio) for item in items]
    ids = [torch.tensor(item.ids, dtype=torch.int64) for item in items]
    return SentimentBatch(
        pad_sequence(audio, batch_first=True),
        torch.tensor([len(each) for each in audio]),
        pad_sequence(ids, batch_first=True),
        torch.tensor([len(each) for each in ids]),
        torch.tensor([item.label for item in items]),
    )


def read_sentiments(
    manifests: Sequence[Path], tables: Sequence[Path], **options: Any
) -> SentimentClips:
    """Clips of parts with the sentiments of the tables beside them; options as `SentimentClips`.

    Raises
    ------
    InputError
        for another number of tables than of manifests, and as `SentimentClips`.
    """
    if len(manifests) != len(tables):
        raise InputError(f"{len(manifests)} manifests, but {len(tables)} tables of sentiments")
    labels: dict[str, int] = {}
    for table in tables:
        labels |= read_labels(table)
    return SentimentClips([c for path in manifests for c in read_manifest(path)], labels, **options)


def epochs_of(held: SentimentClips, **options: Any) -> epoch_batches.EpochBatches:
    """Their batches of every epoch; options as of `hearsay.training.epoch_batches`."""
    return epoch_batches.EpochBatches(held, held.samples, padded, **options)


def batches_by_length(
    held: SentimentClips, *, batch_size: int, workers: int = 0
) -> Iterator[tuple[list[int], SentimentBatch]]:
    """All of them once, the longest first: their numbers, and the batch."""
    options = {"batch_size": batch_size, "workers": workers}
    return epoch_batches.batches_by_length(held, held.samples, padded, **options)
