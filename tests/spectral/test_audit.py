"""Statuses of bad weights, the numbers of good ones, and what an audit leaves alone."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from audits import NUMBERS, audit_small, only
from safetensors.torch import save_file
from torch import nn

from hearsay.errors import InputError
from hearsay.spectral import audit_model
from hearsay.spectral.columns import SUCCESSES
from hearsay.spectral.report import audit
from hearsay.spectral.summary import summarise

# --- bad weights ---------------------------------------------------------------------------------


def test_bad_matrices_get_a_status_and_no_number(heavy):
    torch.manual_seed(3)
    nan, inf = heavy(60, 60), heavy(60, 60, 3, 3)
    nan[3, 4] = float("nan")
    inf[0, 0, 1, 1] = float("-inf")
    state = {
        "nan.weight": nan,
        "inf.weight": inf,
        "zero.weight": torch.zeros(60, 60),
        "low.weight": heavy(60, 8) @ heavy(8, 60),
        "orthogonal.weight": nn.init.orthogonal_(torch.empty(60, 80)),
        "identity.weight": torch.eye(60),
        "half.weight": nn.init.orthogonal_(torch.empty(60, 80)).half(),
        "brain.weight": nn.init.orthogonal_(torch.empty(80, 60)).bfloat16(),
        "tiny.weight": heavy(60, 49),
        "huge.weight": torch.full((60, 60), 1e300, dtype=torch.float64).tril(),
        "dwarf.weight": torch.full((60, 60), 1e-200, dtype=torch.float64).tril(),
        "depthwise.weight": torch.full((60, 1, 3, 3), float("nan")),
        "good.weight": heavy(60, 60),
    }
    frame = audit(state)
    statuses = {name: set(part["status"]) for name, part in frame.groupby("name")}
    assert statuses == {
        "nan.weight": {"not_finite"},
        "inf.weight": {"not_finite"},
        "zero.weight": {"zero"},
        "low.weight": {"rank_deficient"},
        "orthogonal.weight": {"degenerate"},
        "identity.weight": {"degenerate"},
        "half.weight": {"degenerate"},
        "brain.weight": {"degenerate"},
        "tiny.weight": {"too_small"},
        "huge.weight": {"not_finite"},
        "dwarf.weight": {"zero"},
        "depthwise.weight": {"not_finite"},
        "good.weight": {"ok"} if frame.iloc[-1]["n_tail"] >= 20 else {"small_tail"},
    }
    bad = frame[frame["name"] != "good.weight"]
    assert bad[[*NUMBERS, "n_tail"]].isna().all().all()
    assert only(frame, "nan.weight")["reason"] == "1 of 3600 values are NaN or infinite"
    assert only(frame, "low.weight")["reason"] == "numerical rank 8 of 60"
    alone = summarise(audit({"good.weight": state["good.weight"]}))
    means = [m for m in alone.index if not m.startswith(("status_", "matrices"))]
    pd.testing.assert_series_equal(summarise(frame)[means], alone[means])


def test_the_report_on_broken_weights_goes_with_them(heavy, tmp_path):
    """What lies beside the outputs is of the weights that were audited last."""
    options = {
        "model": "net",
        "weights": tmp_path / "net.safetensors",
        "settings": json.dumps(
            {"convention": "paper", "min_size": None, "device": "cpu", "placeholders": []}
        ),
        "out": tmp_path / "net.csv",
        "eigenvalues": tmp_path / "net.eigenvalues.npz",
        "record": tmp_path / "net.run.json",
    }
    tensors = {"a.weight": heavy(40, 40), "b.weight": heavy(40, 40)}
    tensors["a.weight"][1, 2] = torch.nan
    save_file(tensors, options["weights"])
    with pytest.raises(InputError, match=r"net: 1 of 2 weights hold NaN or Inf: a\.weight"):
        audit_model.main(**options)
    assert (tmp_path / "net.rejected.csv").exists()
    tensors["a.weight"][1, 2] = 0.5
    save_file(tensors, options["weights"])
    audit_model.main(**options)
    assert (tmp_path / "net.csv").exists()
    assert not (tmp_path / "net.rejected.csv").exists()


def test_a_deficient_slice_spoils_its_pooled_spectrum_only(heavy):
    weight = heavy(16, 16, 1, 3)
    weight[:, :, 0, 1] = heavy(16, 4) @ heavy(4, 16)
    state = {"conv.weight": weight, "other.weight": heavy(16, 16, 1, 3)}
    sliced = audit_small(state)
    assert list(sliced["status"] == "rank_deficient") == [False, True, False, False, False, False]
    pooled = audit_small(state, convention="pooled")
    assert pooled.loc[0, "reason"] == "numerical rank 4 of 16 in 1 slices"
    assert pooled.loc[1, "status"] in SUCCESSES


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "too little memory for 60 x 60 values"),
        (torch.OutOfMemoryError("CUDA out of memory."), "too little memory for 60 x 60 values"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
            "too little memory for 60 x 60 values",
        ),
        (np.linalg.LinAlgError("no convergence"), r"no eigenvalues of 60 x 60 \(no convergence\)"),
        (torch.linalg.LinAlgError("no convergence"), r"no eigenvalues of 60 x 60 \(no conv"),
    ],
)
def test_what_stops_the_linear_algebra_names_the_weight(heavy, monkeypatch, error, message):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("hearsay.spectral.report.eigenvalues", fail)
    with pytest.raises(InputError, match=rf"w\.weight: {message}"):
        audit({"w.weight": heavy(60, 60)})


def test_small_tails_are_flagged_and_counted(heavy):
    frame = audit_small({"w.weight": heavy(14, 14)})
    row = frame.iloc[0]
    assert row["status"] == "small_tail"
    assert row["n_tail"] < 20
    assert "fewer than 20" in row["reason"]
    assert summarise(frame)["alpha"] == row["alpha"]


def test_log_stable_rank_has_no_value_where_lambda_max_is_one():
    weight = torch.diag(torch.linspace(0.2, 1.0, 60, dtype=torch.float64))
    row = audit({"w.weight": weight}).iloc[0]
    assert row["lambda_max"] == 1
    assert row["status"] in SUCCESSES
    assert np.isnan(row["log_stable_rank"])


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_stored_types_are_analysed_in_float64(heavy, dtype):
    exact = heavy(120, 90).double()
    row, rounded, widened = (
        audit({"w.weight": weight}).iloc[0]
        for weight in (exact, exact.to(dtype), exact.to(dtype).double())
    )
    # A stored type costs only the rounding of the entries: the arithmetic is that of float64.
    assert rounded["alpha"] == pytest.approx(widened["alpha"], rel=1e-12)
    if dtype == torch.float32:
        noisy = (exact + 1e-9 * torch.randn(120, 90, dtype=torch.float64)).float()
        assert audit({"w.weight": noisy}).iloc[0]["alpha"] == pytest.approx(row["alpha"], abs=1e-4)


def test_an_embedding_of_many_rows_is_analysed():
    torch.manual_seed(0)
    row = audit(nn.Embedding(60_000, 12), min_size=10).iloc[0]
    assert (row["N"], row["M"]) == (60_000, 12)
    assert row["status"] in SUCCESSES


def test_the_same_report_twice(zoo):
    first, second = ({}, {})
    one = audit_small(zoo, keep_eigenvalues=first.__setitem__)
    two = audit_small(zoo, keep_eigenvalues=second.__setitem__)
    assert one.to_csv() == two.to_csv()
    assert {row: e.tobytes() for row, e in first.items()} == {
        row: e.tobytes() for row, e in second.items()
    }


def test_kept_eigenvalues_belong_to_their_rows(heavy):
    kept = {}
    state = {
        "tiny.weight": heavy(5, 5),
        "conv.weight": heavy(14, 12, 1, 2),
        "z.weight": heavy(14, 14),
    }
    frame = audit_small(state, keep_eigenvalues=kept.__setitem__)
    assert sorted(kept) == [1, 2, 3]
    for row, values in kept.items():
        assert values.dtype == np.float64
        assert len(values) == frame.loc[row, "M"]
        assert (np.diff(values) >= 0).all()
        assert values[-1] == frame.loc[row, "lambda_max"]


def test_progress_sees_every_weight(heavy):
    seen = []

    def progress(weights, total):
        seen.append(total)
        for weight in weights:
            seen.append(weight.name)
            yield weight

    audit_small({"a.weight": heavy(12, 12), "b.weight": heavy(12, 12)}, progress=progress)
    assert seen == [2, "a.weight", "b.weight"]


# --- what it leaves alone ------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_a_module_is_untouched(zoo, training):
    zoo.train(training)
    state = {name: tensor.clone() for name, tensor in zoo.state_dict().items()}
    facts = {name: dict(module.__dict__) for name, module in zoo.named_modules()}
    inner = {
        name: {
            key: dict(value) for key, value in module.__dict__.items() if isinstance(value, dict)
        }
        for name, module in zoo.named_modules()
    }
    grads = {name: (p.requires_grad, p.grad, p.data_ptr()) for name, p in zoo.named_parameters()}
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    audit_small(zoo)
    after = zoo.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    assert {
        name: dict(module.__dict__) for name, module in zoo.named_modules()
    }.keys() == facts.keys()
    for name, module in zoo.named_modules():
        assert module.__dict__.keys() == facts[name].keys()
        for key, value in module.__dict__.items():
            assert value is facts[name][key] or value == facts[name][key], (name, key)
            if isinstance(value, dict):
                assert list(value) == list(inner[name][key])
                assert all(value[k] is v for k, v in inner[name][key].items())
    assert grads == {n: (p.requires_grad, p.grad, p.data_ptr()) for n, p in zoo.named_parameters()}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)


def test_no_gpu_is_said_in_one_line(heavy):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match=r"device 'cuda': no such GPU here .*; use cpu"):
        audit({"w.weight": heavy(60, 60)}, device="cuda")
    with pytest.raises(InputError, match="device 'gpu': choose"):
        audit({"w.weight": heavy(60, 60)}, device="gpu")
    pd.testing.assert_frame_equal(
        *(audit({"w.weight": torch.eye(60)}, device=d) for d in ("cpu", "auto"))
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_numbers(heavy):
    weight = {"w.weight": heavy(200, 120), "conv.weight": heavy(64, 64, 3, 3)}
    cpu, gpu = audit(weight), audit(weight, device="cuda")
    np.testing.assert_allclose(gpu["alpha"], cpu["alpha"], rtol=1e-8)


MEMORY = """
import sys
from hearsay.spectral.report import audit

