"""A corpus of text as numbers: what language models are trained and tested on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hearsay.errors import InputError
from hearsay.files import whole_file

SPLITS = ("train", "valid", "test")

_LARGEST_WORDS = 1 << 30  # bytes of the array of words


@dataclass(frozen=True, eq=False)
class TokenCorpus:
    """Three texts as ids of words.

    Attributes
    ----------
    train, valid, test : int32 [N], every line ending with the id of ``<eos>``. A model that reads
        one from its first token on predicts N−1 of them.
    words : word of every id.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    words: list[str]

    @cached_property
    def vocabulary_digest(self) -> str:
        """16 hexadecimal digits over the words and their order: what a model's ids mean."""
        return _digest("\n".join(self.words).encode())

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits over words and texts: equal corpora have equal digests."""
        texts = [np.ascontiguousarray(getattr(self, split), dtype="<i4") for split in SPLITS]
        return _digest(self.vocabulary_digest.encode(), *(_sized(text) for text in texts))


def _sized(ids: np.ndarray) -> bytes:
    return len(ids).to_bytes(8, "little") + ids.tobytes()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def write_tokens(path: Path | str, corpus: TokenCorpus) -> None:
    """Write arrays train, valid, test (int32) and words (unicode) as one .npz, in one piece.

    Raises
    ------
    InputError
        for a word so long that the array of words, whose rows are equally long, would be too large.
    """
    longest = max(corpus.words, key=len)
    if 4 * len(longest) * len(corpus.words) > _LARGEST_WORDS:
        raise InputError(
            f"{path}: the word {longest[:30]!r}… has {len(longest)} characters; is the text one of "
            "words? If so, set min_count or max_vocabulary"
        )
    texts = {split: getattr(corpus, split).astype(np.int32) for split in SPLITS}
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, words=np.array(corpus.words), **texts)


def read_tokens(path: Path | str) -> TokenCorpus:
    """Read what `write_tokens` wrote.

    Raises
    ------
    InputError
        for a file that is missing, damaged or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            words = arrays["words"]
            texts = [arrays[split] for split in SPLITS]
        if not all(isinstance(each, np.ndarray) for each in (words, *texts)):
            raise ValueError("what is no array has an array's name")  # numpy hands over its bytes
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; prepare_text makes it") from None
    except KeyError as error:
        raise InputError(f"{path}: holds no tokens of a corpus: {error.args[0]}") from None
    except Exception as error:  # numpy and zipfile raise anything for a broken header
        raise InputError(
            f"{path}: cannot be read as tokens of a corpus ({error}); remove it and make it anew"
        ) from None
    _check(path, texts, words)
    train, valid, test = texts
    return TokenCorpus(train, valid, test, words.tolist())


def _check(path: Path | str, texts: Sequence[np.ndarray], words: np.ndarray) -> None:
    if words.dtype.kind != "U" or words.ndim != 1:
        raise InputError(f"{path}: words are {words.dtype} {words.shape}, not a list of words")
    for split, ids in zip(SPLITS, texts, strict=True):
        if ids.dtype != np.int32 or ids.ndim != 1 or not len(ids):
            raise InputError(f"{path}: {split} is {ids.dtype} {ids.shape}, not int32 [N]")
        if len(ids) < 2:
            raise InputError(
                f"{path}: {split} has 1 token, and at least 2 are needed to predict one from the "
                "other; take a longer text"
            )
        if ids.min() < 0 or ids.max() >= len(words):
            raise InputError(
                f"{path}: {split} has ids from {ids.min()} to {ids.max()}, but there are "
                f"{len(words)} words"
            )
