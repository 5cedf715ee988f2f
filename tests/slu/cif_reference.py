"""CIF as a loop over frames, for one utterance; the oracle of `hearsay.slu.cif`."""

import torch
from torch import Tensor


def serial_cif(hidden: Tensor, alpha: Tensor, count: int, masses=None) -> Tensor:
    """Frames [T, D] with weights [T] into exactly `count` tokens [N, D].

    The last token ends with the last frame: that its sum misses a whole number by rounding is no
    business of the loop's.
    """
    if masses is None:
        masses = torch.ones(count, dtype=alpha.dtype)
    masses = masses * count / masses.sum()
    alpha = alpha * (count / alpha.sum())
    tokens, held, sum_held = [], torch.zeros_like(hidden[0]), 0.0
    for t in range(len(alpha)):
        rest = alpha[t]
        while len(tokens) < count - 1 and sum_held + rest >= masses[len(tokens)]:
            part = masses[len(tokens)] - sum_held
            tokens.append((held + part * hidden[t]) / masses[len(tokens)])
            rest = rest - part
            held, sum_held = torch.zeros_like(hidden[0]), 0.0
        held, sum_held = held + rest * hidden[t], sum_held + rest
    tokens.append(held / masses[len(tokens)])
    return torch.stack(tokens)
