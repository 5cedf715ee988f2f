"""All monotonic paths of frames through a text's tokens, and what each frame gives to which token.

A path goes through the states of the first token in order, then of the second, and so on to the
last, each for a frame or more, with silence or none before, between and after: the trellis of CTC
(A. Graves et al., "Connectionist temporal classification", ICML 2006) with silence for the blank
and each place in the text as a label of its own. The sum over all paths teaches frames their tokens
from a flat start (R. Badlani et al., "One TTS alignment to rule them all", ICASSP 2022), and its
posterior says where tokens begin and end.

Two things keep a token from shrinking to a frame or two, as it does in recognisers trained by CTC,
where the blank takes the rest. The level decides beforehand what may be silence, so that sounds
must be shared out among tokens; and tokens are expected roughly where so much of the sound has
gone by as of the text.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

WIDTH = 3.0  # dB in which a frame passes from silence to sound
RANGE = 60.0  # dB below the loud level, at which the quiet one is put if it is still less
CERTAIN = 0.99  # of silence or sound at most, so that no frame is shut out of tokens or of pauses
QUIET, LOUD = 0.05, 0.95  # shares of frames that lie below the quiet and the loud level
NEVER = -1e4  # log-probability of states that there are not; infinity would make no gradients


class Posterior(NamedTuple):
    """Of all paths of each utterance."""

    loss: Tensor  # [B] −log of their sum, in nats; 0 where there is none
    states: Tensor  # [B, T, S] probability of each state at each frame, without gradient
    there: Tensor  # [B] bool, whether there is a path: no more states than frames


def silence_of(level: Tensor, mask: Tensor, share: float) -> Tensor:
    """Probability [B, T] that frames are silence, by their level alone; in padding CERTAIN.

    Parameters
    ----------
    level : [B, T] in dB.
    mask : [B, T] bool, frames of each utterance; at least one.
    share : of the way from the level of an utterance's quietest frames to that of its loudest, in
        dB, at which silence and sound are equally likely.
    """
    known = level.double().masked_fill(~mask, float("nan"))
    loud = known.nanquantile(LOUD, dim=1, keepdim=True)
    quiet = known.nanquantile(QUIET, dim=1, keepdim=True).maximum(loud - RANGE)
    middle = quiet + share * (loud - quiet)
    silence = torch.sigmoid((middle - level.double().masked_fill(~mask, -RANGE)) / WIDTH)
    return silence.clamp(1 - CERTAIN, CERTAIN).masked_fill(~mask, CERTAIN).float()


def expected_places(
    silence: Tensor,
    mask: Tensor,
    masses: Tensor,
    lengths: Tensor,
    *,
    states: int,
    deviation: float,
) -> Tensor:
    """Log of how far from where it is expected each state is at each frame: [B, T, N · states].

    Of a Gaussian around the place at which as much of the sound has gone by as of the text.

    Parameters
    ----------
    silence : [B, T] as of `silence_of`; silence is no place.
    mask : [B, T] bool, frames of each utterance.
    masses : [B, N] how long tokens are expected to be, in proportion.
    lengths : [B] tokens of each utterance.
    states : of each token, equally long.
    deviation : standard deviation, in tokens.
    """
    there = torch.arange(masses.shape[1], device=masses.device) < lengths[:, None]
    sound = (1.0 - silence).double().masked_fill(~mask, 0.0)
    whole = lengths[:, None].double()
    place = (sound.cumsum(1) - sound / 2) / sound.sum(1, keepdim=True) * whole
    masses = masses.double().masked_fill(~there, 0.0)
    masses = masses / masses.sum(1, keepdim=True).clamp_min(1e-300) * whole
    inside = (torch.arange(states, device=masses.device) + 0.5) / states
    middles = (masses.cumsum(1) - masses)[..., None] + masses[..., None] * inside
    return -(((place[:, :, None] - middles.flatten(1)[:, None]) / deviation) ** 2) / 2


def posterior(fit: Tensor, silence: Tensor, lengths: Tensor, frames: Tensor) -> Posterior:
    """Sum over all monotonic paths, and what frames are on them.

    Parameters
    ----------
    fit : [B, T, S] log-probability of the states of each utterance's tokens, in order, at frames
        that are sound. They need not sum up to 1 over states.
    silence : [B, T] probability that a frame is silence, neither 0 nor 1.
    lengths : [B] states of each utterance.
    frames : [B] frames of each.

    Returns
    -------
    `Posterior`; its loss has a gradient with respect to `fit`, −1 times the probability of a state
    at a frame. Of what is padded nothing is seen.
    """
    count = fit.shape[2]
    here = torch.arange(count, device=fit.device) < lengths[:, None]
    inside = torch.arange(fit.shape[1], device=fit.device) < frames[:, None]
    fit = fit.double().masked_fill(~(here[:, None] & inside[..., None]), NEVER)
    silence = silence.double()
    sound = (1.0 - silence).log()[..., None] + fit
    scores = torch.cat([silence.log()[..., None], sound], 2).transpose(0, 1)
    # A label for each place: neighbours never are the same, so that no silence need be between.
    labels = torch.arange(1, count + 1, device=fit.device).expand(len(fit), count)
    # Words are aligned in inference mode, whose tensors take no gradient; copies of them do.
    with torch.inference_mode(False), torch.enable_grad():
        leaf, sizes = scores.detach().clone().requires_grad_(), (frames.clone(), lengths.clone())
        loss = functional.ctc_loss(
            leaf, labels.clone(), *sizes, reduction="none", zero_infinity=True
        )
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        # PyTorch's gradient is exp(score) − probability: it takes scores to come out of a softmax,
        # which these do not. The true one is −probability.
        states = (leaf.detach().exp() - gradient).clamp_min(0.0).transpose(0, 1)[..., 1:]
        loss = loss.detach()
    there = lengths <= frames
    used = (inside & there[:, None])[..., None] & here[:, None]
    states = states.masked_fill(~used, 0.0)
    return Posterior(loss - (states * (fit - fit.detach())).sum((1, 2)), states, there)


def alpha_of(states: Tensor, lengths: Tensor, masses: Tensor | None = None) -> Tensor:
    """Weights α [B, T] whose running sum passes a token's end where the paths do.

    Each token's mass is spread over its frames by their probability; silence gets none.

    Parameters
    ----------
    states : [B, T, N, K] probability of the K states of each token at each frame.
    lengths : [B] tokens of each utterance.
    masses : [B, N] of tokens, as of `hearsay.slu.cif.cif`; by default all the same.

    Returns
    -------
    float32, with the number of tokens as its sum; 0 where an utterance has no path.
    """
    tokens = states.double().sum(3)
    there = torch.arange(tokens.shape[2], device=states.device) < lengths[:, None]
    if masses is None:
        masses = torch.ones_like(there)
    masses = masses[:, : tokens.shape[2]].to(tokens).masked_fill(~there, 0.0)
    masses = masses / masses.sum(1, keepdim=True).clamp_min(1e-300) * lengths[:, None]
    whole = tokens.sum(1)
    rates = torch.where(whole > 0, masses / torch.where(whole > 0, whole, 1.0), 0.0)
    return (tokens * rates[:, None]).sum(2).float()
