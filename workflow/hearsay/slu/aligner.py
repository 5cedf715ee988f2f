"""The aligner: speech becomes one vector a word piece, in the space of one of BERT's layers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from hearsay.errors import InputError
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.cif import cif
from hearsay.slu.firing import Scaled, scale
from hearsay.slu.losses import there_of
from hearsay.slu.speech_encoder import SpeechEncoder
from hearsay.slu.token_paths import Paths, TokenPaths

Edges = Literal["emitted", "constant", "learned"]
GATE_WIDTH = 3.0  # dB in which the energy gate opens


class Aligned(NamedTuple):
    """What `Aligner` gives for a batch."""

    vectors: Tensor  # [B, N, D] tokens in the speech encoder's space
    lengths: Tensor  # [B] int64 tokens; with emitted edges [CLS] and [SEP] count
    frames: Tensor  # [B, T, D] the speech encoder's
    mask: Tensor  # [B, T] bool, frames of each utterance
    alpha: Tensor  # [B, T] unscaled, 0 in padding
    total: Tensor  # [B] Σα, float32
    scaled: Scaled  # the sums of α that tokens were cut from; of the paths' where there are any
    paths: Paths | None  # of a known text's tokens


class AlphaNetwork(nn.Module):
    """Weights α of frames: a convolution over time, a linear layer, a sigmoid.

    At first α is the same for all frames, `rate`: the tokens a frame that are expected.
    """

    def __init__(self, width: int, kernel: int, rate: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.output = nn.Linear(width, 1)
        nn.init.zeros_(self.output.weight)
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Start from `rate` tokens a frame."""
        rate = min(max(rate, 1e-4), 1 - 1e-4)
        nn.init.constant_(self.output.bias, math.log(rate / (1 - rate)))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """[B, T] of frames [B, T, D]; float32, 0 where the mask is False."""
        frames = frames.masked_fill(~mask[..., None], 0.0)
        hidden = torch.relu(self.convolution(frames.transpose(1, 2))).transpose(1, 2)
        return self.output(hidden)[..., 0].float().sigmoid().masked_fill(~mask, 0.0)


class Aligner(nn.Module):
    """Speech encoder, α network, CIF, and a projection to BERT's layer (Section 3.1).

    Parameters
    ----------
    speech : the encoder.
    text : BERT, for the size of its states and to start the projections from; it is no part of the
        aligner.
    layer : i, from 0 (embeddings) to BERT's depth.
    extra_layers : further layers, each with a projection.
    edges : whether [CLS] and [SEP] are emitted as tokens of speech, or constant or learned vectors
        around them.
    alpha_kernel : frames that the α network sees.
    rate : tokens a frame to start from.
    energy_gate : dB below the loudest frame at which α is halved; None: no gate.
    paths : options of `TokenPaths`, by which tokens of a known text are cut; None: by α alone.
    """

    def __init__(
        self,
        speech: SpeechEncoder,
        text: BertLayers,
        *,
        layer: int,
        extra_layers: Sequence[int] = (),
        edges: Edges = "emitted",
        alpha_kernel: int = 3,
        rate: float = 0.066,
        energy_gate: float | None = None,
        paths: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        wrong = [number for number in (layer, *extra_layers) if not 0 <= number <= text.depth]
        if wrong:
            raise ValueError(f"layer {wrong[0]}: this text encoder has layers 0 to {text.depth}")
        self.speech, self.layer, self.edges = speech, layer, edges
        self.energy_gate = energy_gate
        self.alpha = AlphaNetwork(speech.width, alpha_kernel, rate)
        self.projections = nn.ModuleDict(
            {
                str(number): _projection(speech.width, text, number)
                for number in (layer, *extra_layers)
            }
        )
        self.paths = None
        if paths is not None:
            self.paths = TokenPaths(speech.local_width, speech.width, text.width, **paths)
        around = torch.zeros(2, text.width)
        if edges == "learned":
            self.around = nn.Parameter(around)
        elif edges == "constant":
            self.register_buffer("around", around)

    @property
    def extra_tokens(self) -> int:
        """Tokens of speech that are no word pieces."""
        return 2 if self.edges == "emitted" else 0

    def forward(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        *,
        target_lengths: Tensor | None = None,
        masses: Tensor | None = None,
        pieces: Tensor | None = None,
        others: Tensor | None = None,
    ) -> Aligned:
        """Cut utterances into tokens.

        Parameters
        ----------
        audio : [B, samples] at 16 kHz.
        audio_lengths : [B] samples.
        target_lengths : [B] tokens of each, `extra_tokens` included, where the text is known; else
            their number comes from α.
        masses : [B, N] of tokens, as of `cif`.
        pieces, others : [B, N, H] embeddings of the tokens, and [V, H] of those among which frames
            are to find theirs (`TokenPaths.fit`). With these and the lengths an aligner that has
            paths cuts tokens along them.

        Raises
        ------
        InputError
            for α that is not a number: weights that a training has blown up.
        """
        frames, mask, local = self.speech.with_local(audio, audio_lengths)
        alpha = self.alpha(frames, mask)
        level = self.speech.decibels(audio, mask)
        if self.energy_gate is not None:
            gate = torch.sigmoid((level + self.energy_gate) / GATE_WIDTH)
            alpha = alpha * gate.masked_fill(~mask, 0.0)
        if not alpha.isfinite().all():
            raise InputError(
                "α is not a number: the aligner's weights are none any more; train it with a "
                "smaller learning_rate, or with a clip_norm"
            )
        cut, paths = alpha, None
        if self.paths is not None and pieces is not None and target_lengths is not None:
            known = {"masses": masses, "others": others}
            paths = self.paths(local, mask, level, pieces, target_lengths, **known)
            cut = torch.where(paths.there[:, None], paths.alpha, alpha)
        fired = cif(frames, cut, target_lengths=target_lengths, mask=mask, masses=masses)
        scaled = scale(cut, target_lengths=fired.lengths, mask=mask, masses=masses)
        total = alpha.double().sum(1).float()
        return Aligned(fired.vectors, fired.lengths, frames, mask, alpha, total, scaled, paths)

    def project(self, vectors: Tensor, layer: int | None = None) -> Tensor:
        """[..., D] to states [..., H] of a layer; by default the one to graft at."""
        return self.projections[str(self.layer if layer is None else layer)](vectors)

    def states(self, aligned: Aligned) -> tuple[Tensor, Tensor]:
        """States of [CLS], word pieces, [SEP], as BERT's upper layers take them.

        Returns
        -------
        (states [B, N, H], mask [B, N]), N with both edges.
        """
        states, lengths = self.project(aligned.vectors), aligned.lengths
        if self.edges == "emitted":
            return states, there_of(lengths, states.shape[1])
        batch, count, width = states.shape
        around = self.around.to(states.dtype)
        whole = torch.cat(
            [around[0].expand(batch, 1, width), states, states.new_zeros(batch, 1, width)], 1
        )
        place = (lengths + 1)[:, None, None].expand(batch, 1, width)
        whole = whole.scatter(1, place, around[1].expand(batch, 1, width))
        return whole, there_of(lengths + 2, count + 2)


def _projection(width: int, text: BertLayers, layer: int) -> nn.Sequential:
    """A linear layer, and a normalisation that starts as BERT's own at that layer."""
    norm, own = nn.LayerNorm(text.width), text.layer_norm(layer)
    norm.eps = own.eps
    with torch.no_grad():
        norm.weight.copy_(own.weight)
        norm.bias.copy_(own.bias)
    return nn.Sequential(nn.Linear(width, text.width), norm)
