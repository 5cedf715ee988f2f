"""Features of the words heard in each TR: static embeddings of an encoder, and their number.

Only the encoder's table of input embeddings is read, never its layers: the features say which
words were heard, which is all that choosing voxels needs.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearsay.brain.stories import FIRST_ROW, TR
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError, reason_of

TABLES = ("word_embeddings.weight", "embed_tokens.weight", "wte.weight", "shared.weight")
DELAYS = (1, 2, 3, 4)  # TRs between a word and the response to it


class Embeddings:
    """The input embeddings of an encoder, by word.

    Parameters
    ----------
    folder : of an encoder as the hub has it: safetensors and a tokeniser.

    Raises
    ------
    InputError
        where the weights, their table of embeddings or the tokeniser are missing.
    """

    def __init__(self, folder: Path | str) -> None:
        self.table = _read_table(Path(folder))  # float32 [tokens, width]
        self._ids = _tokeniser(Path(folder))
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, word: str) -> np.ndarray:
        """The mean embedding of a word's tokens, [width]; zeros for a word without any."""
        if word not in self._known:
            ids = [k for k in self._ids(word) if k < len(self.table)]
            zeros = np.zeros(self.table.shape[1], np.float32)
            self._known[word] = self.table[ids].mean(axis=0) if ids else zeros
        return self._known[word]


def _read_table(folder: Path) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        try:
            weights = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            names = sorted({file for key, file in weights.items() if key.endswith(TABLES)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{index}: no index of shards ({error}); fetch it again") from None
        if outside := [name for name in names if Path(name).name != name]:
            raise InputError(f"{index}: points outside its folder, at {outside[0]!r}")
    for file in [folder / name for name in names]:
        if not file.is_file():
            raise InputError(f"{file}: no weights of the encoder there; fetch the model again")
        try:
            # Through torch, for its bfloat16, which numpy lacks.
            with safe_open(file, framework="pt") as tensors:
                for key in sorted(tensors.keys(), key=len):
                    if key.endswith(TABLES):
                        return tensors.get_tensor(key).float().numpy()
        except SafetensorError as error:
            raise InputError(f"{file}: not readable ({error}); fetch the model again") from None
    raise InputError(
        f"{folder}: no table of input embeddings ({', '.join(TABLES)}) in its weights; name "
        "another encoder, or choose voxels by `indices` or `mask`"
    )


def _tokeniser(folder: Path) -> Any:
    file = folder / "tokenizer.json"
    try:
        if file.is_file():
            from tokenizers import Tokenizer

            fast = Tokenizer.from_file(str(file))
            fast.no_padding()  # some models' files ask for it, and for a greatest length
            fast.no_truncation()
            return lambda word: fast.encode(word, add_special_tokens=False).ids
        from transformers import AutoTokenizer

        slow = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return lambda word: slow.encode(word, add_special_tokens=False)
    except Exception as error:  # both libraries raise bare exceptions for a bad file
        reason = reason_of(error)
        raise InputError(
            f"{folder}: no tokeniser of the encoder ({reason}); fetch the model again"
        ) from None


def features_of_rows(words: Sequence[Word], rows: int, embeddings: Embeddings) -> np.ndarray:
    """Mean embedding and number of words of each TR, from 4 TRs before the first row on.

    Parameters
    ----------
    words : of one story.
    rows : of its responses; row j covers the story time from 10 + 2j to 12 + 2j s.
    embeddings : of words.

    Returns
    -------
    float64 [4 + rows, width + 1], the number of words last; a TR without words is NaN but for that.
    """
    lead = max(DELAYS)
    width = embeddings.table.shape[1]
    sums = np.zeros((lead + rows, width + 1))
    for word in words:
        row = int(np.floor((word.onset - FIRST_ROW) / TR)) + lead
        if 0 <= row < len(sums):
            sums[row, :width] += embeddings(word.text)
            sums[row, width] += 1
    with np.errstate(invalid="ignore"):
        sums[:, :width] /= sums[:, width:]
    return sums


@dataclass(frozen=True)
class Reduction:
    """Principal components of mean embeddings, and scales, learnt from training stories.

    Attributes
    ----------
    mean : [width] of TRs with words.
    components : [width, k], each divided by the standard deviation of its scores.
    rate, spread : mean and standard deviation of the number of words.
    """

    mean: np.ndarray
    components: np.ndarray
    rate: float
    spread: float

    @classmethod
    def fit(cls, stories: Iterable[np.ndarray], dimensions: int = 64) -> "Reduction":
        """Learn it from `features_of_rows` of several stories."""
        every = np.concatenate(list(stories))
        counts = every[:, -1]
        heard = every[counts > 0, :-1]
        if not len(heard):
            raise InputError("the training stories have no words while responses were measured")
        mean = heard.mean(axis=0)
        variances, axes = np.linalg.eigh((heard - mean).T @ (heard - mean) / len(heard))
        variances, axes = variances[::-1], axes[:, ::-1]  # largest first
        k = min(dimensions, int((variances > 1e-10 * max(variances[0], 1e-300)).sum()))
        components = axes[:, :k] / np.sqrt(variances[:k])
        return cls(mean, components, float(counts.mean()), float(counts.std()) or 1.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Delayed features of one story, [rows, 4 (k + 1)]; a TR without words is average."""
        scores = np.nan_to_num((features[:, :-1] - self.mean) @ self.components)
        counts = (features[:, -1:] - self.rate) / self.spread
        both = np.concatenate([scores, counts], axis=1)
        lead, rows = max(DELAYS), len(features) - max(DELAYS)
        return np.concatenate([both[lead - d : lead - d + rows] for d in DELAYS], axis=1)
