"""What the contenders of `lm.py` do in training, each in a process of its own.

python benchmarks/lm_training.py TASK ANSWER ARGUMENTS     (arguments and answer are JSON)
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spectral import resident

LAYERS = 3
THRESHOLD_MEAN = -3.5  # of the paper's presets, about: an active share that is typical

# Name in the tables; module and its options.
CONTENDERS: dict[str, dict] = {
    "torch.nn.GRU": {"cell": "gru"},
    "EGRU, auto": {"backend": "auto"},
    "EGRU, torch": {"backend": "torch"},
    "EGRU, auto, variant evnn": {"backend": "auto", "variant": "evnn"},
    "EGRU, plain autograd loop": {"backend": "reference"},
}


def module_of(contender: str, hidden: int) -> Any:
    """Three layers of equal width, the same weights for all EGRUs of a variant."""
    import torch

    from hearsay.lm.egru import EGRU

    torch.manual_seed(0)
    options = dict(CONTENDERS[contender])
    if options.pop("cell", None) == "gru":
        return torch.nn.GRU(hidden, hidden, LAYERS)
    return EGRU(hidden, hidden, LAYERS, threshold_mean=THRESHOLD_MEAN, **options)


def step_of(contender: str, sizes: dict, hidden: int, device: str) -> tuple[Any, Callable, list]:
    """(the module, a training step without its optimiser, what the last step returned).

    A step is forward and backward; its input has a gradient too, as behind an embedding.
    """
    import torch

    module = module_of(contender, hidden).to(device)
    draw = torch.Generator().manual_seed(1)
    shape = (sizes["steps"], sizes["batch"], hidden)
    x = torch.randn(shape, generator=draw).to(device).requires_grad_()
    weights = (torch.randn(shape, generator=draw) / np.prod(shape)).to(device)
    last: list = []

    def step() -> None:
        module.zero_grad()
        x.grad = None
        y, _ = module(x)
        y.backward(weights)
        last[:] = [y]

    return module, step, last


def time_step(contender: str, sizes: dict, hidden: int, device: str) -> dict:
    """Seconds of each step after two that warm up, and what shows that the work was done."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return {"not_run": "no GPU"}
    module, step, last = step_of(contender, sizes, hidden, device)
    times = []
    for _ in range(2 + sizes["repeats"]):
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    squares = [float((p.grad.double() ** 2).sum()) for p in module.parameters()]
    return {
        "times": times[2:],
        "seconds": float(np.median(times[2:])),
        "backend": getattr(module, "backend_used", None),
        "active": float((last[0] != 0).double().mean()),
        "gradient_norm": float(np.sqrt(sum(squares))),
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
    }


def step_memory(contender: str, sizes: dict, hidden: int) -> dict:
    """Peak of a first step beyond the module and its input; and what is saved for backward."""
    import torch

    warm, warm_step, _ = step_of(contender, {"steps": 2, "batch": 2}, 8, "cpu")
    warm_step()  # libraries are loaded and kernels compiled
    del warm
    module, step, _ = step_of(contender, sizes, hidden, "cpu")
    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    start = time.perf_counter()
    step()
    seconds = time.perf_counter() - start
    peak = resident("VmHWM") - before
    module.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    parameters = 1e-6 * sum(p.numel() * p.element_size() for p in module.parameters())
    return {
        "seconds": seconds,
        "megabytes": peak,
        "saved_megabytes": 1e-6 * sum(saved.values()),
        "gradient_megabytes": parameters,
    }


TASKS = {f.__name__: f for f in (time_step, step_memory)}


if __name__ == "__main__":
    name, answer, arguments = sys.argv[1:]
    Path(answer).write_text(json.dumps(TASKS[name](*json.loads(arguments))))
