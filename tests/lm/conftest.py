"""Shared by the tests of language models: one thread, and backends that this machine can test."""

import importlib.util
from collections.abc import Callable

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Small products are not shared among threads; other tests get their setting back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def on_backend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Prepare a backend and return the device to test it on, or skip with the reason.

    Without a GPU, Triton interprets its kernels on the CPU; that must be decided before they are
    first imported.
    """

    def prepare(name: str) -> str:
        if name in ("numba", "triton") and importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
        if name == "triton":
            if torch.cuda.is_available():
                return "cuda"
            monkeypatch.setenv("TRITON_INTERPRET", "1")
        return "cpu"

    return prepare
