"""The EGRU module: equations, gradient, state, DropConnect, and its manners as a module."""

import copy
import io
import math
from types import SimpleNamespace

import pytest
import torch
from egru_reference import MISTAKES, make_egru, random_chunk, run
from torch.autograd.gradcheck import GradcheckError

from hearsay.errors import InputError
from hearsay.lm.egru import EGRU, EGRUState

variants = pytest.mark.parametrize("variant", ["paper", "evnn"])
fast = pytest.mark.parametrize("backend", ["torch", "numba"])


def bare(variant: str, cell: float, *, backend: str = "torch", **options) -> tuple:
    """(model, x, state) of one unit with ϑ = 1/2 whose first cell state is ``cell``, to the bit.

    All weights are 0, so that gates are 1/2 and the candidate is 0.
    """
    model = EGRU(1, 1, variant=variant, backend=backend, **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    c = torch.full((1, 1, 1), 2 * cell, dtype=torch.float64, requires_grad=True)
    return model, torch.zeros(1, 1, 1, dtype=torch.float64), EGRUState(c, torch.zeros_like(c))


# Equations


@fast
def test_three_steps_by_hand(backend, on_backend):
    on_backend(backend)
    model, _, _ = bare("paper", 0.0, backend=backend)
    x = torch.zeros(3, 1, 1, dtype=torch.float64)
    start = torch.full((1, 1, 1), 4.0, dtype=torch.float64)
    y, (c, last) = model(x, EGRUState(start, torch.zeros_like(start)))
    # c: 4/2 = 2; 2/2 − 2 = −1, as the whole value is taken off after the decay; −1/2 − 0.
    assert y.flatten().tolist() == [2.0, 0.0, 0.0]
    assert (c.item(), last.item()) == (-0.5, 0.0)
    model, _, _ = bare("evnn", 0.0, backend=backend)
    y, (c, last) = model(x, EGRUState(start, torch.zeros_like(start)))
    # ĉ: 2; (2 − 1/2)/2 = 3/4; (3/4 − 1/2)/2 = 1/8, as ϑ = 1/2 is taken off at once.
    assert y.flatten().tolist() == [2.0, 0.75, 0.0]
    assert (c.item(), last.item()) == (0.125, 0.0)


@variants
@fast
def test_no_event_at_the_threshold_itself(variant, backend, on_backend):
    on_backend(backend)
    for cell, event in [(0.5, 0.0), (math.nextafter(0.5, 1), 1.0), (math.nextafter(0.5, 0), 0.0)]:
        model, x, state = bare(variant, cell, backend=backend)
        y, last = model(x, state)
        assert y.item() == cell * event
        assert last.c.item() == (cell - 0.5 * event if variant == "evnn" else cell)


@variants
@fast
@pytest.mark.parametrize("width", [0.25, 0.459])
def test_slope_is_a_triangle_and_exactly_0_outside(variant, backend, width, on_backend):
    """dy/dc₀ = (H + c·λ·max(0, 1 − |c−ϑ|/ε))/2, and −c·λ·… for the threshold."""
    on_backend(backend)
    distances = [0.0, 0.1, 0.2, math.nextafter(width, 0), width, math.nextafter(width, 1), 0.48]
    for distance in {*distances, *(-d for d in distances)}:
        cell = 0.5 + distance
        distance = cell - 0.5  # as rounded
        options = {"pseudo_derivative_width": width, "pseudo_derivative_height": 0.7}
        model, x, state = bare(variant, cell, backend=backend, **options)
        y, _ = model(x, state)
        dc, dtau = torch.autograd.grad(y.sum(), [state.c, model.threshold_logit_l0])
        slope = 0.7 * cell * max(0.0, 1 - abs(distance) / width)
        event = 1.0 if distance > 0 else 0.0
        assert dc.item() == pytest.approx((event + slope) / 2, rel=1e-13, abs=0)
        assert dtau.item() == pytest.approx(-slope * 0.25, rel=1e-13, abs=0)
        if abs(distance) >= width:
            assert dc.item() == event / 2
            assert dtau.item() == 0


# The gradient is that of the function itself where no cell is within ε of its threshold


def away_from_thresholds(variant: str) -> tuple:
    """(model, x, state) with active and silent units, none within 2ε of its threshold."""
    for seed in range(2000):
        options = {"pseudo_derivative_width": 0.01, "threshold_mean": -2.0}
        model = make_egru(2, 3, 2, variant=variant, seed=seed, **options)
        x, state = random_chunk(model, 3, 1, seed)
        cells = run(model, x, *state).cells
        thresholds = torch.stack([model.thresholds(k) for k in range(2)])[:, None, None]
        above = cells - thresholds
        # Events of the first step, so that their reset and what they send on have effects.
        active = (above[:, 0] > 0).double().mean((1, 2))
        if above.abs().min() > 0.02 and ((active > 0.3) & (active < 0.7)).all():
            return model, x, state
    raise AssertionError("no such draw")


def check_gradient(model: EGRU, x, state: EGRUState, gradient) -> bool:
    """Differences of the fast path's own numbers against a function's gradient."""
    names, values = zip(*model.named_parameters(), strict=True)

    def outputs(function, tensors):
        x, c, y, *parameters = tensors
        return function(x, EGRUState(c, y), dict(zip(names, parameters, strict=True)))

    class Mixed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.save_for_backward(*tensors)
            with torch.no_grad():
                return outputs(lambda *a: fast_path(model, *a), tensors)

        @staticmethod
        def backward(ctx, *grads):
            with torch.enable_grad():
                tensors = [t.detach().requires_grad_() for t in ctx.saved_tensors]
                found = outputs(gradient, tensors)
            return torch.autograd.grad(found, tensors, grads, materialize_grads=True)

    inputs = [t.detach().clone().requires_grad_() for t in (x, *state, *values)]
    return torch.autograd.gradcheck(Mixed.apply, inputs, eps=1e-6, atol=1e-6, rtol=1e-5)


def fast_path(model: EGRU, x, state: EGRUState, parameters) -> tuple:
    y, last = torch.func.functional_call(model, parameters, (x, state))
    return y, *last


@variants
@fast
def test_gradcheck(variant, backend, on_backend):
    on_backend(backend)
    model, x, state = away_from_thresholds(variant)
    model.backend = backend
    assert check_gradient(model, x, state, lambda *a: fast_path(model, *a))


@variants
@pytest.mark.parametrize("mistake", MISTAKES)
def test_gradcheck_finds_mistakes(variant, mistake):
    model, x, state = away_from_thresholds(variant)

    def oracle(x, state, parameters, mistake):
        found = run(model, x, *state, parameters=parameters, mistake=mistake)
        return found.y, found.c_last, found.y_last

    assert check_gradient(model, x, state, lambda *a: oracle(*a, None))
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        check_gradient(model, x, state, lambda *a: oracle(*a, mistake))


# State


@variants
@fast
@pytest.mark.parametrize(("batch", "hidden"), [(1, 11), (3, 16), (20, 65)])
def test_one_pass_is_two_that_carry_the_state(variant, backend, batch, hidden, on_backend):
    on_backend(backend)
    model = make_egru(9, hidden, 2, variant=variant, backend=backend)
    x, state = random_chunk(model, 140, batch)
    whole, end = model(x, state)
    first, between = model(x[:70], state)
    second, last = model(x[70:], between)
    # Products of more rows may be summed in another order, by the processor at hand.
    torch.testing.assert_close(whole, torch.cat([first, second]))
    torch.testing.assert_close(end.c, last.c)
    torch.testing.assert_close(end.y, last.y)
    assert torch.equal(whole != 0, torch.cat([first, second]) != 0)
    assert 0.05 < (whole != 0).double().mean() < 0.95


@variants
@fast
def test_gradient_goes_through_the_state_until_detached(variant, backend, on_backend):
    on_backend(backend)
    model = make_egru(3, 7, 2, variant=variant, backend=backend)
    x, state = random_chunk(model, 8, 2)
    leaves = [x, *state, *model.parameters()]
    whole = torch.autograd.grad(model(x, state)[0].sum(), leaves)
    first, between = model(x[:4], state)
    parts = torch.autograd.grad(first.sum() + model(x[4:], between)[0].sum(), leaves)
    for one, two in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)
    first, between = model(x[:4], state)
    after = between.detach()
    assert not after.c.requires_grad
    assert not after.y.requires_grad
    assert torch.equal(after.c, between.c)
    gradient = torch.autograd.grad(model(x[4:], after)[0].sum(), leaves, allow_unused=True)
    assert gradient[0][:4].eq(0).all()
    assert gradient[1] is None
    assert gradient[2] is None


