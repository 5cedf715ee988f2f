"""Where in the audio a known text's tokens are, by frames that hear only what is near.

Not in the paper, whose α is summed up from the left: an error in one word moves all that follow,
and nothing but the mean of a token's frames says that a boundary is wrong.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hearsay.slu.forward_sum import alpha_of, expected_places, posterior, silence_of


class Paths(NamedTuple):
    """What `TokenPaths` gives for a batch."""

    loss: Tensor  # [B] of the forward sum, nats a frame; 0 where there is no path
    alpha: Tensor  # [B, T] float32 weights that cut tokens where the paths do, without gradient
    taught: Tensor  # [B, T] the same for tokens of equal mass, as those of an unknown text are cut
    there: Tensor  # [B] bool, whether an utterance has frames enough for a path


class TokenPaths(nn.Module):
    """Two convolutions over time, and for each of a token's states a direction in BERT's space.

    A transformer's frames know the whole utterance, and what they know of a word need not lie where
    it is said; the frames here see a fraction of a second. Tokens are the embeddings of their word
    pieces, which know neither their place nor their neighbours.

    Parameters
    ----------
    inputs : C, width of the frames.
    width : of what is between the convolutions.
    outputs : H, width of the embeddings.
    states : K that a token goes through in order; with several its beginning differs from its end.
    kernel : frames that either convolution sees; an odd number.
    silence, deviation : as of `hearsay.slu.forward_sum.silence_of` and `expected_places`.
    temperature : τ, by which cosines are divided.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        *,
        states: int = 3,
        kernel: int = 5,
        silence: float = 0.15,
        deviation: float = 0.35,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.states, self.silence, self.deviation = states, silence, deviation
        self.temperature = temperature
        self.norm = nn.LayerNorm(inputs)
        self.first = nn.Conv1d(inputs, width, kernel, padding=kernel // 2)
        self.second = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.output = nn.Linear(width, states * outputs)

    def directions(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Of each state at each frame, [B, T, K, H] of length 1.

        Parameters
        ----------
        frames : [B, T, C] that see little of the audio each.
        mask : [B, T] bool; what lies outside is not seen.
        """
        # Weights are of 16 bits where the whole model is; what comes of them is float32.
        hidden = self.norm(frames.to(self.norm.weight.dtype)).transpose(1, 2)
        for convolution in (self.first, self.second):
            hidden = functional.gelu(convolution(hidden.masked_fill(~mask[:, None], 0.0)))
        found = self.output(hidden.transpose(1, 2)).unflatten(2, (self.states, -1))
        return functional.normalize(found.float(), dim=-1)

    def fit(
        self, directions: Tensor, pieces: Tensor, lengths: Tensor, others: Tensor | None = None
    ) -> Tensor:
        """Log-probability [B, T, N · K] of the states of tokens at frames, a token's side by side.

        Parameters
        ----------
        directions : [B, T, K, H].
        pieces : [B, N, H] embeddings of tokens.
        lengths : [B] tokens of each utterance.
        others : [V, H] embeddings of the different word pieces among which the frames are to find
            theirs; by default those of the utterance. From among these alone one cannot learn: a
            word that always comes first could stand for all that follows.
        """
        found = self._cosines(directions, pieces)
        if others is None:
            there = torch.arange(pieces.shape[1], device=pieces.device) < lengths[:, None]
            absent = ~there.repeat_interleave(self.states, 1)[:, None]
            among = found.masked_fill(absent, -torch.inf)
        else:
            among = self._cosines(directions, others.expand(len(pieces), -1, -1))
        return found - among.logsumexp(2, keepdim=True)

    def forward(
        self,
        frames: Tensor,
        mask: Tensor,
        level: Tensor,
        pieces: Tensor,
        lengths: Tensor,
        *,
        masses: Tensor | None = None,
        others: Tensor | None = None,
    ) -> Paths:
        """Find the paths of utterances.

        Parameters
        ----------
        frames, mask : as of `directions`.
        level : [B, T] of frames in dB.
        pieces, lengths, others : as of `fit`.
        masses : [B, N] of tokens, as of `hearsay.slu.cif.cif`: how long they are expected to be,
            and what they take of the weights that cut them, though not of those that are taught.
        """
        with torch.autocast(frames.device.type, enabled=False):
            fit = self.fit(self.directions(frames, mask), pieces, lengths, others)
            silence = silence_of(level, mask, self.silence)
            expected = torch.ones_like(pieces[..., 0]) if masses is None else masses
            places = expected_places(
                silence,
                mask,
                expected[:, : pieces.shape[1]],
                lengths,
                states=self.states,
                deviation=self.deviation,
            )
            sizes = mask.sum(1)
            found = posterior(fit + places, silence, lengths * self.states, sizes)
            tokens = found.states.unflatten(2, (-1, self.states))
            taught = alpha_of(tokens, lengths)
            alpha = taught if masses is None else alpha_of(tokens, lengths, masses)
        return Paths((found.loss / sizes).float(), alpha, taught, found.there)

    def _cosines(self, directions: Tensor, pieces: Tensor) -> Tensor:
        tokens = functional.normalize(pieces.float(), dim=-1)
        cosines = torch.einsum("btkh,bnh->btnk", directions, tokens)
        return cosines.flatten(2) / self.temperature
