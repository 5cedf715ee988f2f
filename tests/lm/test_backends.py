"""Every backend gives the numbers and gradients of the float64 oracle."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from egru_reference import make_egru, random_chunk, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsay.errors import InputError
from hearsay.lm.backends import graphs, products, selection, torch_loop
from hearsay.lm.egru import EGRU, EGRUState

BACKENDS = ("reference", "torch", "numba", "triton")
VARIANTS = ("paper", "evnn")
backends = pytest.mark.parametrize("backend", BACKENDS)
variants = pytest.mark.parametrize("variant", VARIANTS)


def results(model: EGRU, x, state, weigh, oracle: bool) -> tuple[list, list]:
    """(y, c, y of the last step), and the gradients of a weighted sum of them."""
    if oracle:
        found = run(model, x, *state)
        outputs = [found.y, found.c_last, found.y_last]
    else:
        y, last = model(x, state)
        outputs = [y, *last]
    total = sum((weight * output).sum() for weight, output in zip(weigh, outputs, strict=True))
    return outputs, list(torch.autograd.grad(total, [x, *state, *model.parameters()]))


def assert_like_oracle(model: EGRU, x, state, device: str = "cpu", seed: int = 5) -> None:
    draw = torch.Generator().manual_seed(seed)
    shapes = [(*x.shape[:2], model.hidden_size), state.c.shape, state.y.shape]
    weigh = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]
    expected, expected_gradients = results(model, x, state, weigh, oracle=True)

    there = copy.deepcopy(model).to(device)
    moved = [v.detach().to(device).requires_grad_() for v in (x, *state)]
    found, gradients = results(
        there, moved[0], EGRUState(*moved[1:]), [w.to(device) for w in weigh], oracle=False
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=0, atol=1e-12)
    names = ["x", "c0", "y0", *(name for name, _ in model.named_parameters())]
    for name, one, other in zip(names, gradients, expected_gradients, strict=True):
        torch.testing.assert_close(
            one.cpu(), other, rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}"
        )


@backends
@variants
@pytest.mark.parametrize(
    ("steps", "batch", "hidden"), [(6, 3, 11), (1, 2, 5), (5, 1, 8), (1, 1, 1)]
)
def test_numbers_and_gradients(backend, variant, steps, batch, hidden, on_backend):
    device = on_backend(backend)
    model = make_egru(4, hidden, 2, variant=variant, backend=backend)
    assert_like_oracle(model, *random_chunk(model, steps, batch), device)


@backends
@variants
def test_units_are_active_and_silent_and_in_the_surrogates_range(backend, variant, on_backend):
    """So that the test above tests all parts of the gradient."""
    device = on_backend(backend)
    model = make_egru(4, 11, 2, variant=variant, backend=backend)
    x, state = random_chunk(model, 6, 3)
    cells = run(model, x, *state).cells
    above = cells - torch.stack([model.thresholds(k) for k in range(2)])[:, None, None]
    assert 0.1 < (above > 0).double().mean() < 0.9
    assert 0.1 < (above.abs() < 0.5).double().mean() < 0.9
    model.to(device)(x.to(device), EGRUState(*(v.to(device) for v in state)))
    assert model.backend_used.startswith(backend)


@backends
@variants
@pytest.mark.parametrize("distance", [1e-9, -1e-9])
def test_cells_near_their_thresholds(backend, variant, distance, on_backend):
    """Thresholds are moved to just below or above the first cell states of one sequence."""
    device = on_backend(backend)
    model = make_egru(4, 25, 1, variant=variant, backend=backend)
    x, state = random_chunk(model, 5, 2)
    cells = run(model, x, *state).cells[0, 0, 0].detach()
    possible = (cells > 0.02) & (cells < 0.98)
    assert possible.sum() > 5
    with torch.no_grad():
        model.threshold_logit_l0[possible] = torch.logit(cells[possible] - distance)
    found = run(model, x, *state)
    above = (found.cells[0, 0, 0] - model.thresholds(0))[possible]
    torch.testing.assert_close(above, torch.full_like(above, distance), rtol=1e-3, atol=0)
    assert ((found.y[0, 0, possible] != 0) == (distance > 0)).all()
    assert_like_oracle(model, x, state, device)


@backends
@variants
def test_surrogates_width_and_height(backend, variant, on_backend):
    device = on_backend(backend)
    options = {"pseudo_derivative_width": 0.459, "pseudo_derivative_height": 0.7}
    model = make_egru(4, 7, 1, variant=variant, backend=backend, **options)
    assert_like_oracle(model, *random_chunk(model, 4, 3), device)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@variants
@given(
    steps=st.integers(1, 12),
    batch=st.integers(1, 5),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 17),
    layers=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_shape(backend, variant, steps, batch, inputs, hidden, layers, seed, on_backend):
    on_backend(backend)
    model = make_egru(inputs, hidden, layers, variant=variant, backend=backend, seed=seed)
    assert_like_oracle(model, *random_chunk(model, steps, batch, seed))


@backends
@variants
def test_only_some_gradients_are_wanted(backend, variant, on_backend):
    device = on_backend(backend)
    model = make_egru(variant=variant, backend=backend, trained_thresholds=False).to(device)
    x, _ = random_chunk(model, 4, 2)
    model.weight_ih_l0.requires_grad_(False)
    y, state = model(x.detach())
    y.sum().backward(retain_graph=True)
    first = model.weight_hh_l0.grad.clone()
    model.zero_grad()
    y.sum().backward()  # what was saved is as it was
    assert torch.equal(first, model.weight_hh_l0.grad)
    assert model.threshold_logit_l0.grad is None
    assert model.weight_ih_l0.grad is None
    y, state = model(x.detach())
    state.c.sum().backward()  # no gradient of y itself
    assert torch.isfinite(model.weight_hh_l1.grad).all()


@backends
@variants
def test_float32_agrees_but_within_a_margin_of_the_threshold(backend, variant, on_backend):
    """Steps are compared one by one from the oracle's states: a flipped event changes what follows.

    The share of events that are flipped is below that of units within the margin.
    """
    device = on_backend(backend)
    model = make_egru(16, 32, 1, variant=variant, backend=backend)
    x, state = random_chunk(model, 8 if backend == "triton" else 40, 8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.float())  # numbers that float32 has too
        x, c, y = x.float(), state.c.float(), state.y.float()
        starts = [[], []]
        for now in x:
            starts[0].append(c)
            starts[1].append(y)
            done = run(model, now[None].double(), c.double(), y.double())
            c, y = done.c_last.float(), done.y_last.float()
        many = [x.reshape(1, -1, 16), *(torch.cat(s, 1) for s in starts)]
        exact = run(model, *(v.double() for v in many))
        there = copy.deepcopy(model).float().to(device)
        found, _ = there(many[0].to(device), EGRUState(*(v.to(device) for v in many[1:])))
    margin = 2e-6
    above = (exact.cells[0] - model.thresholds(0)).abs()
    flipped = (found.cpu() != 0) != (exact.y != 0)
    assert not flipped[above > margin].any()
    assert flipped.double().mean() < 1e-4
    same = ~flipped
    torch.testing.assert_close(found.cpu().double()[same], exact.y[same], rtol=0, atol=margin)


def test_auto_takes_the_fastest_that_is_there(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x = torch.randn(3, 2, 4)
    model = EGRU(4, 5)
    assert model.backend_used is None
    if selection.obstacle("numba", x.device) is None:
        model(x)
        assert model.backend_used == "numba"
    monkeypatch.setattr(selection, "_failure", lambda name: f"{name} is not installed")
    model(x)
    assert model.backend_used == "torch"
    assert selection.choose("auto", torch.device("cuda")) == "torch"
    monkeypatch.setattr(selection, "_failure", lambda name: None)
    assert selection.choose("auto", torch.device("cuda")) == "triton"
    assert selection.choose("auto", torch.device("meta")) == "torch"


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_kernels_without_half_precision_are_not_chosen(monkeypatch, kind):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(selection, "_failure", lambda name: None)
    model = EGRU(4, 5).to(kind)
    model(torch.randn(3, 2, 4, dtype=kind))
    assert model.backend_used == "torch"
    assert selection.choose("auto", torch.device("cuda"), kind) == "torch"
    told = rf"'numba' cannot run on cpu: it computes in float32 and float64, not {kind}.*auto"
    with pytest.raises(InputError, match=told):
        EGRU(4, 5, backend="numba").to(kind)(torch.randn(3, 2, 4, dtype=kind))


def test_a_backend_that_cannot_run_says_why(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(selection, "_failure", lambda name: None)
    with pytest.raises(InputError, match=r"'triton' cannot run on cpu.*CUDA GPUs only.*auto"):
        EGRU(4, 5, backend="triton")(torch.randn(3, 2, 4))
    with pytest.raises(InputError, match=r"'numba' cannot run on cuda.*CPU only"):
        selection.choose("numba", torch.device("cuda"))
    monkeypatch.setattr(selection, "_failure", lambda name: f"{name} is not installed")
    with pytest.raises(InputError, match="numba is not installed"):
        EGRU(4, 5, backend="numba")(torch.randn(3, 2, 4))
    with pytest.raises(InputError, match=r"'fortran': choose one of auto, reference, torch"):
        selection.choose("fortran", torch.device("cpu"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "numba is not installed"),
        (ImportError("Numba needs NumPy 2.4 or less"), r"cannot be imported \(Numba needs NumPy 2"),
    ],
)
def test_a_package_that_cannot_be_imported_is_done_without(error, message, monkeypatch):
    def refuse(name):
        raise error

    selection._failure.cache_clear()
    monkeypatch.setattr(selection.importlib, "import_module", refuse)
    try:
        assert selection.choose("auto", torch.device("cpu")) == "torch"
        with pytest.raises(InputError, match=message):
            selection.choose("numba", torch.device("cpu"))
    finally:
        selection._failure.cache_clear()


@pytest.mark.parametrize("backend", ["reference", "torch", "numba"])
@variants
def test_autocast_leaves_the_state_in_float32(backend, variant, on_backend):
    on_backend(backend)
    model = make_egru(8, 16, 2, variant=variant, backend=backend).float()
    x, state = random_chunk(model, 5, 3)
    expected, _ = model(x, state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, last = model(x, state)
    assert y.dtype == last.c.dtype == last.y.dtype == torch.float32
    both = (y != 0) & (expected != 0)
    assert both.sum() > 20
    assert (y - expected)[both].abs().max() < 0.05
    gradients = torch.autograd.grad(y.sum(), [x, *model.parameters()])
    assert all(g.dtype == torch.float32 and torch.isfinite(g).all() for g in gradients)


def test_products_with_packed_weights(monkeypatch):
    weight = torch.randn(600, 500)
    factor = torch.randn(7, 1000)[:, ::2][:, :500]
    result = torch.randn(7, 1800)[:, 600:1200]
    prepared = products.Product(weight, 7, repeats=2)
    expected = factor @ weight.t()
    torch.testing.assert_close(prepared(factor), expected, rtol=1e-5, atol=1e-4)
    before = result.clone()
    prepared.add_to(result, factor)
    torch.testing.assert_close(result, before + expected, rtol=1e-5, atol=1e-4)

    def missing(*_):
        raise NotImplementedError

    monkeypatch.setattr(torch.ops.mkl, "_mkl_reorder_linear_weight", missing, raising=False)
    plain = products.Product(weight, 7, repeats=2)
    torch.testing.assert_close(plain(factor), expected, rtol=1e-5, atol=1e-4)


# Recordings, with a function called again in place of a graph that is replayed.


def again(function):
    function()
    result = function()

    def replay():
        new = function()
        for kept, value in zip(result or (), new or (), strict=True):
            kept.copy_(value)

    return replay, result


@pytest.fixture
def recorded(monkeypatch):
    """The torch loop in recorded blocks; gives the list of all loops made."""
    loops = []

    def make(name, device):
        loops.append(graphs.GraphLoop(torch_loop.LOOP, again))
        return loops[-1]

    graphs.forget()
    monkeypatch.setattr(selection, "_loop", make)
    yield loops
    graphs.forget()


@given(st.integers(1, 1000))
def test_blocks_are_the_chunk(steps):
    found = list(graphs.blocks(steps))
    assert [s for s, n in found for s in range(s, s + n)] == list(range(steps))
    assert all(length in graphs.BLOCKS for _, length in found[:-1])
    assert found[-1][1] in (*graphs.BLOCKS, *range(8))


@variants
@pytest.mark.parametrize("steps", [5, 8, 30, 91, 135])
def test_recorded_blocks_give_the_same_numbers(variant, steps, recorded):
    model = make_egru(3, 5, 2, variant=variant)
    for seed in range(2):  # the second time everything is recorded already
        x, state = random_chunk(model, steps, 2, seed)
        assert_like_oracle(model, x, state)
        with torch.no_grad():
            torch.testing.assert_close(model(x, state)[0], run(model, x, *state).y)
        assert model.backend_used == ("torch+graph" if steps >= 8 else "torch")


def test_few_recordings_serve_all_lengths(recorded):
    model = make_egru(3, 5, 1)
    for steps in range(3, 75, 4):
        model(random_chunk(model, steps, 2)[0])[0].sum().backward()
    assert len(graphs._kept) == 2  # forward and backward
    assert all(set(held.recorded) == set(graphs.BLOCKS) for held in graphs._kept.values())
    for batch in range(1, 20):
        model(random_chunk(model, 8, batch)[0])
    assert len(graphs._kept) == graphs.MOST_KEPT


def test_what_cannot_be_recorded_is_launched(recorded, monkeypatch):
    def refuse(function):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs.GraphLoop, "_record", lambda self, *_: refuse(None))
    model = make_egru(3, 5, 1)
    assert_like_oracle(model, *random_chunk(model, 20, 2))
    model(random_chunk(model, 20, 2)[0])
    assert model.backend_used == "torch"


COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from hearsay.lm.backends import triton_kernels

constants = {"BLOCK": triton_kernels.BLOCK, "width": 0.459, "height": 0.7}
numbers = {"step", "before", "after", "batch", "hidden"}
kernels = [f for n, f in vars(triton_kernels).items() if hasattr(f, "arg_names") and n[0] != "_"]
for kernel in kernels:
    types = {n: "i32" if n in numbers else "*fp32" for n in kernel.arg_names}
    types |= {n: "constexpr" for n in constants if n in types}
    known = {n: value for n, value in constants.items() if n in types}
    source = triton.compiler.ASTSource(kernel, types, known)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    print(kernel.__name__, len(compiled.asm["cubin"]) > 0)
"""


