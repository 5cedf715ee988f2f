"""Where a network runs."""

import torch


def device_of(name: str) -> torch.device:
    """The device of a setting: as named, or of ``auto`` the GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
