"""Continuous integrate-and-fire (CIF): frames are gathered into tokens, in order and in full.

Frames carry weights α. They are summed up from the left; whenever the sum passes a whole number, a
token ends (L. Dong and B. Xu, "CIF: Continuous Integrate-and-Fire for End-to-End Speech
Recognition", 2020). With C the running sum and P the one before a frame, token n takes of frame t

    W[n, t] = max(0, min(C_t, n) − max(P_t, n − 1)),

whole frames inside, shares at its two ends; a frame may end several tokens. W has at most T + N
values that are not zero, one for each step from one of the points C_1…C_T, 1…N to the next. These
are what `cif` sums up, so that W itself, [N, T], is only made where it is asked for.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hearsay.slu.firing import Scaled, scale, shares


class Fired(NamedTuple):
    """What `cif` returns."""

    vectors: Tensor  # [B, N, D], float32 or better; zeros behind an utterance's last token
    lengths: Tensor  # [B] int64, tokens of each utterance
    weights: Tensor | None  # [B, N, T] W, of the type of `vectors`, where asked for


def cif(
    hidden: Tensor,
    alpha: Tensor,
    *,
    target_lengths: Tensor | None = None,
    mask: Tensor | None = None,
    masses: Tensor | None = None,
    threshold: float = 1.0,
    return_weights: bool = False,
) -> Fired:
    """Gather frames into tokens.

    Parameters
    ----------
    hidden : [B, T, D] frames.
    alpha : [B, T] their weights, at least 0; above 1 too.
    target_lengths : [B] tokens that each utterance must give: α is scaled to it (training, and
        alignment to a known text). None: the sum of α, in thresholds, rounded; at least one token
        wherever there is any mass. Then too α is scaled, so that no tail is left over.
    mask : [B, T] bool, True for frames of the utterance; padding is on the right.
    masses : [B, N] how much of the sum each token takes, in proportion; by default all the same.
        A token's vector is a mean of frames whatever its mass.
    threshold : the sum at which a token fires, by which its vector is multiplied too.
    return_weights : whether to make W as well.

    Returns
    -------
    `Fired`. Every utterance gives exactly its number of tokens. Where α has no mass to scale to a
    target, each frame weighs the same, and α gets no gradient.

    Sums are float64 under any autocast. What lies in padded frames, their number and the rest of
    the batch change no bit of an utterance's tokens (CPU); padded frames get no gradient. Gradients
    are those of the loop over frames: fires are constants, a frame inside a token counts fully.

    Raises
    ------
    ValueError
        for shapes that do not fit, α below 0, and a target of more tokens than frames.
    """
    _check_shapes(hidden, alpha, mask)
    with torch.autocast(hidden.device.type, enabled=False):
        scaled = scale(
            alpha, target_lengths=target_lengths, mask=mask, masses=masses, threshold=threshold
        )
        vectors = _gathered(hidden, scaled, threshold)
        weights = None
        if return_weights:
            weights = (threshold * shares(scaled)).to(vectors.dtype)
    return Fired(vectors, scaled.lengths, weights)


def _gathered(hidden: Tensor, scaled: Scaled, threshold: float) -> Tensor:
    """Tokens as weighted sums of frames, over the steps between neighbouring points."""
    sums, ends, lengths, sizes = scaled
    batch, frames, width = hidden.shape
    count = ends.shape[1]
    hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    if not count:
        return hidden.new_zeros(batch, 0, width)
    numbers = torch.arange(frames, device=hidden.device).expand(batch, frames)
    tokens = torch.arange(count, device=hidden.device).expand(batch, count)
    # Merge by rank: before a token's end lie the frames whose sum is smaller, before a frame's sum
    # the ends that are not larger. At a tie the token ends first, as a loop with ≥ has it; but the
    # last token goes on to the last frame, though later frames may add too little to be seen.
    total = lengths[:, None].to(sums)
    fixed = torch.where(numbers < sizes[:, None] - 1, sums.detach(), total + 0.75)
    stops = torch.where(tokens + 1 == lengths[:, None], total + 0.5, ends)
    reached = torch.searchsorted(fixed, stops)
    ended = torch.searchsorted(stops, fixed, right=True)
    places = torch.cat([numbers + ended, reached + tokens], 1)
    steps = frames + count

    def merge(of_frames: Tensor, of_ends: Tensor) -> Tensor:
        values = torch.cat([of_frames, of_ends], 1)
        return torch.zeros_like(values).scatter(1, places, values)

    points = merge(sums, ends)
    frame = merge(numbers, reached.clamp_max(frames - 1))
    token = merge(ended.clamp_max(count - 1), tokens)
    # What comes after an utterance's last token is left out: padding, and ends of longer ones.
    first_of_frame, first_of_token = (
        functional.pad(place + 1, (1, 0)) for place in (numbers + ended, reached + tokens)
    )
    last = first_of_token.gather(1, lengths[:, None])
    used = torch.arange(steps, device=hidden.device) < last
    weights = torch.where(used, points - functional.pad(points, (1, 0))[:, :-1], 0.0)
    masses = ends - functional.pad(ends, (1, 0))[:, :-1]
    weights = (threshold * weights / masses.gather(1, token)).to(hidden.dtype)
    # The bag behind the last token takes what is not used, be it not a number.
    vectors = _bags(hidden.detach(), frame, first_of_token.minimum(last), weights)[:, :-1]
    return _ToFrames.apply(
        vectors, hidden, weights.detach(), token, first_of_frame[:, :-1].minimum(last)
    )


class _ToFrames(torch.autograd.Function):
    """Vectors [B, N, D] as they are; gradients reach the frames [B, T, D] too, each sum in order.

    PyTorch's own way from a bag to its rows sorts them anew and is several times slower.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, hidden: Tensor, weights: Tensor, token: Tensor, first: Tensor
    ) -> Tensor:
        ctx.save_for_backward(weights, token, first)
        return vectors.view_as(vectors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, token, first = ctx.saved_tensors
        frames = None
        if ctx.needs_input_grad[1]:
            frames = _bags(gradient, token, first, weights)
        return gradient, frames, None, None, None


def _bags(values: Tensor, index: Tensor, first: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums [B, L, D] of consecutive steps: values [B, M, D], index [B, K], first [B, L].

    The last of a row's bags goes on to its last step.
    """
    batch, size, width = values.shape
    rows = torch.arange(batch, device=values.device)[:, None]
    return functional.embedding_bag(
        (index + rows * size).flatten(),
        values.reshape(batch * size, width),
        (first + rows * index.shape[1]).flatten(),
        mode="sum",
        per_sample_weights=weights.flatten(),
    ).view(batch, first.shape[1], width)


def _check_shapes(hidden: Tensor, alpha: Tensor, mask: Tensor | None) -> None:
    if hidden.ndim != 3 or alpha.shape != hidden.shape[:2] or not alpha.shape[1]:
        raise ValueError(
            f"hidden of shape {tuple(hidden.shape)} and alpha of {tuple(alpha.shape)}; cif takes "
            "[B, T, D] and [B, T] with at least one frame"
        )
    if mask is not None and mask.shape != alpha.shape:
        raise ValueError(f"mask of shape {tuple(mask.shape)}; alpha has {tuple(alpha.shape)}")
