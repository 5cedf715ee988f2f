"""Shared by the tests of WaBERT: one thread."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Small products are not shared among threads; other tests get their settings back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
