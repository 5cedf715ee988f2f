"""Classifiers of sentiment: of a transcript, of speech, and of speech grafted onto BERT.

Source: L. Yao et al., "WaBERT", 2022, Sections 3.2 and 4.2; S. Shon et al., "SLUE", ICASSP 2022.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hearsay.corpora.slue import LABELS
from hearsay.slu.aligner import Aligner
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.graft import Graft, Pooling, pooled
from hearsay.slu.losses import there_of
from hearsay.slu.sentiment_batches import SentimentBatch
from hearsay.slu.speech_encoder import SpeechEncoder


class TextFeatures(nn.Module):
    """One vector [B, H] a transcript: BERT's last states, pooled."""

    def __init__(self, text: BertLayers, pooling: Pooling) -> None:
        super().__init__()
        self.text, self.pooling, self.width = text, pooling, text.width

    def forward(self, batch: SentimentBatch) -> Tensor:
        """[B, H]."""
        mask = there_of(batch.lengths, batch.ids.shape[1])
        first = self.text.base.embeddings(input_ids=batch.ids)
        return pooled(self.text, self.text.upper(first, mask, 0), mask, self.pooling)


class SpeechFeatures(nn.Module):
    """One vector [B, D] an utterance: the mean of the speech encoder's frames."""

    def __init__(self, speech: SpeechEncoder) -> None:
        super().__init__()
        self.speech, self.width = speech, speech.width

    def forward(self, batch: SentimentBatch) -> Tensor:
        """[B, D]."""
        frames, mask = self.speech(batch.audio, batch.audio_lengths)
        there = mask[..., None]
        return frames.masked_fill(~there, 0.0).sum(1) / there.sum(1)


class GraftFeatures(nn.Module):
    """One vector [B, H] an utterance: BERT's last states of tokens of speech, pooled.

    Parameters
    ----------
    lengths : ``alpha``, as many tokens as α sums up to, or ``text``, as the transcript has.
    """

    def __init__(self, aligner: Aligner, text: BertLayers, pooling: Pooling, lengths: str) -> None:
        super().__init__()
        self.graft, self.lengths, self.width = Graft(aligner, text, pooling), lengths, text.width
        self.text = text

    def forward(self, batch: SentimentBatch) -> Tensor:
        """[B, H]."""
        targets = None
        if self.lengths == "text":
            targets = batch.lengths - 2 + self.graft.aligner.extra_tokens
        return self.graft(batch.audio, batch.audio_lengths, target_lengths=targets)


Features = TextFeatures | SpeechFeatures | GraftFeatures


class SentimentClassifier(nn.Module):
    """Features and a head: dropout, linear, GELU, dropout, linear.

    Parameters
    ----------
    features : one of the three above.
    hidden, dropout : of the head.
    tuned : parts of BERT that are trained, and then have its dropout too.
    """

    def __init__(
        self,
        features: Features,
        *,
        hidden: int,
        dropout: float,
        tuned: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.features, self._tuned = features, tuple(tuned)
        for part in self._tuned:
            part.requires_grad_(True)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(features.width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(LABELS)),
        )

    def train(self, mode: bool = True) -> "SentimentClassifier":
        """As of every module; BERT stays in evaluation mode but for what is trained of it."""
        super().train(mode)
        for part in self._tuned:
            part.train(mode)
        return self

    def forward(self, batch: SentimentBatch) -> Tensor:
        """Scores [B, 3] of `hearsay.corpora.slue.LABELS`."""
        return self.head(self.features(batch))


def classifier_of(
    kind: str,
    recipe: Mapping[str, Any],
    *,
    text: BertLayers | None = None,
    speech: SpeechEncoder | None = None,
    aligner: Aligner | None = None,
) -> SentimentClassifier:
    """The classifier of a recipe, from what its kind needs: `text`, `speech`, or both of a graft.

    BERT is trained too where the recipe says so: what a graft goes through, or all that a
    transcript does.
    """
    if kind == "text":
        assert text is not None
        features: Features = TextFeatures(text, recipe["pooling"])
    elif kind == "speech":
        assert speech is not None
        features = SpeechFeatures(speech)
    else:
        assert aligner is not None
        assert text is not None
        features = GraftFeatures(aligner, text, recipe["pooling"], recipe["lengths"])
        unused: list[nn.Module] = [
            each for layer, each in aligner.projections.items() if int(layer) != aligner.layer
        ]
        if aligner.paths is not None:  # a graft cuts by α
            unused.append(aligner.paths)
        for each in unused:
            each.requires_grad_(False)
    tuned: list[nn.Module] = []
    if text is not None and not recipe["frozen_text"]:
        first = aligner.layer if aligner is not None else 0
        if kind == "text":
            tuned.append(text.base.embeddings)
        tuned += text.base.encoder.layer[first:]
        pooler = getattr(text.base, "pooler", None)
        if pooler is not None and recipe["pooling"] == "cls":
            tuned.append(pooler)
    head = {key: recipe[key] for key in ("hidden", "dropout")}
    return SentimentClassifier(features, **head, tuned=tuned)


def reads_text(kind: str, recipe: Mapping[str, Any]) -> bool:
    """Whether a classifier needs the transcript."""
    return kind == "text" or (kind == "graft" and recipe["lengths"] == "text")


def speech_of(model: SentimentClassifier) -> SpeechEncoder | None:
    """The speech encoder of a classifier that hears."""
    graft = getattr(model.features, "graft", None)
    return getattr(model.features if graft is None else graft.aligner, "speech", None)


def reading_of(model: SentimentClassifier, tokeniser: Any) -> dict[str, Any]:
    """How clips are read for a classifier: options of `SentimentClips`."""
    text = getattr(model.features, "text", None)
    graft = getattr(model.features, "graft", None)
    return {
        "tokeniser": tokeniser,
        "positions": None if text is None else text.positions,
        "speech": speech_of(model),
        "extra_tokens": 0 if graft is None else graft.aligner.extra_tokens,
    }


def class_weights(labels: list[int], kind: str) -> Tensor:
    """What each class weighs in the loss, float32 [3]; their mean over `labels` is 1.

    Parameters
    ----------
    kind : ``none`` or ``balanced``: in inverse proportion to how often a class occurs.
    """
    if kind == "none":
        return torch.ones(len(LABELS))
    counts = torch.bincount(torch.tensor(labels), minlength=len(LABELS))
    return (len(labels) / (int((counts > 0).sum()) * counts.clamp(min=1))).float()