@variants
@fast
def test_steps_are_the_chunk(variant, backend, on_backend):
    on_backend(backend)
    model = make_egru(3, 7, 2, variant=variant, backend=backend)
    x, _ = random_chunk(model, 12, 2)
    whole, end = model(x)
    state, values = None, []
    for now in x:
        y, state = model.step(now, state)
        values.append(y)
    torch.testing.assert_close(torch.stack(values), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(state.c, end.c, rtol=0, atol=1e-12)
    leaves = [x, *model.parameters()]
    by_step = torch.autograd.grad(torch.stack(values).sum(), leaves)
    for one, two in zip(by_step, torch.autograd.grad(whole.sum(), leaves), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_state_by_default_is_zero():
    model = make_egru(3, 7, 2)
    x, _ = random_chunk(model, 4, 5)
    state = model.initial_state(5, like=x)
    assert state.c.shape == state.y.shape == (2, 5, 7)
    assert state.c.dtype == torch.float64
    assert not state.c.any()
    assert not state.y.any()
    assert torch.equal(model(x)[0], model(x, state)[0])


@variants
@fast
def test_sequences_do_not_see_each_other(variant, backend, on_backend):
    on_backend(backend)
    model = make_egru(3, 7, 2, variant=variant, backend=backend)
    x, state = random_chunk(model, 6, 4)
    together, _ = model(x, state)
    for b in range(4):
        one = slice(b, b + 1)
        alone, _ = model(x[:, one], EGRUState(state.c[:, one], state.y[:, one]))
        torch.testing.assert_close(alone, together[:, one], rtol=0, atol=1e-12)


# DropConnect


def masked_weights(model: EGRU, monkeypatch) -> list[torch.Tensor]:
    """Which recurrent weights the backend is given, of every layer and call from now on."""
    from hearsay.lm.backends import selection

    given, runner = [], selection.runner

    def watched(name, device):
        run_layer, used = runner(name, device)

        def watching(constants, x, weight_ih, weight_hh, *rest):
            given.append(weight_hh.detach().clone())
            return run_layer(constants, x, weight_ih, weight_hh, *rest)

        return watching, used

    monkeypatch.setattr(selection, "runner", watched)
    return given


def test_dropconnect_draws_elements_once_a_chunk(monkeypatch):
    model = make_egru(3, 40, 2, dropconnect=0.7)
    given = masked_weights(model, monkeypatch)
    x, _ = random_chunk(model, 5, 2)
    torch.manual_seed(0)
    model(x)
    model(x)
    assert len(given) == 4  # one for each layer and chunk
    for weight, masked in zip([model.weight_hh_l0, model.weight_hh_l1] * 2, given, strict=True):
        kept = masked != 0
        torch.testing.assert_close(masked[kept], weight.detach()[kept] / 0.3)
        assert kept.double().mean().item() == pytest.approx(0.3, abs=0.03)
        assert kept.any(1).all()  # neither rows nor columns as a whole
        assert kept.any(0).all()
    assert not torch.equal(given[0] != 0, given[2] != 0)


def test_dropconnect_keeps_the_expectation(monkeypatch):
    model = make_egru(1, 3, 1, dropconnect=0.5)
    given = masked_weights(model, monkeypatch)
    x = torch.zeros(1, 1, 1, dtype=torch.float64)
    torch.manual_seed(0)
    for _ in range(1000):
        model(x)
    mean = torch.stack(given).mean(0)
    deviation = model.weight_hh_l0.detach().abs() / math.sqrt(1000)  # of that mean, at p = 1/2
    assert ((mean - model.weight_hh_l0.detach()).abs() < 5 * deviation).all()


@variants
def test_evaluation_is_without_dropconnect_and_changes_no_weight(variant):
    model = make_egru(3, 7, 2, variant=variant, dropconnect=0.5)
    plain = make_egru(3, 7, 2, variant=variant)
    before = copy.deepcopy(model.state_dict())
    x, _ = random_chunk(model, 5, 2)
    model.train()
    model(x)[0].sum().backward()
    model.eval()
    assert torch.equal(model(x)[0], plain(x)[0])
    assert torch.equal(model(x)[0], model(x)[0])
    model.train()
    assert not torch.equal(model(x)[0], plain(x)[0])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [name for name, _ in model.named_parameters()] == list(before)


def test_gradient_of_dropped_weights_is_zero(monkeypatch):
    model = make_egru(3, 7, 1, dropconnect=0.5)
    given = masked_weights(model, monkeypatch)
    x, state = random_chunk(model, 5, 4)
    model(x, state)[0].sum().backward()
    assert not model.weight_hh_l0.grad[given[0] == 0].any()
    assert model.weight_hh_l0.grad[given[0] != 0].all()


def test_backends_and_resumed_runs_draw_the_same_masks():
    values = []
    for backend in ("reference", "torch", "torch"):
        model = make_egru(3, 7, 2, dropconnect=0.5, backend=backend)
        x, _ = random_chunk(model, 5, 2)
        torch.manual_seed(3)
        model(x)
        saved = torch.get_rng_state()
        values.append(model(x)[0].detach())
        torch.set_rng_state(saved)
        assert torch.equal(model(x)[0], values[-1])
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-12)
    assert torch.equal(values[1], values[2])


# As a module


@variants
def test_parameters(variant):
    model = EGRU(3, 5, 2, variant=variant)
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    expected = {}
    for layer, inputs in enumerate((3, 5)):
        expected |= {f"weight_ih_l{layer}": (15, inputs), f"weight_hh_l{layer}": (15, 5)}
        expected |= {f"bias_l{layer}": (15,), f"threshold_logit_l{layer}": (5,)}
        if variant == "evnn":
            expected |= {f"bias_hh_l{layer}": (15,)}
    assert shapes == expected
    assert not model.bias_l0.any()


def test_initial_draw():
    torch.manual_seed(0)
    model = EGRU(300, 500, threshold_mean=-3.5)
    assert model.threshold_logit_l0.mean().item() == pytest.approx(-3.5, abs=0.2)
    assert model.threshold_logit_l0.std().item() == pytest.approx(math.sqrt(2), rel=0.1)
    assert model.weight_ih_l0.std().item() == pytest.approx(math.sqrt(2 / 1800), rel=0.02)
    assert model.weight_hh_l0.std().item() == pytest.approx(math.sqrt(2 / 2000), rel=0.02)
    assert ((model.thresholds(0) > 0) & (model.thresholds(0) < 1)).all()
    assert not EGRU(3, 5, trained_thresholds=False).threshold_logit_l0.requires_grad


def test_saved_copied_and_turned_into_double():
    model = make_egru(3, 7, 2).float()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = EGRU(3, 7, 2)
    other.load_state_dict(torch.load(file, weights_only=True))
    x, _ = random_chunk(model, 4, 2)
    assert torch.equal(model(x)[0], other(x)[0])
    assert torch.equal(copy.deepcopy(model)(x)[0], model(x)[0])
    torch.testing.assert_close(model.double()(x.double())[0].float(), other(x)[0])
    assert "variant='paper'" in repr(model)


@variants
@fast
def test_without_gradient_only_the_last_state_is_kept(variant, backend, on_backend, monkeypatch):
    on_backend(backend)
    from hearsay.lm.backends import layer

    chunks, chunk_type = [], layer.Chunk

    def watched(*tensors):
        chunks.append(chunk_type(*tensors))
        return chunks[-1]

    model = make_egru(3, 7, 2, variant=variant, backend=backend)
    x, state = random_chunk(model, 6, 2)
    expected, end = model(x, state)
    monkeypatch.setattr(layer, "Chunk", watched)
    with torch.no_grad():
        y, last = model(x, state)
    assert not y.requires_grad
    assert [len(chunk.carried) for chunk in chunks] == [1, 1]
    assert torch.equal(y, expected)
    assert torch.equal(last.c, end.c)


@variants
@pytest.mark.parametrize("backend", ["reference", "torch", "numba"])
@pytest.mark.parametrize("gradient", [True, False])
def test_activity_is_told_of_cells_before_the_reset(variant, backend, gradient, on_backend):
    on_backend(backend)
    model = make_egru(3, 7, 2, variant=variant, backend=backend, pseudo_derivative_width=0.4)
    x, state = random_chunk(model, 6, 2)
    told = []
    model.activity = SimpleNamespace(add=lambda *a: told.append(a))
    with torch.set_grad_enabled(gradient):
        y, _ = model(x, state)
    cells = run(model, x, *state).cells
    assert [entry[0] for entry in told] == [0, 1]
    for layer, values, pre_reset, thresholds, width in told:
        torch.testing.assert_close(pre_reset, cells[layer], rtol=0, atol=1e-12)
        assert torch.equal(thresholds, model.thresholds(layer))
        assert torch.equal((pre_reset > thresholds), values != 0)
        assert width == 0.4
    assert torch.equal(told[1][1], y)
    assert not told[0][2].requires_grad


def test_the_output_cannot_be_changed_in_place():
    """The gradient reads emitted values again."""
    model = make_egru(3, 7, 1)
    x, _ = random_chunk(model, 4, 2)
    y, _ = model(x)
    with pytest.raises(RuntimeError, match="modified inplace"):
        y.mul_(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0; give at least 1"),
        ({"num_layers": -1}, "num_layers is -1; give at least 1"),
        ({"variant": "lstm"}, "variant 'lstm': choose one of paper, evnn"),
        ({"dropconnect": 1.0}, "dropconnect is 1.0; give a share from 0 to below 1"),
        ({"pseudo_derivative_width": 0.0}, "pseudo_derivative_width is 0.0; give more than 0"),
        ({"backend": "fortran"}, "backend 'fortran': choose one of auto"),
    ],
)
def test_refused_settings(options, message):
    with pytest.raises(InputError, match=message):
        EGRU(**({"input_size": 3, "hidden_size": 5} | options))


def test_refused_shapes():
    model = EGRU(3, 5, 2)
    with pytest.raises(InputError, match=r"shape \(4, 2, 4\); EGRU takes \[time, batch, 3\]"):
        model(torch.zeros(4, 2, 4))
    with pytest.raises(InputError, match="at least one time step"):
        model(torch.zeros(0, 2, 3))
    with pytest.raises(InputError, match=r"\(4, 3\)"):
        model(torch.zeros(4, 3))
    with pytest.raises(InputError, match=r"torch.float64 and EGRU of torch.float32; convert one"):
        model(torch.zeros(4, 2, 3, dtype=torch.float64))
    state = model.initial_state(2, like=torch.zeros(1))
    with pytest.raises(InputError, match=r"state.c has shape \(2, 2, 5\).*\[2, 3, 5\] here"):
        model(torch.zeros(4, 3, 3), state)
