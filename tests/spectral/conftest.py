import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from hearsay.errors import InputError
from hearsay.spectral.report import audit


@pytest.fixture
def heavy():
    """Make float32 tensors with heavy-tailed entries, so that every spectrum can be fitted."""
    generator = np.random.default_rng(20190613)

    def make(*shape: int) -> torch.Tensor:
        return torch.from_numpy(generator.standard_t(3, shape).astype(np.float32))

    return make


@pytest.fixture
def weights(heavy):
    """A small state dict."""
    return {"embed.weight": heavy(80, 12), "fc.weight": heavy(20, 12), "fc.bias": heavy(20)}


@pytest.fixture
def refused():
    """Audit what must be refused; return the one line that says why."""

    def audit_it(source, **options) -> str:
        with pytest.raises(InputError) as caught:
            audit(source, convention="paper", **options)
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 500
        return message

    return audit_it


@pytest.fixture
def write_nemo():
    """Write a .nemo archive as NeMo lays it out, under any name for its weights."""

    def write(path: Path, content: dict, name: str = "./model_weights.ckpt", mode: str = "w"):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with tarfile.open(path, mode) as archive:
            for member, data in (("./model_config.yaml", b"a: 1\n"), (name, buffer.getvalue())):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """No test here may reach the network: a socket is an error."""

    def refuse(*args, **kwargs):
        raise AssertionError("the audit opened a socket")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture
def zoo():
    """A module with nearly everything that holds a weight of two dimensions or more."""
    torch.manual_seed(0)

    class Conv1D(nn.Module):  # as transformers' GPT-2 has it: (in, out)
        def __init__(self, width, out):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(width, out))
            self.bias = nn.Parameter(torch.zeros(out))

    class Zoo(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(90, 16)
            self.bag = nn.EmbeddingBag(30, 12)
            self.linear = nn.Linear(16, 24)
            self.conv1 = nn.Conv1d(12, 16, 5)
            self.conv2 = nn.Conv2d(12, 16, 3, groups=1)
            self.grouped = nn.Conv2d(24, 48, 3, groups=2)
            self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
            self.conv3 = nn.Conv3d(10, 12, (1, 2, 2))
            self.up1 = nn.ConvTranspose1d(16, 12, 4)
            self.up3 = nn.ConvTranspose3d(10, 12, 2)
            self.gray = nn.Conv2d(1, 16, 5)
            self.norm = nn.BatchNorm2d(16, affine=False)
            self.attention = nn.MultiheadAttention(16, 2, add_bias_kv=True)
            self.cross = nn.MultiheadAttention(16, 2, kdim=12, vdim=14)
            self.lstm = nn.LSTM(12, 16, 2, bidirectional=True, proj_size=10)
            self.gru = nn.GRU(12, 16)
            self.rnn = nn.RNN(12, 16)
            self.cell = nn.LSTMCell(12, 16)
            self.bilinear = nn.Bilinear(12, 16, 3)
            self.h = nn.ModuleDict({"c_attn": Conv1D(16, 48), "c_proj": Conv1D(16, 16)})
            self.normed = parametrizations.weight_norm(nn.Linear(16, 24))
            self.old_normed = nn.utils.weight_norm(nn.Conv1d(12, 16, 3))
            self.spectral = parametrizations.spectral_norm(nn.Linear(16, 24))
            self.position = nn.Parameter(torch.randn(1, 40, 16))
            self.scale = nn.Parameter(torch.ones(16, 1, 1))
            self.blocks = nn.Parameter(torch.randn(3, 4, 5, 6, 7, 8))
            self.tied = nn.Linear(16, 90, bias=False)
            self.tied.weight = self.embed.weight
            self.again = self.conv1
            self.register_buffer("mask", torch.full((8, 8), float("-inf")))
            self.register_buffer("index", torch.zeros(4, 4, dtype=torch.int64))

    with pytest.warns(FutureWarning, match="weight_norm"):
        return Zoo()
