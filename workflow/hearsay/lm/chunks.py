"""How a text is cut for back-propagation through time, and how its perplexity is taken."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hearsay.lm.language_model import LanguageModel

SHORTEST = 5  # tokens of a chunk of variable length


class Chunk(NamedTuple):
    """Where a chunk lies in the streams: its first row, and how many words it predicts."""

    start: int
    length: int


def streams(ids: np.ndarray, batch_size: int) -> Tensor:
    """Cut a text into parallel streams, [rows, B] int64; what does not fill a row is left out."""
    rows = len(ids) // batch_size
    cut = np.asarray(ids[: rows * batch_size], dtype=np.int64).reshape(batch_size, rows)
    return torch.from_numpy(np.ascontiguousarray(cut.T))


def chunks_of(rows: int, bptt: int, *, variable: bool, seed: int, epoch: int) -> list[Chunk]:
    """The chunks of one epoch; together they predict every row but the first, once.

    With `variable` the lengths are drawn from N(bptt, 5), one in twenty from N(bptt / 2, 5)
    (AWD-LSTM, section 5): the same for the same seed and epoch.
    """
    draw = np.random.default_rng([seed, epoch])
    found, start = [], 0
    while start < rows - 1:
        length = bptt
        if variable:
            mean = bptt if draw.random() < 0.95 else bptt / 2
            length = max(SHORTEST, int(draw.normal(mean, 5)))
        length = min(length, rows - 1 - start)
        found.append(Chunk(start, length))
        start += length
    return found


@torch.no_grad()
def negative_log_likelihood(
    model: LanguageModel,
    ids: np.ndarray,
    *,
    batch_size: int = 1,
    bptt: int = 256,
    device: torch.device | str = "cpu",
    progress: Callable[[int], object] = lambda words: None,
) -> tuple[float, int]:
    """Summed negative log likelihood in nats, and the number of predicted words.

    With ``batch_size`` 1 every word but the first is predicted from all words before it, from a
    state of zeros: N − 1 predictions, whatever `bptt` is. More streams are faster, and start from
    zeros each; the words left over at the end make a last, shorter stream, so that each stream's
    first word alone is not predicted. A text has no more streams than pairs of words.
    """
    batch_size = max(1, min(batch_size, len(ids) // 2))
    whole = len(ids) // batch_size * batch_size
    total, count = 0.0, 0
    for part, wide in ((ids[:whole], batch_size), (ids[whole:], 1)):
        text = streams(part, wide).to(device)
        state = model.initial_state(wide)
        for chunk in chunks_of(len(text), bptt, variable=False, seed=0, epoch=0):
            piece = text[chunk.start : chunk.start + chunk.length + 1]
            hidden, state = model(piece[:-1], state)
            _, losses = model.loss(hidden, piece[1:])
            total += losses.double().sum().item()
            count += losses.numel()
            progress(losses.numel())
    return total, count


def perplexity(total: float, count: int) -> float:
    """exp of the mean negative log likelihood; infinite where that overflows."""
    mean = total / count
    return math.exp(mean) if mean < 700 else math.inf


def epoch_batches(
    text: Tensor, bptt: int, *, variable: bool, seed: int
) -> Callable[[int], Iterator[tuple[Tensor, Chunk]]]:
    """For `Training.batches`: the rows of each chunk (one more than it predicts), and the chunk."""

    def batches(epoch: int) -> Iterator[tuple[Tensor, Chunk]]:
        for chunk in chunks_of(len(text), bptt, variable=variable, seed=seed, epoch=epoch):
            yield text[chunk.start : chunk.start + chunk.length + 1], chunk

    return batches
