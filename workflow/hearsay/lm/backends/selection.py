"""Which backend runs a layer."""

import importlib
import os
from collections.abc import Callable
from functools import cache, partial

import torch

from hearsay.errors import InputError, reason_of
from hearsay.lm.backends.layer import Loop

NAMES = ("reference", "torch", "numba", "triton")
RunLayer = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]


def obstacle(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """None if a backend can run on a device with weights of `dtype`, else why it cannot."""
    if name == "numba" and device.type != "cpu":
        return "it runs on the CPU only"
    # Triton's interpreter, for tests, runs kernels wherever tensors are.
    if name == "triton" and device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "it runs on CUDA GPUs only"
    if name not in ("numba", "triton"):
        return None
    if dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {dtype}"
    return _failure(name)


@cache
def _failure(package: str) -> str | None:
    """Why an optional package cannot be imported, if so."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # numba: a numpy newer than it knows; triton: its own libraries
        return f"{package} cannot be imported ({reason_of(error)})"
    return None


def choose(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The backend to use: the one named, or for "auto" the fastest that the device has.

    Raises
    ------
    InputError
        for an unknown name, and for a backend that cannot run on the device or with weights of
        `dtype`.
    """
    if name == "auto":
        fast = {"cpu": "numba", "cuda": "triton"}.get(device.type, "torch")
        return fast if obstacle(fast, device, dtype) is None else "torch"
    if name not in NAMES:
        raise InputError(f"backend {name!r}: choose one of auto, {', '.join(NAMES)}")
    reason = obstacle(name, device, dtype)
    if reason is not None:
        raise InputError(f"backend {name!r} cannot run on {device.type}: {reason}; choose auto")
    return name


def runner(name: str, device: torch.device) -> tuple[RunLayer, Callable[[], str]]:
    """A backend's `run_layer`, and what to call after it to learn how it ran."""
    if name == "reference":
        from hearsay.lm.backends import reference_loop

        return reference_loop.run_layer, lambda: name
    from hearsay.lm.backends import layer

    loop = _loop(name, device)
    return partial(layer.run_layer, loop), lambda: loop.name


def _loop(name: str, device: torch.device) -> Loop:
    if name == "numba":
        from hearsay.lm.backends import numba_loop

        return numba_loop.LOOP
    if name == "triton":
        from hearsay.lm.backends import triton_loop

        if device.type != "cuda":
            return triton_loop.LOOP
        from hearsay.lm.backends.graphs import GraphLoop, capture

        return GraphLoop(triton_loop.LOOP, capture)
    from hearsay.lm.backends import torch_loop

    return torch_loop.LOOP
