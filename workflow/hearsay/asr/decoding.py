"""Greedy decoding of CTC outputs, independent of NeMo's."""

from collections.abc import Sequence

from torch import Tensor


def greedy_texts(log_probs: Tensor, lengths: Tensor, labels: Sequence[str]) -> list[str]:
    """Most probable label of each frame, repeats merged, blanks dropped.

    Parameters
    ----------
    log_probs : [B, T, V + 1]; the blank is the last.
    lengths : frames of each clip, [B].
    labels : the V characters.

    Returns
    -------
    Texts with single spaces between words.

    Source: A. Graves et al., "Connectionist temporal classification", ICML 2006, section 3.2 ("best
    path decoding").
    """
    best, blank = log_probs.argmax(-1).tolist(), len(labels)
    texts = []
    for row, length in zip(best, lengths.tolist(), strict=True):
        path = row[:length]
        changes = (b for a, b in zip([blank, *path], path, strict=False) if a != b and b != blank)
        texts.append(" ".join("".join(labels[label] for label in changes).split()))
    return texts
