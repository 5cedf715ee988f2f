"""What an aligner is trained for: Eq. 6, with what may be added to it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hearsay.slu.aligner import Aligned, Aligner
from hearsay.slu.batches import SpeechTextBatch
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.firing import shares, token_edges
from hearsay.slu.losses import (
    IGNORED,
    alpha_loss,
    cosine_loss,
    duration_loss,
    frame_loss,
    info_nce,
    quantity_loss,
    subword_loss,
    there_of,
)


class Tokens(NamedTuple):
    """The tokens that speech is to become; [CLS] and [SEP] among them if it emits these."""

    ids: Tensor  # [B, N] int64
    lengths: Tensor  # [B] int64
    characters: Tensor  # [B, N] float32


class AlignmentLoss(nn.Module):
    """An aligner and the BERT that it learns from, as one module with one call.

    Parameters
    ----------
    aligner, text : what is trained, and what is not.
    recipe : keys of `hearsay.settings.slu.AlignerRecipe`.
    """

    def __init__(self, aligner: Aligner, text: BertLayers, recipe: Mapping[str, Any]) -> None:
        super().__init__()
        self.aligner, self.text, self.recipe = aligner, text, dict(recipe)
        self.extra = [int(number) for number in aligner.projections if int(number) != aligner.layer]

    def tokens(self, batch: SpeechTextBatch) -> Tokens:
        """What a batch's speech is to become."""
        if self.aligner.edges == "emitted":
            return Tokens(batch.ids, batch.lengths, batch.characters)
        # [CLS] is first; [SEP] falls behind the lengths.
        inner = slice(1, batch.ids.shape[1] - 1)
        return Tokens(batch.ids[:, inner], batch.lengths - 2, batch.characters[:, inner])

    def states(self, batch: SpeechTextBatch) -> list[Tensor]:
        """BERT's states [B, N, H] of these tokens: of the layer to graft at, and further ones."""
        mask = there_of(batch.lengths, batch.ids.shape[1])
        states = self.text.states(batch.ids, mask, [self.aligner.layer, *self.extra])
        inner = slice(None) if self.aligner.edges == "emitted" else slice(1, mask.shape[1] - 1)
        return [state[:, inner] for state in states]

    def align(self, batch: SpeechTextBatch) -> Aligned:
        """Cut the batch's speech into its transcripts' tokens."""
        tokens, pieces, others = self.tokens(batch), None, None
        if self.aligner.paths is not None:
            pieces = self.text.pieces(tokens.ids)
            if self.training:
                there = there_of(tokens.lengths, tokens.ids.shape[1])
                others = self.text.pieces(tokens.ids[there].unique())
        return self.aligner(
            batch.audio,
            batch.audio_lengths,
            target_lengths=tokens.lengths,
            masses=tokens.characters if self.recipe["masses"] == "characters" else None,
            pieces=pieces,
            others=others,
        )

    def forward(self, batch: SpeechTextBatch) -> dict[str, Tensor]:
        """Scalars: ``loss``, its parts, and what is measured besides, without gradient.

        ``wrong_lengths`` is the share of utterances whose Σα does not round to their number of
        tokens.
        """
        recipe, tokens, aligned = self.recipe, self.tokens(batch), self.align(batch)
        states, *others = self.states(batch)
        found = {"alignment": self._alignment(aligned, tokens, states, self.aligner.layer)}
        loss = found["alignment"]
        for layer, other in zip(self.extra, others, strict=True):
            extra = self._alignment(aligned, tokens, other, layer) / len(self.extra)
            loss = loss + recipe["extra_weight"] * extra
        found["quantity"] = quantity_loss(aligned.total, tokens.lengths)
        loss = loss + recipe["quantity_weight"] * found["quantity"]
        if recipe["subword_weight"]:
            found["subword"] = self._subword(aligned, batch)
            loss = loss + recipe["subword_weight"] * found["subword"]
        if recipe["frame_weight"]:
            found["frames"] = frame_loss(
                self.aligner.project(aligned.frames),
                states,
                shares(aligned.scaled, by="frame").float(),
                tokens.lengths,
                recipe["temperature"],
            )
            loss = loss + recipe["frame_weight"] * found["frames"]
        if recipe["duration_weight"]:
            expected = tokens.characters
            if recipe["durations"] == "equal":
                expected = torch.ones_like(expected)
            edges = token_edges(aligned.scaled)
            found["durations"] = duration_loss(*edges, expected, tokens.lengths)
            loss = loss + recipe["duration_weight"] * found["durations"]
        if aligned.paths is not None:
            found["paths"] = aligned.paths.loss.mean()
            loss = loss + recipe["path_weight"] * found["paths"]
            known = aligned.paths.taught, aligned.mask, aligned.paths.there
            found["alpha"] = alpha_loss(aligned.alpha, *known)
            loss = loss + recipe["alpha_weight"] * found["alpha"]
        wrong = (aligned.total.detach() + 0.5).floor() != tokens.lengths
        measured = {name: value.detach() for name, value in found.items()}
        return {"loss": loss, **measured, "wrong_lengths": wrong.float().mean()}

    def _alignment(self, aligned: Aligned, tokens: Tokens, states: Tensor, layer: int) -> Tensor:
        """L_InfoNCE (Eq. 4) or L_cos (Eq. 2) at one of the layers."""
        speech = self.aligner.project(aligned.vectors, layer)
        if self.recipe["loss"] == "cosine":
            return cosine_loss(speech, states, tokens.lengths)
        return info_nce(
            speech,
            states,
            tokens.lengths,
            self.recipe["temperature"],
            ids=tokens.ids if self.recipe["repeats"] == "none" else None,
            negatives=self.recipe["negatives"],
        )

    def _subword(self, aligned: Aligned, batch: SpeechTextBatch) -> Tensor:
        """L_subword: word pieces predicted by BERT's upper layers from speech."""
        states, mask = self.aligner.states(aligned)
        last = self.text.upper(states, mask, self.aligner.layer)
        inner = there_of(batch.lengths - 1, batch.ids.shape[1])
        inner[:, 0] = False  # [CLS], and by its length [SEP], are no word pieces
        ids = batch.ids.masked_fill(~inner, IGNORED)[inner]
        return subword_loss(self.text.logits(last[inner])[None], ids[None])
