"""Event-driven inference of EGRU language models, for one to four sequences at a time.

A unit without an event costs nothing: only the weights of active units are read, the input of the
first layer comes from a table with one row per word, and the tied decoder sums the rows of active
units too. At four sequences most units are active in one of them or another, so that larger
batches belong to the dense model.
"""

import numba
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hearsay.errors import InputError
from hearsay.lm import event_kernels as kernels
from hearsay.lm.activity import ActivityCounter
from hearsay.lm.egru import EGRU
from hearsay.lm.event_arrays import gather_weights, zero_memory
from hearsay.lm.language_model import LanguageModel

LARGEST_BATCH = 4
CHUNK = 64  # tokens scored between two moments at which Python listens to Ctrl-C


class EventEngine:
    """An EGRU language model that computes for events only.

    Its numbers are those of the model in evaluation mode, up to rounding, in the model's precision:
    float64 if the weights are, else float32. The weights are copied; training the model afterwards
    does not change the engine.

    Parameters
    ----------
    model : a `LanguageModel` of EGRU cells, either variant.
    batch : sequences, 1 to 4.
    threads : of this process; they share out the columns of every product.
    lookup : multiply word vectors and the first layer's input weights once, for all words: V·3n_1
        values of memory against 3·n_0·n_1 multiply-accumulates per token.

    Attributes
    ----------
    macs : multiply-accumulates executed since `reset`, counted where they are executed. What a
        layer's last events send back to itself is executed, and counted, with the next token.
    activity : events and unit-steps per layer since `reset`.

    Raises
    ------
    InputError
        for a model of other cells, for weights that are not finite, and for a batch or a number
        of threads out of range.
    """

    def __init__(
        self, model: LanguageModel, *, batch: int = 1, threads: int = 1, lookup: bool = True
    ) -> None:
        self.variant = _variant(model)
        self.threads, self.lookup = check_threads(threads), lookup
        self.layer_sizes, self.vocabulary = list(model.layer_sizes), model.vocabulary_size
        self._weights = gather_weights(model, lookup=lookup)
        self.dtype = self._weights.words.dtype
        self.reset(batch)

    def reset(self, batch: int = 1) -> None:
        """Return to the zero state, with `batch` sequences, and forget all counts."""
        if not 1 <= batch <= LARGEST_BATCH:
            raise InputError(
                f"batch is {batch}; the event engine takes 1 to {LARGEST_BATCH} sequences, "
                "use the model itself for more"
            )
        self.batch, self._tokens_read = batch, 0
        self._memory = zero_memory(self.layer_sizes, batch, self.dtype)

    def step(self, token_ids: ArrayLike | Tensor) -> NDArray:
        """Read one word per sequence, and return the scores of all words to come next.

        Parameters
        ----------
        token_ids : [B] integers, or one integer if there is one sequence.

        Returns
        -------
        logits [B, V], a new array.
        """
        tokens = self._checked(np.atleast_1d(np.asarray(token_ids)), 1)
        logits = np.empty((self.batch, self.vocabulary), self.dtype)
        with _Threads(self.threads):
            kernels.advance(tokens, self._weights, self._memory, logits, *self._how)
        self._tokens_read += 1
        return logits

    def score(self, tokens: ArrayLike | Tensor) -> NDArray[np.float64]:
        """What each next token costs, −ln p in nats, from the state in which the engine is.

        Parameters
        ----------
        tokens : [N + 1] integers, or [N + 1, B]. The last is predicted, not read: a text goes on
            when the next call begins with it.

        Returns
        -------
        [N] or [N, B].
        """
        given = np.asarray(tokens)
        read = self._checked(given.reshape(len(given), -1) if given.ndim else given, 2)
        surprises = np.empty((len(read) - 1, self.batch))
        logits = np.empty((self.batch, self.vocabulary), self.dtype)
        with _Threads(self.threads):
            for start in range(0, len(surprises), CHUNK):
                chunk = surprises[start : start + CHUNK]
                words = read[start : start + len(chunk) + 1]
                kernels.score(words, self._weights, self._memory, logits, *self._how, chunk)
                self._tokens_read += len(chunk)
        return surprises[:, 0] if given.ndim == 1 else surprises

    @property
    def macs(self) -> int:
        """Multiply-accumulates executed since `reset`."""
        return sum(self.macs_by_part.values())

    @property
    def macs_by_part(self) -> dict[str, int]:
        """`macs` of the first layer's input, between layers, of recurrence and of the decoder."""
        parts = ("words", "between", "recurrent", "decoder")
        return dict(zip(parts, self._memory.executed.tolist(), strict=True))

    @property
    def activity(self) -> ActivityCounter:
        """A fresh counter; the backward pass is not counted, for there is none."""
        counter = ActivityCounter()
        steps = self._tokens_read * self.batch
        for k, (events, (_, hidden)) in enumerate(
            zip(self._memory.events.tolist(), self.layer_sizes, strict=True)
        ):
            counter.add_counts(k, torch.tensor([events, 0]), steps * hidden)
        return counter

    @property
    def events(self) -> list[list[NDArray[np.int64]]]:
        """Units that were active at the last step, per layer and sequence."""
        memory = self._memory
        return [
            [memory.active[k, b, : memory.counts[k, b]].copy() for b in range(self.batch)]
            for k in range(1, len(self.layer_sizes) + 1)
        ]

    @property
    def _how(self) -> tuple[bool, bool, int | None]:
        return self.variant == "paper", self.lookup, self.threads if self.threads > 1 else None

    def _checked(self, tokens: NDArray, dimensions: int) -> NDArray[np.int64]:
        if tokens.ndim != dimensions or tokens.shape[-1] != self.batch:
            wanted = f"[{self.batch}]" if dimensions == 1 else f"[tokens, {self.batch}]"
            raise InputError(f"tokens of shape {list(tokens.shape)}; give {wanted}")
        if not np.issubdtype(tokens.dtype, np.integer):
            raise InputError(f"tokens are {tokens.dtype}; give integers")
        if dimensions == 2 and len(tokens) < 2:
            raise InputError(f"{len(tokens)} tokens; give at least 2, a word and its successor")
        if tokens.min() < 0 or tokens.max() >= self.vocabulary:
            wrong = tokens[(tokens < 0) | (tokens >= self.vocabulary)][0]
            raise InputError(
                f"token {wrong} is outside the model's vocabulary of {self.vocabulary} words"
            )
        return np.ascontiguousarray(tokens, np.int64)


def check_threads(threads: int) -> int:
    """The same number.

    Raises
    ------
    InputError
        if numba, and so the engine, cannot have as many here.
    """
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # of the environment
    if not 1 <= threads <= most:
        raise InputError(f"threads is {threads}; the event engine can have 1 to {most} here")
    return threads


class _Threads:
    """Numba's number of threads, while it is needed; one thread needs none of numba's."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        if self.threads > 1:
            self.before = numba.get_num_threads()
            numba.set_num_threads(self.threads)

    def __exit__(self, *_: object) -> None:
        if self.threads > 1:
            numba.set_num_threads(self.before)


def _variant(model: LanguageModel) -> str:
    cells = [layer for layer in getattr(model, "layers", []) if isinstance(layer, EGRU)]
    if not cells or len(cells) != len(model.layers):
        cell = getattr(model, "cell", type(model).__name__)
        raise InputError(f"the event engine runs models of EGRU cells only; this one is {cell}")
    if any(not torch.isfinite(weight).all() for weight in model.parameters()):
        raise InputError("the model's weights are not all finite; use an earlier checkpoint")
    return cells[0].variant
