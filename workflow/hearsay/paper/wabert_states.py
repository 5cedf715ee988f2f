"""What Table 4 and Figures 2 and 4 of the WaBERT paper read: states of shown utterances."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearsay.errors import InputError
from hearsay.paper.plans import refuse_twice
from hearsay.paper.runs import read_paths


@dataclass(frozen=True, eq=False)
class Utterance:
    """One utterance by one aligner.

    Attributes
    ----------
    pieces : word pieces as spoken, [N].
    before, after : float32 [N, H], speech tokens before and after the training.
    text : float32 [N, H], BERT's states of the same pieces.
    top : the five likeliest pieces at each place, [N, 5]; None without a head that predicts them.
    """

    id: str
    transcript: str
    pieces: list[str]
    before: np.ndarray
    after: np.ndarray
    text: np.ndarray
    top: list[list[str]] | None


def read_states(path: Path) -> dict[str, Utterance]:
    """Utterances by id, in the order of the file.

    Raises
    ------
    InputError
        for what is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            utterances = {}
            for k, (name, transcript) in enumerate(zip(found["ids"], found["texts"], strict=True)):
                top = found[f"top_{k}"].tolist() if f"top_{k}" in found else None
                before, after, text = (found[f"{what}_{k}"] for what in ("before", "after", "text"))
                pieces = found[f"pieces_{k}"].tolist()
                if not before.shape == after.shape == text.shape or len(pieces) != len(before):
                    raise ValueError(f"states of {name} have other lengths than its pieces")
                utterances[str(name)] = Utterance(
                    str(name), str(transcript), pieces, before, after, text, top
                )
    except Exception as error:  # numpy and zipfile raise anything for a broken header
        raise InputError(f"{path}: not a file of states: {error}") from None
    if not utterances:
        raise InputError(f"{path}: holds no utterance")
    return utterances


def read_runs(options: Sequence[str]) -> tuple[dict[str, dict[str, Utterance]], list[Path]]:
    """``run=states.npz`` by run, and the files; all of the same utterances.

    Raises
    ------
    InputError
        for a run that is named twice, and files of different utterances.
    """
    named = read_paths(list(options), "--states")
    names = [name for name, _ in named]
    refuse_twice(names, "--states")
    found = {name: read_states(path) for name, path in named}
    for name, utterances in found.items():
        if list(utterances) != list(found[names[0]]):
            raise InputError(f"--states: {name} and {names[0]} show different utterances")
    return found, [path for _, path in named]


def chosen(utterances: dict[str, Utterance], ids: Sequence[str], count: int) -> list[Utterance]:
    """The utterances asked for; the first `count` if none are.

    Raises
    ------
    InputError
        for an id that the file has not.
    """
    if unknown := [name for name in ids if name not in utterances]:
        raise InputError(f"no states of {unknown[0]!r}; there are: {', '.join(utterances)[:200]}")
    return [utterances[name] for name in ids or list(utterances)[:count]]


def similarity(speech: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Cosines [N, N] of speech (rows) and text (columns)."""
    left, right = (
        each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12)
        for each in (speech.astype(float), text.astype(float))
    )
    return left @ right.T


def on_diagonal(cosines: np.ndarray) -> float:
    """Share of rows and columns whose largest value is their own."""
    own = np.arange(len(cosines))
    return float(np.mean([cosines.argmax(1) == own, cosines.argmax(0) == own]))
