"""Batches of speech with its word pieces: what goes into which step, read and padded."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from hearsay.corpora.manifest import Clip, read_audio
from hearsay.errors import InputError
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.speech_encoder import SpeechEncoder
from hearsay.training import epoch_batches

EDGE_CHARACTERS = 3  # that [CLS] and [SEP] count as: some 0.2 s of silence


class WordPieces(NamedTuple):
    """A transcript in word pieces, [CLS] and [SEP] among them."""

    ids: list[int]
    words: list[int]  # number of each piece's word, from 0; -1 for [CLS] and [SEP]
    characters: list[int]


class SpeechTextBatch:
    """Utterances of one pass through the network, padded with zeros.

    No tuple: in mixed precision Fabric casts the tensors of tuples to 8 bits of mantissa, and the
    audio would be noisy before it is normalised.

    Parameters
    ----------
    audio, audio_lengths : [B, samples] float32 at 16 kHz; [B] int64.
    ids, lengths : [B, N] int64 word pieces, [CLS] and [SEP] among them; [B] int64.
    characters : [B, N] float32.
    """

    def __init__(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        ids: Tensor,
        lengths: Tensor,
        characters: Tensor,
    ) -> None:
        self.audio, self.audio_lengths = audio, audio_lengths
        self.ids, self.lengths, self.characters = ids, lengths, characters

    def to(self, device: torch.device | str) -> "SpeechTextBatch":
        """The batch on a device."""
        return SpeechTextBatch(*(tensor.to(device) for tensor in vars(self).values()))


def word_pieces(
    clips: Sequence[Clip],
    tokeniser: Any,
    *,
    speech: SpeechEncoder,
    text: BertLayers,
    extra_tokens: int,
) -> list[WordPieces]:
    """Transcripts in word pieces, all of which can be aligned.

    Parameters
    ----------
    tokeniser : the text encoder's.
    extra_tokens : that speech must give besides the word pieces.

    Raises
    ------
    InputError
        naming the clip: for an empty transcript, a word without a piece, more pieces than the text
        encoder takes, and more tokens than the clip has frames.
    """
    found = []
    for clip in clips:
        words = clip.text.split()
        if not words:
            raise InputError(f"clip {clip.id}: its transcript is empty; leave it out")
        encoded = tokeniser(words, is_split_into_words=True, return_offsets_mapping=True)
        numbers = [-1 if number is None else number for number in encoded.word_ids()]
        without = sorted(set(range(len(words))) - set(numbers))
        if without:
            raise InputError(
                f"clip {clip.id}: the text encoder has no word piece for {words[without[0]]!r}; "
                "normalise the transcript, or name another text encoder"
            )
        ids = encoded["input_ids"]
        if len(ids) > text.positions:
            raise InputError(
                f"clip {clip.id}: {len(ids)} word pieces, but the text encoder takes "
                f"{text.positions}; cut the clip"
            )
        tokens, frames = len(ids) - 2 + extra_tokens, int(speech.frames_of(clip.samples))
        if tokens > frames:
            raise InputError(
                f"clip {clip.id}: {tokens} tokens in {max(frames, 0)} frames of speech; its "
                "transcript cannot be of this audio: leave it out"
            )
        characters = [
            EDGE_CHARACTERS if number < 0 else max(1, end - start)
            for number, (start, end) in zip(numbers, encoded["offset_mapping"], strict=True)
        ]
        found.append(WordPieces(ids, numbers, characters))
    return found


class SpeechTexts(Dataset):
    """Clips with their word pieces."""

    def __init__(self, clips: Sequence[Clip], texts: Sequence[WordPieces]) -> None:
        self.clips, self.texts = list(clips), list(texts)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> tuple[np.ndarray, WordPieces]:
        return read_audio(self.clips[number]), self.texts[number]


def padded(items: Sequence[tuple[np.ndarray, WordPieces]]) -> SpeechTextBatch:
    """Utterances of different lengths as one batch."""
    audio = [torch.from_numpy(samples) for samples, _ in items]
    ids = [torch.tensor(text.ids) for _, text in items]
    characters = [torch.tensor(text.characters, dtype=torch.float32) for _, text in items]
    return SpeechTextBatch(
        pad_sequence(audio, batch_first=True),
        torch.tensor([len(each) for each in audio]),
        pad_sequence(ids, batch_first=True),
        torch.tensor([len(each) for each in ids]),
        pad_sequence(characters, batch_first=True),
    )


class EpochBatches(epoch_batches.EpochBatches):
    """The batches of every epoch of clips; options as of `hearsay.training.epoch_batches`."""

    def __init__(self, held: SpeechTexts, **options: Any) -> None:
        super().__init__(held, [clip.samples for clip in held.clips], padded, **options)


def batches_by_length(
    held: SpeechTexts, *, batch_size: int, workers: int = 0
) -> Iterator[tuple[list[int], SpeechTextBatch]]:
    """All utterances once, the longest first: their numbers, and the batch."""
    lengths = [clip.samples for clip in held.clips]
    options = {"batch_size": batch_size, "workers": workers}
    return epoch_batches.batches_by_length(held, lengths, padded, **options)
