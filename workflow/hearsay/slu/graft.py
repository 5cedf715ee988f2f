"""Grafting: speech in place of BERT's layers 1 to i (Section 3.2)."""

from typing import Literal

import torch
from torch import Tensor, nn

from hearsay.slu.aligner import Aligned, Aligner
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.losses import there_of

Pooling = Literal["cls", "mean"]


class Graft(nn.Module):
    """An aligner below BERT's upper layers.

    Of a known text a graft is told the number of tokens and nothing else: α cuts them, all of the
    same mass, whatever masses and paths the aligner was trained with.

    Parameters
    ----------
    aligner : of the layer above which BERT goes on.
    text : the BERT that it was aligned to; frozen.
    pooling : how an utterance becomes one vector: BERT's pooler over [CLS], or the mean over its
        tokens without [CLS] and [SEP].
    """

    def __init__(self, aligner: Aligner, text: BertLayers, pooling: Pooling = "cls") -> None:
        super().__init__()
        self.aligner, self.text, self.pooling = aligner, text, pooling

    def last_states(self, aligned: Aligned) -> tuple[Tensor, Tensor]:
        """BERT's last states [B, N, H] over tokens of speech, edges included, and mask [B, N]."""
        states, mask = self.aligner.states(aligned)
        return self.text.upper(states, mask, self.aligner.layer), mask

    def forward(
        self, audio: Tensor, audio_lengths: Tensor, *, target_lengths: Tensor | None = None
    ) -> Tensor:
        """Features [B, H] of utterances, for a head; parameters as of `Aligner`."""
        aligned = self.aligner(audio, audio_lengths, target_lengths=target_lengths)
        return pooled(self.text, *self.last_states(aligned), self.pooling)

    @torch.no_grad()
    def top_subwords(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        *,
        target_lengths: Tensor | None = None,
        count: int = 5,
    ) -> list[Tensor]:
        """Ids of the likeliest word pieces of each utterance's tokens, [N, count] (Table 4).

        [CLS] and [SEP] are left out.
        """
        aligned = self.aligner(audio, audio_lengths, target_lengths=target_lengths)
        last, mask = self.last_states(aligned)
        return [
            self.text.logits(states[1 : int(there.sum()) - 1]).topk(count, dim=-1).indices
            for states, there in zip(last, mask, strict=True)
        ]


def pooled(text: BertLayers, last: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector [B, H] of last states [B, N, H], whose first and last are [CLS] and [SEP]."""
    if pooling == "cls":
        return text.pooled(last)
    lengths = mask.sum(1)
    inner = there_of(lengths - 1, mask.shape[1])
    inner[:, 0] = False
    # An utterance without tokens has nothing but its edges.
    inner = torch.where(inner.any(1, keepdim=True), inner, mask)
    return (last * inner[..., None]).sum(1) / inner.sum(1, keepdim=True)