def test_triton_compiles_its_kernels_without_a_gpu(tmp_path):
    """For the H100's and H200's generation; in a process that does not interpret."""
    pytest.importorskip("triton")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    workflow = Path(selection.__file__).parents[3]
    environment |= {"PYTHONPATH": str(workflow), "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
    assert "False" not in done.stdout


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@needs_cuda
@variants
def test_triton_is_recorded_on_a_gpu(variant):
    graphs.forget()
    model = make_egru(16, 33, 2, variant=variant, backend="triton")
    for steps in (70, 35, 91):
        assert_like_oracle(model, *random_chunk(model, steps, 3), "cuda")
    model.cuda()(torch.randn(70, 3, 16, dtype=torch.float64, device="cuda"))
    assert model.backend_used == "triton+graph"


@needs_cuda
@variants
def test_another_stream_and_an_outer_graph(variant):
    model = make_egru(16, 33, 1, variant=variant, backend="auto").cuda().requires_grad_(False)
    x = torch.randn(20, 3, 16, dtype=torch.float64, device="cuda")
    expected, _ = model(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y, _ = model(x)
        alone = EGRU.forward(model, x[:5])[0]
    torch.cuda.synchronize()
    assert torch.equal(y, expected)
    assert torch.equal(alone, expected[:5])
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        y, _ = model(x)
    graph.replay()
    torch.cuda.synchronize()
    torch.testing.assert_close(y, expected)
