"""Shared by the tests of recognisers: one thread, and a corpus of tones."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tones import words, write_part


@pytest.fixture(autouse=True)
def _one_thread():
    """Small products are not shared among threads; other tests get their settings back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Path]:
    """Write a part of the corpus of tones; gives its manifest."""

    def make(name: str = "train", count: int = 8, letters: str = "abcde", **options) -> Path:
        return write_part(tmp_path / "speech", name, words(letters, count), **options)

    return make