def megabytes(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))

def sample(weights, total):
    for weight in weights:
        yield weight
        own.append(megabytes("RssAnon"))

for path in sys.argv[1:]:
    own = []
    audit(path, progress=sample)
    print(megabytes("VmHWM"), max(own))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_one_tensor(tmp_path):
    generator = torch.Generator().manual_seed(0)

    def random(layers, *shape):
        return {f"l{k}.weight": torch.randn(shape, generator=generator) for k in range(layers)}

    # 4 and 50 layers of 1 MB, and two of 16 MB, one of which would take 32 in float64.
    save_file(random(4, 1024, 256), tmp_path / "few.safetensors")
    save_file(random(50, 1024, 256), tmp_path / "many.safetensors")
    torch.save(random(50, 1024, 256), tmp_path / "many.pth")
    save_file(random(2, 32768, 128), tmp_path / "big.safetensors")
    names = ["few.safetensors", "many.safetensors", "big.safetensors", "many.pth"]
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, *(str(tmp_path / name) for name in names)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    few, many, big, mapped = (
        [float(x) for x in line.split()] for line in result.stdout.splitlines()
    )
    assert many[0] - few[0] < 20  # peak, in MB; 46 more layers hold 46
    assert mapped[1] - few[1] < 25  # beside the pages of the mapped file
    assert big[0] - many[0] < 16 + 24  # the mapped tensor, and blocks of it in float64
