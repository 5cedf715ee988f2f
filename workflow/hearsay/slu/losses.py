"""Losses of alignment: between tokens of speech and of text, of their number, of their ids.

Tokens are padded on the right; padding enters no sum. Everything is float32 or better, under any
autocast.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100  # an id that no loss looks at: padding, [CLS], [SEP]


def info_nce(
    speech: Tensor,
    text: Tensor,
    lengths: Tensor,
    temperature: float = 0.1,
    *,
    ids: Tensor | None = None,
    negatives: Literal["utterance", "batch"] = "utterance",
) -> Tensor:
    """Symmetric InfoNCE of tokens (Eq. 3 and 4): each finds its own among all, in both directions.

    Parameters
    ----------
    speech, text : [B, N, H]; token n of one belongs to token n of the other. A frozen text branch
        is the caller's matter.
    lengths : [B] tokens of each utterance.
    temperature : τ, by which cosines are divided; the paper does not give it.
    ids : [B, N] word pieces. Where given, a token with the same id as another is no negative of it.
    negatives : the other tokens of the same utterance (Eq. 3), or of all utterances of the batch.

    Returns
    -------
    Scalar: the mean over utterances of the mean over their tokens (with ``"batch"`` over all
    tokens), in nats. Eq. 3's sum from 0 to N over N terms is read as one from 1 to N. An utterance
    without tokens counts as 0.
    """
    there = _check(speech, text, lengths)
    with torch.autocast(speech.device.type, enabled=False):
        x, y = _directions(speech), _directions(text)
        if negatives == "batch":
            ids = None if ids is None else ids[there][None]
            x, y, there = x[there][None], y[there][None], there[there][None]
        # Eq. 3: cos(x_i, y_j) / τ
        similarity = x @ y.transpose(1, 2) / temperature
        pairs = there[:, :, None] & there[:, None, :]
        own = torch.eye(there.shape[1], dtype=torch.bool, device=there.device)
        if ids is not None:
            pairs = pairs & (ids[:, :, None] != ids[:, None, :])
        similarity = similarity.masked_fill(~(pairs | own), -math.inf)
        positive = similarity.diagonal(dim1=1, dim2=2)
        to_text = similarity.logsumexp(2) - positive
        to_speech = similarity.logsumexp(1) - positive
        return _mean(0.5 * to_text + 0.5 * to_speech, there)  # Eq. 4


def cosine_loss(speech: Tensor, text: Tensor, lengths: Tensor) -> Tensor:
    """Σ (1 − cos) over an utterance's tokens (Eq. 1 and 2), averaged over utterances.

    Shapes as in `info_nce`.
    """
    there = _check(speech, text, lengths)
    with torch.autocast(speech.device.type, enabled=False):
        cosines = (_directions(speech) * _directions(text)).sum(2)
        return (1.0 - cosines).masked_fill(~there, 0.0).sum(1).mean()


def quantity_loss(total: Tensor, lengths: Tensor) -> Tensor:
    """|Σα − N|, averaged over utterances; Eq. 5 with an absolute value around it.

    Parameters
    ----------
    total : [B] sums of α before any scaling.
    lengths : [B] tokens that they should give.

    As printed, without the absolute value, Eq. 5 is smallest where α is 0 everywhere.
    """
    return (total - lengths.to(total.dtype)).abs().mean()


def subword_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """L_subword: cross-entropy of word pieces as BERT's upper layers predict them from speech.

    Parameters
    ----------
    logits : [B, N, vocabulary].
    ids : [B, N] word pieces; `IGNORED` where none is to be predicted.

    Returns
    -------
    Scalar: mean over all pieces of the batch, in nats.
    """
    flat = functional.cross_entropy(
        logits.float().flatten(0, 1), ids.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return flat / (ids != IGNORED).sum().clamp_min(1)


def frame_loss(
    frames: Tensor,
    text: Tensor,
    shares: Tensor,
    lengths: Tensor,
    temperature: float = 0.1,
) -> Tensor:
    """How badly single frames fit the tokens they are given to; not in the paper.

    A token's vector is a mean of frames, and changes little as a boundary moves. Here each frame is
    to find its token among those of the utterance, and a boundary frame moves the boundary to the
    side to which it fits better.

    Parameters
    ----------
    frames : [B, T, H] in the space of tokens.
    text : [B, N, H].
    shares : [B, N, T] q, how each frame is shared out to tokens, with its gradient.
    lengths : [B] tokens of each utterance.

    Returns
    -------
    Scalar: mean over frames of all utterances of Σ_n q_nt · −log p(n | t), in nats, where p is the
    softmax of cosines over τ.
    """
    there = there_of(lengths, text.shape[1])
    with torch.autocast(frames.device.type, enabled=False):
        similarity = _directions(text) @ _directions(frames).transpose(1, 2) / temperature
        similarity = similarity.masked_fill(~there[:, :, None], -math.inf)
        misfit = (similarity.logsumexp(1, keepdim=True) - similarity).masked_fill(
            ~there[:, :, None], 0.0
        )
        used = shares.detach().sum()  # each frame's column sums to 1
        return (shares * misfit).sum() / used.clamp_min(1.0)


def duration_loss(left: Tensor, right: Tensor, masses: Tensor, lengths: Tensor) -> Tensor:
    """Squared logarithm of tokens' durations over those expected; not in the paper.

    Parameters
    ----------
    left, right : [B, N] ends of tokens in frames, with their gradient; NaN behind the last token.
    masses : [B, N] how long tokens are expected to be, in proportion.
    lengths : [B] tokens of each utterance.

    Returns
    -------
    Scalar: mean over utterances of the mean over their tokens. One frame is added to durations and
    expectations, so that a token of no length costs a bounded amount.
    """
    there = there_of(lengths, masses.shape[1])
    durations = torch.where(there, right - left, 0.0)
    masses = masses.to(durations).masked_fill(~there, 0.0)
    expected = masses / masses.sum(1, keepdim=True).clamp_min(1e-8)
    expected = expected * durations.detach().sum(1, keepdim=True)
    return _mean(((durations + 1.0) / (expected + 1.0)).log().square(), there).float()


def alpha_loss(alpha: Tensor, taught: Tensor, mask: Tensor, known: Tensor) -> Tensor:
    """How far α is from weights that are known to cut tokens well; not in the paper.

    Parameters
    ----------
    alpha, taught : [B, T] from 0 to 1; what is taught is cut to 1, as α cannot be more.
    mask : [B, T] bool, frames of each utterance.
    known : [B] bool, utterances that have weights to learn from.

    Returns
    -------
    Scalar: mean over these utterances of their mean cross-entropy a frame, in nats. It is smallest
    where α is, for each frame, the mean of what is taught of frames like it.
    """
    taught = taught.detach().float().clamp(0.0, 1.0)
    # A gate can make α 0, whose logarithm is none.
    alpha = alpha.float().clamp(1e-6, 1 - 1e-6)
    entropy = -(taught * alpha.log() + (1 - taught) * (1 - alpha).log())
    sums = entropy.masked_fill(~mask, 0.0).sum(1) / mask.sum(1).clamp_min(1)
    return sums.masked_fill(~known, 0.0).sum() / known.sum().clamp_min(1)


def there_of(lengths: Tensor, size: int) -> Tensor:
    """[B, size] bool: True for the first `lengths` of each row."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def _check(speech: Tensor, text: Tensor, lengths: Tensor) -> Tensor:
    if speech.shape != text.shape or speech.ndim != 3 or len(lengths) != len(speech):
        raise ValueError(
            f"tokens of shapes {tuple(speech.shape)} and {tuple(text.shape)}, {len(lengths)} "
            "lengths; both are [B, N, H]"
        )
    return there_of(lengths, speech.shape[1])


def _directions(vectors: Tensor) -> Tensor:
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    return functional.normalize(vectors, dim=-1)


def _mean(values: Tensor, there: Tensor) -> Tensor:
    """Mean over rows of the mean of what is there."""
    sums = values.masked_fill(~there, 0.0).sum(1)
    return (sums / there.sum(1).clamp_min(1)).mean()
