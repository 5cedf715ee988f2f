"""Running sums of α, and where they pass the numbers at which tokens end.

All of it is float64; see `hearsay.slu.cif` for what α is.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

NO_MASS = 1e-8  # sums of α below this are none: scaling them up would blow up gradients


class Scaled(NamedTuple):
    """Running sums in units of tokens."""

    sums: Tensor  # [B, T] float64 C: never falls, and ends with the number of tokens exactly
    ends: Tensor  # [B, N] float64 the sums at which tokens end; 1…N where all weigh alike
    lengths: Tensor  # [B] int64 tokens
    frames: Tensor  # [B] int64 frames


def scale(
    alpha: Tensor,
    *,
    target_lengths: Tensor | None = None,
    mask: Tensor | None = None,
    masses: Tensor | None = None,
    threshold: float = 1.0,
) -> Scaled:
    """Running sums of α, scaled so that they end at the number of tokens; as `cif` describes."""
    valid = torch.ones_like(alpha, dtype=torch.bool) if mask is None else mask.bool()
    alpha = alpha.double().masked_fill(~valid, 0.0)
    frames = valid.sum(1)
    if target_lengths is not None:
        target_lengths = target_lengths.to(alpha.device, torch.int64)
        _check(target_lengths <= frames, "more tokens than frames", target_lengths, frames)
    _check((alpha >= 0).all(1), "alpha below 0, or not a number")
    # Sums in parallel may fall by a rounding error; on a CPU this changes nothing.
    raw = alpha.cumsum(1).cummax(1).values
    total = raw[:, -1:]
    some = total > NO_MASS
    lengths = target_lengths
    if lengths is None:
        rounded = (total[:, 0] / threshold + 0.5).floor().long().clamp_min(1)
        lengths = torch.where(some[:, 0], rounded, 0)
    even = valid.double().cumsum(1)
    sums = torch.where(
        some, raw / torch.where(some, total, 1.0), even / even[:, -1:].clamp_min(1.0)
    )
    # The last sum is 1 exactly: x / x is.
    sums = sums * lengths[:, None]
    count = int(lengths.max()) if len(lengths) else 0
    return Scaled(sums, _ends(lengths, count, masses, sums), lengths, frames)


def shares(scaled: Scaled, *, by: Literal["token", "frame"] = "token") -> Tensor:
    """How frames are shared out to tokens: [B, N, T] float64.

    Each token's row sums to 1 (W of `cif`), or by frame each frame's column does; a frame without
    mass then has a column of zeros.
    """
    sums, ends, lengths, _ = scaled
    before = functional.pad(sums, (1, 0))[:, :-1]
    starts = functional.pad(ends, (1, 0))[:, :-1]
    upper = torch.minimum(sums[:, None, :], ends[:, :, None])
    lower = torch.maximum(before[:, None, :], starts[:, :, None])
    there = torch.arange(ends.shape[1], device=ends.device) < lengths[:, None]
    mass = (upper - lower).clamp_min(0.0).masked_fill(~there[:, :, None], 0.0)
    whole = (ends - starts)[:, :, None] if by == "token" else (sums - before)[:, None, :]
    return mass / whole.masked_fill(whole == 0, 1.0)


def crossings(scaled: Scaled, points: Tensor) -> Tensor:
    """Where running sums pass given values: positions [B, K] in frames, between 0 and T.

    Parameters
    ----------
    points : [B, K] float64, in units of tokens, from 0 to the number of tokens.

    A frame's mass counts as evenly spread over it: with t the first frame whose sum reaches the
    value, the position is t + (value − P_t) / α_t. It has a gradient with respect to α.
    """
    sums = scaled.sums
    frame = torch.searchsorted(sums.detach().contiguous(), points.detach().contiguous())
    frame = frame.clamp_max(sums.shape[1] - 1)
    after = sums.gather(1, frame)
    before = functional.pad(sums, (1, 0)).gather(1, frame)
    width = after - before
    held = width > 0
    inside = torch.where(held, (points - before) / torch.where(held, width, 1.0), 0.0)
    return frame + inside.clamp(0.0, 1.0)


def token_edges(scaled: Scaled, trim: float = 0.0) -> tuple[Tensor, Tensor]:
    """Left and right end of every token, [B, N] positions in frames; NaN behind the last token.

    Parameters
    ----------
    trim : share of a token's mass that is left out at either end, below 0.5. With 0 a token ends
        where the next one begins; with a little, frames of almost no weight, such as a pause,
        belong to none.
    """
    ends = scaled.ends
    starts = functional.pad(ends, (1, 0))[:, :-1]
    cut = trim * (ends - starts)
    there = torch.arange(ends.shape[1], device=ends.device) < scaled.lengths[:, None]
    left, right = (
        crossings(scaled, torch.where(there, points, 0.0)).masked_fill(~there, float("nan"))
        for points in (starts + cut, ends - cut)
    )
    return left, right


def _ends(lengths: Tensor, count: int, masses: Tensor | None, like: Tensor) -> Tensor:
    """Sums at which tokens end; behind the last token they go on, beyond every sum."""
    whole = torch.arange(1, count + 1, device=like.device, dtype=like.dtype)
    whole = whole.expand(len(lengths), count)
    if masses is None:
        return whole
    if masses.shape[0] != len(lengths) or masses.shape[1] < count:
        raise ValueError(
            f"masses of shape {tuple(masses.shape)}; there are {len(lengths)} utterances of up to "
            f"{count} tokens"
        )
    there = whole <= lengths[:, None]
    held = masses[:, :count].detach().to(like).masked_fill(~there, 0.0)
    _check((held > 0).eq(there).all(1), "masses not above 0")
    ends = held.cumsum(1)
    ends = ends / ends[:, -1:].clamp_min(1e-300) * lengths[:, None]
    # The last end is the number of tokens exactly, as the last sum is.
    return torch.where(whole < lengths[:, None], ends, whole)


def _check(good: Tensor, fault: str, *values: Tensor) -> None:
    """Refuse a batch in which not all utterances are good: the fault, which they are, values."""
    if not good.all():
        which = (~good).nonzero()[:, 0].tolist()
        shown = "".join(f", {value[~good].tolist()}" for value in values)
        raise ValueError(f"{fault}: utterances {which} of the batch{shown}")
