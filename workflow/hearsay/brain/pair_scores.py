"""All decodings of one subject scored window by window in one protocol."""

from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from hearsay.brain.protocols import CONTROLS, Decoded, Pairs, Protocol, pairs_of
from hearsay.brain.stories import Story
from hearsay.errors import InputError
from hearsay.metrics.bertscore import BertScore
from hearsay.metrics.text import Meteor, bleu1, distinct_share, length_ratio, word_error_rate

DECODING = "fmri"  # the input that is the model's own decoding


class PairScores:
    """Scores of pairs of texts in one protocol; equal pairs are scored once.

    Parameters
    ----------
    protocol : how METEOR's tokens are made.
    meteor, bertscore : the two measures that have parts of their own.
    weights : BERTScore's inverse document frequencies, if the protocol has them.
    """

    def __init__(
        self,
        protocol: Protocol,
        meteor: Meteor,
        bertscore: BertScore,
        weights: dict[int, float] | None,
    ) -> None:
        self._protocol, self._meteor = protocol, meteor
        self._bertscore, self._weights = bertscore, weights
        self.measures = ["bleu-1", meteor.name, "bertscore", "wer"]

    def __call__(
        self, references: list[list[str]], hypotheses: list[list[str]]
    ) -> dict[str, np.ndarray]:
        """Scores of each pair by measure, every array of shape ``(pairs,)``."""
        number: dict[tuple[str, str], int] = {}
        place = np.array(
            [
                number.setdefault((" ".join(r), " ".join(h)), len(number))
                for r, h in zip(references, hypotheses, strict=True)
            ],
            dtype=int,
        )
        texts = list(number)
        bar = tqdm(texts, desc=f"words, {self._protocol.name}", unit="pair", mininterval=5)
        values = np.array([self._words(*pair) for pair in bar]).reshape(-1, 3)
        recall = self._bertscore.recall([r for r, _ in texts], [h for _, h in texts], self._weights)
        columns = [values[:, 0], values[:, 1], recall, values[:, 2]]
        return {m: c[place] for m, c in zip(self.measures, columns, strict=True)}

    def _words(self, reference: str, hypothesis: str) -> tuple[float, float, float]:
        r, h = reference.split(), hypothesis.split()
        tokens = self._protocol.meteor_tokens
        return bleu1(r, h), self._meteor(tokens(r), tokens(h)), word_error_rate(r, h)


@dataclass(frozen=True)
class Scored:
    """All decodings of one setting and input in one protocol.

    Attributes
    ----------
    windows : their numbers, in the order of time.
    values : by measure, shape ``(draws, windows)``.
    length_ratio, distinct : means over draws.
    mismatch : by measure, ``(windows, windows)``: hypothesis i against reference j; empty where it
        was not asked for.
    """

    windows: list[int]
    values: dict[str, np.ndarray]
    length_ratio: float
    distinct: float
    mismatch: dict[str, np.ndarray] = field(default_factory=dict)

    def per_window(self, measure: str) -> np.ndarray:
        """Mean over draws, for each window."""
        return self.values[measure].mean(0)


Key = tuple[str, str]  # setting, input


def score_protocol(
    protocol: Protocol,
    score: PairScores,
    story: Story,
    decoded: dict[str, Decoded],
    with_controls: bool = True,
) -> dict[Key, Scored]:
    """Score every setting and input of `decoded` in one protocol, by (setting, input).

    Without `with_controls` the control inputs are left out.
    """
    found: dict[Key, list[Pairs]] = {}
    for setting, draws in decoded.items():
        for (kind, _), rows in draws.items():
            if with_controls or kind not in CONTROLS:
                pairs = pairs_of(protocol.name, rows, story)
                found.setdefault((setting, kind), []).append(pairs)
    if not all(pairs.windows for draws in found.values() for pairs in draws):
        raise InputError(
            f"{story.name}: too short for a window of protocol {protocol.name!r}; leave it out"
        )
    references, hypotheses = [], []
    for (_, kind), its in found.items():
        for pairs in its:
            references += pairs.references
            hypotheses += pairs.hypotheses
        if protocol.mismatch and kind == DECODING:
            references += its[0].references * len(its[0].windows)
            hypotheses += [h for h in its[0].hypotheses for _ in its[0].windows]
    values = score(references, hypotheses)
    scored, start = {}, 0
    for (setting, kind), its in found.items():
        n = len(its[0].windows)
        stop = start + n * len(its)
        by_draw = {m: v[start:stop].reshape(len(its), n) for m, v in values.items()}
        start, mismatch = stop, {}
        if protocol.mismatch and kind == DECODING:
            mismatch = {m: v[start : start + n * n].reshape(n, n) for m, v in values.items()}
            start += n * n
        ratios = [length_ratio(p.references, p.hypotheses) for p in its]
        distinct = [distinct_share([" ".join(h) for h in p.hypotheses]) for p in its]
        scored[setting, kind] = Scored(
            its[0].windows, by_draw, float(np.mean(ratios)), float(np.mean(distinct)), mismatch
        )
    return scored
