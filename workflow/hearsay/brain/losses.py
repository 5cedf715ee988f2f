"""Losses of BP-GPT: the language model's (Eq. 2) and the contrastive one (Eq. 3-5)."""

import math

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100  # label of padding


def contrastive_loss(fmri_prompt: Tensor, text_prompt: Tensor, temperature: float = 0.1) -> Tensor:
    """Align fMRI prompts with the text prompts of the same windows (Eq. 3-5).

    Parameters
    ----------
    fmri_prompt, text_prompt : [B, k, width]; pair i is one window. Prompts are flattened before
        the cosine. The text prompt is the target: no gradient flows into it.
    temperature : τ.

    Returns
    -------
    Scalar (float32, or float64 for such prompts): the mean over anchors i of −log(S_p / S_n), where
    S_p = exp(cos(B_i, T_i)/τ) and S_n = Σ_{j≠i} exp(cos(B_i, B_j)/τ) + exp(cos(B_i, T_j)/τ).
    The positive is not in the denominator, so that the loss can be negative: it lies within
    ±2/τ + ln 2(B−1). A single pair has no negatives: the loss is 0.

    The paper writes Eq. 4 for one pair (i, j); the sum over j is the reading under which Eq. 5 is
    a contrastive loss. Computed as log-sum-exp, never in less than float32, under any autocast.
    """
    if fmri_prompt.shape != text_prompt.shape:
        raise ValueError(
            f"prompts of different shapes: {tuple(fmri_prompt.shape)}, {tuple(text_prompt.shape)}"
        )
    batch = len(fmri_prompt)
    if batch < 2:
        return (_flat(fmri_prompt) * 0.0).sum()
    with torch.autocast(fmri_prompt.device.type, enabled=False):
        brain, text = _flat(fmri_prompt), _flat(text_prompt.detach())
        brain, text = functional.normalize(brain, dim=1), functional.normalize(text, dim=1)
        to_text = brain @ text.T / temperature
        to_brain = brain @ brain.T / temperature
        positive = to_text.diagonal()  # Eq. 3
        own = torch.eye(batch, dtype=torch.bool, device=brain.device)
        negatives = torch.cat([to_brain, to_text], dim=1).masked_fill(own.repeat(1, 2), -math.inf)
        return (negatives.logsumexp(dim=1) - positive).mean()  # Eq. 4-5


def public_code_contrastive_loss(
    fmri_prompt: Tensor, text_prompt: Tensor, temperature: float = 0.1
) -> Tensor:
    """The contrastive loss that the public code computes instead of Eq. 3-5; for comparison.

    Similarity is the inner product over the row's squared norm, not a cosine; the loss is the
    logarithm of one ratio of batch sums, whose numerator has the positives from text to brain; the
    denominator has all pairs but the diagonal and text-text, so that it holds every positive, in
    both directions. Growing prompts lower it without any alignment, and overflow it: it may become
    NaN, which ends a training with a message.
    """
    batch = len(fmri_prompt)
    with torch.autocast(fmri_prompt.device.type, enabled=False):
        both = torch.cat([_flat(fmri_prompt), _flat(text_prompt.detach())])
        similarity = both @ both.T / both.square().sum(dim=1, keepdim=True)
        weights = (similarity / temperature).exp()
        positive = weights.diagonal(-batch).sum()  # text to brain
        kept = ~torch.eye(2 * batch, dtype=torch.bool, device=both.device)
        kept[batch:, batch:] = False
        return -(positive / weights[kept].sum()).log()


def token_loss(logits: Tensor, labels: Tensor, reduction: str = "token") -> Tensor:
    """Cross-entropy of the target's tokens (Eq. 2).

    Parameters
    ----------
    logits : [B, L, vocabulary], of which position l predicts token l.
    labels : [B, L] int64; `IGNORED` where the target is padded.
    reduction : ``"token"``, the mean over all tokens of the batch, as the public code does; or
        ``"window"``, the paper's sum over a window's tokens, averaged over windows.
    """
    flat = functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    # Silence has no token; its loss is 0.
    return flat / (len(labels) if reduction == "window" else (labels != IGNORED).sum().clamp_min(1))


def _flat(prompt: Tensor) -> Tensor:
    return prompt.to(torch.promote_types(prompt.dtype, torch.float32)).flatten(1)
