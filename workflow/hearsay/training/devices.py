"""Where a network runs."""

import torch

from hearsay.errors import InputError


def device_of(name: str) -> torch.device:
    """The device of a setting: as named, or of ``auto`` the GPU if there is one, else the CPU.

    Raises InputError where a GPU is named and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device: {name} asked for, but there is no GPU here; set device to auto")
    return torch.device(name)


def precision_of(name: str, *, gpu: bool) -> str:
    """Fabric's precision: as named; of ``auto`` bf16-mixed on a GPU that has it, else 32-true."""
    if name == "auto":
        return "bf16-mixed" if gpu and torch.cuda.is_bf16_supported() else "32-true"
    return name
