"""The event engine against the dense model, and its count of what it executes."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from hearsay.errors import InputError
from hearsay.lm import event_engine
from hearsay.lm import event_kernels as kernels
from hearsay.lm.event_engine import EventEngine
from hearsay.lm.event_speed import model_with_activity
from hearsay.lm.language_model import LanguageModel
from hearsay.lm.operations import effective_macs

WORDS, EMBEDDING, HIDDEN = 83, 21, 37  # no multiples of anything
STEPS = 300
BOTH = pytest.mark.parametrize("variant", ["paper", "evnn"])


def lively_model(
    variant: str = "paper", dtype=torch.float64, seed: int = 0, **options
) -> LanguageModel:
    """Weights and biases large enough that units do all sorts of things."""
    torch.manual_seed(seed)
    model = LanguageModel(
        WORDS, EMBEDDING, HIDDEN, 3, variant=variant, backend="reference", **options
    )
    with torch.no_grad():
        model.embedding.weight.normal_()
        model.decoder_bias.normal_()
        for layer in model.layers:
            layer.bias_l0.normal_()
            layer.weight_hh_l0.mul_(2)
            layer.threshold_logit_l0.add_(2)
            if variant == "evnn":
                layer.bias_hh_l0.normal_()
    return model.to(dtype).eval()


def words(steps: int, batch: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(WORDS, size=(steps, batch)))


@torch.no_grad()
def dense_run(model: LanguageModel, tokens: torch.Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits [T, B, V] and every layer's outputs [T, B, H], step by step with carried state."""
    logits, outputs, state = [], [], None
    for row in tokens:
        hidden, state = model(row[None], state)
        logits.append(model.logits(hidden)[0])
        outputs.append([y[0] for _, y in state])
    per_layer = [torch.stack(layer).numpy() for layer in zip(*outputs, strict=True)]
    return torch.stack(logits).numpy(), per_layer


@BOTH
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("lookup", [True, False])
@pytest.mark.parametrize(
    "decoder", [{}, {"decoder_scale": 2.0, "decoder_centre": 0.3, "decoder_map": True}]
)
def test_logits_are_those_of_the_dense_model_in_float64(variant, batch, lookup, decoder):
    model, tokens = lively_model(variant, **decoder), words(STEPS, batch)
    logits, outputs = dense_run(model, tokens)
    engine = EventEngine(model, batch=batch, lookup=lookup)
    for t, row in enumerate(tokens):
        found = engine.step(row)
        assert found.dtype == np.float64
        assert np.abs(found - logits[t]).max() < 1e-12
        for k, lanes in enumerate(engine.events):
            for b, active in enumerate(lanes):
                assert np.array_equal(active, np.flatnonzero(outputs[k][t, b]))
    assert 0.05 < engine.activity.activity_sparsity() < 0.95


@BOTH
def test_float32_beside_float64_with_its_event_flips(variant, record_property):
    model, tokens = lively_model(variant), words(STEPS, 2)
    logits, outputs = dense_run(model, tokens)
    engine = EventEngine(model.float(), batch=2)
    flips = total = 0
    for t, row in enumerate(tokens):
        found = engine.step(row)
        assert found.dtype == np.float32
        for k, lanes in enumerate(engine.events):
            for b, active in enumerate(lanes):
                events = np.zeros(outputs[k].shape[-1], bool)
                events[active] = True
                flips += np.count_nonzero(events != (outputs[k][t, b] != 0))
                total += len(events)
        if not flips:  # after one, two trajectories are compared that may differ
            assert np.abs(found - logits[t]).max() < 1e-4
    record_property("event_flips", f"{flips} of {total}")
    print(f"{variant}: {flips} event flips in {total} unit-steps")
    assert flips < 1e-3 * total


@BOTH
@pytest.mark.parametrize("fraction", [0.0, 1.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_all_silent_and_all_active(variant, fraction, batch):
    model = model_with_activity(
        (HIDDEN, HIDDEN, EMBEDDING), WORDS, fraction, seed=0, variant=variant
    ).double()
    tokens = words(STEPS, batch)
    logits, _ = dense_run(model, tokens)
    engine = EventEngine(model, batch=batch)
    found = np.stack([engine.step(row) for row in tokens])
    assert engine.activity.active_fractions() == [fraction] * 3
    assert np.abs(found - logits).max() < 1e-12
    if fraction == 0:
        assert engine.macs == 0
        assert np.array_equal(found[-1, 0], model.decoder_bias.detach().numpy())


@BOTH
def test_steps_without_and_with_all_events_in_one_stream(variant):
    """Two words: one silences every unit, the other excites every unit."""
    torch.manual_seed(0)
    model = LanguageModel(2, 8, 8, 2, variant=variant, backend="reference").double().eval()
    sign = 1.0 if variant == "paper" else -1.0
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, 8))
        for layer in model.layers:
            layer.threshold_logit_l0.fill_(-2.0)
            layer.weight_hh_l0.mul_(0.1)
            layer.weight_ih_l0.mul_(0.1)
            layer.weight_ih_l0[16:] += 0.5 if layer is model.layers[0] else 4.0
            layer.bias_l0[:8] = 3.0 * sign  # hardly any memory
        model.layers[1].bias_l0[16:] = -0.5
    tokens = words(STEPS, 1) % 2
    logits, outputs = dense_run(model, tokens)
    active = {int(np.count_nonzero(y)) for step in outputs for y in step[:, 0]}
    assert {0, 8} <= active
    engine = EventEngine(model)
    found = np.stack([engine.step(row) for row in tokens])
    assert np.abs(found - logits).max() < 1e-12


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sequence_does_not_depend_on_its_neighbours(variant, dtype):
    model, tokens = lively_model(variant, dtype), words(100, 4)
    together = EventEngine(model, batch=4)
    alone = [EventEngine(model) for _ in range(4)]
    for row in tokens:
        logits = together.step(row)
        for b, engine in enumerate(alone):
            assert np.array_equal(engine.step(row[b]), logits[b : b + 1])


@BOTH
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("lookup", [True, False])
def test_executed_macs_are_those_of_the_formula(variant, batch, lookup):
    model, tokens = lively_model(variant), words(STEPS, batch)
    _, outputs = dense_run(model, tokens)
    engine = EventEngine(model, batch=batch, lookup=lookup)
    for row in tokens:
        engine.step(row)
    # Events counted by the dense model, not by the engine.
    assert engine.activity.events == [np.count_nonzero(y) for y in outputs]
    active = [np.count_nonzero(y) / y.size for y in outputs]
    formula = effective_macs(model.layer_sizes, WORDS, active, lookup=lookup)
    waiting = sum(
        3 * hidden * np.count_nonzero(y[-1])
        for (_, hidden), y in zip(model.layer_sizes, outputs, strict=True)
    )
    assert engine.macs == round(STEPS * batch * formula) - waiting
    assert formula * STEPS * batch == pytest.approx(round(STEPS * batch * formula), abs=1e-3)
    without = effective_macs(model.layer_sizes, WORDS, active, lookup=lookup, decoder=False)
    parts = engine.macs_by_part
    assert parts["decoder"] == round(STEPS * batch * (formula - without))
    assert parts["words"] == (0 if lookup else STEPS * batch * 3 * EMBEDDING * HIDDEN)


def test_reset_returns_to_the_start():
    engine, tokens = EventEngine(lively_model()), words(50, 1)
    first = np.stack([engine.step(row) for row in tokens])
    macs = engine.macs
    engine.reset()
    assert engine.macs == sum(engine.activity.steps) == 0
    assert np.array_equal(np.stack([engine.step(row) for row in tokens]), first)
    assert engine.macs == macs
    engine.reset(batch=2)
    assert engine.step([1, 2]).shape == (2, WORDS)


def test_training_afterwards_changes_nothing():
    model, tokens = lively_model(), words(5, 1)
    for lookup in (True, False):
        engine, other = EventEngine(model, lookup=lookup), EventEngine(model, lookup=lookup)
        before = np.stack([engine.step(row) for row in tokens])
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
        assert np.array_equal(np.stack([other.step(row) for row in tokens]), before)


def test_one_layer_and_five():
    for layers in (1, 5):
        torch.manual_seed(0)
        model = LanguageModel(WORDS, EMBEDDING, HIDDEN, layers, backend="reference").double()
        with torch.no_grad():
            model.embedding.weight.normal_()
        tokens = words(50, 1)
        logits, _ = dense_run(model.eval(), tokens)
        engine = EventEngine(model)
        assert np.abs(np.stack([engine.step(row) for row in tokens]) - logits).max() < 1e-12


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core")
def test_threads_change_no_bit(monkeypatch):
    # Wide enough for products to be shared out.
    model = model_with_activity((300, 300, 150), 1000, 1.0, seed=0)
    tokens = words(8, 2)
    # The table of products is BLAS's work, and not what is shared out here.
    weights = event_engine.gather_weights(model, lookup=True)
    monkeypatch.setattr(event_engine, "gather_weights", lambda *_, **__: weights)
    one, two = EventEngine(model, batch=2), EventEngine(model, batch=2, threads=2)
    before = numba.get_num_threads()
    for row in tokens:
        assert np.array_equal(one.step(row), two.step(row))
    assert one.macs == two.macs
    assert numba.get_num_threads() == before


# --- scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_scores_are_negative_log_likelihoods(dtype, close):
    model, tokens = lively_model(dtype=dtype), words(200, 2)
    logits, _ = dense_run(model, tokens[:-1])
    wanted = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double().flatten(0, 1), tokens[1:].flatten(), reduction="none"
    ).view(199, 2)
    engine = EventEngine(model, batch=2)
    assert np.abs(engine.score(tokens) - wanted.numpy()).max() < close
    assert sum(engine.activity.steps) == 199 * 2 * (2 * HIDDEN + EMBEDDING)
    single = EventEngine(model)
    found = single.score(tokens[:, 0])
    assert found.shape == (199,)
    assert np.abs(found - wanted[:, 0].numpy()).max() < close


def test_a_text_may_be_scored_in_parts_and_after_steps():
    model, tokens = lively_model(dtype=torch.float32), words(200, 1)[:, 0]
    whole = EventEngine(model).score(tokens)
    engine = EventEngine(model)
    engine.step(tokens[0])
    parts = [engine.score(tokens[1:71]), engine.score(tokens[70:72]), engine.score(tokens[71:])]
    assert np.array_equal(np.concatenate(parts), whole[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_far_logits_do_not_overflow(dtype):
    logits = np.array([1000, -1000, 999], dtype)
    assert kernels.surprise(logits, 1) == pytest.approx(2000 + np.log1p(np.exp(-1)), rel=1e-6)
    assert kernels.surprise(logits, 0) == pytest.approx(np.log1p(np.exp(-1)), rel=1e-6)


# --- element-wise functions -----------------------------------------------------------------------


def test_single_precision_functions_are_good_to_a_few_units_in_the_last_place():
    near = np.geomspace(1e-8, 20, 4000)
    x = np.concatenate([-near, near, [0.0]]).astype(np.float32)
    exact = x.astype(np.float64)
    for function, truth in (
        (kernels.hyperbolic_tangent, np.tanh(exact)),
        (kernels.logistic, 1 / (1 + np.exp(-exact))),
    ):
        found = np.array([function(value, True) for value in x])
        assert np.array_equal(found, found.astype(np.float32))
        assert (np.abs(found - truth) <= 4 * np.spacing(np.abs(truth).astype(np.float32))).all()


def test_single_precision_functions_saturate():
    for x, sigmoid, tanh in ((1e4, 1, 1), (-1e4, 0, -1), (np.inf, 1, 1), (-np.inf, 0, -1)):
        value = np.float32(x)
        assert kernels.logistic(value, True) == pytest.approx(sigmoid, abs=1e-37)
        assert kernels.hyperbolic_tangent(value, True) == tanh


def test_kernels_without_a_folder_for_their_cache():
    """As on a node where neither the clone nor the home can be written to."""
    code = "from hearsay.lm import event_kernels as k; print(k.hyperbolic_tangent(0.0, False))"
    workflow = Path(kernels.__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": str(workflow),
        "NUMBA_CACHE_LOCATOR_CLASSES": "IPythonCacheLocator",  # none that takes a file
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 0


# --- faults ---------------------------------------------------------------------------------------


def test_only_egru_models():
    for cell in ("gru", "lstm"):
        with pytest.raises(InputError, match=f"EGRU cells only; this one is {cell}"):
            EventEngine(LanguageModel(WORDS, EMBEDDING, HIDDEN, 3, cell=cell))
    with pytest.raises(InputError, match="this one is Linear"):
        EventEngine(torch.nn.Linear(2, 2))


def test_weights_that_are_not_finite():
    model = lively_model()
    with torch.no_grad():
        model.layers[1].weight_hh_l0[0, 0] = float("nan")
    with pytest.raises(InputError, match="not all finite"):
        EventEngine(model)


@pytest.mark.parametrize("batch", [0, 5])
def test_batch_out_of_range(batch):
    with pytest.raises(InputError, match=f"batch is {batch}; the event engine takes 1 to 4"):
        EventEngine(lively_model(), batch=batch)


@pytest.mark.parametrize("threads", [0, 10_000])
def test_threads_out_of_range(threads):
    with pytest.raises(InputError, match=f"threads is {threads}"):
        EventEngine(lively_model(), threads=threads)


def test_tokens_that_are_none():
    engine = EventEngine(lively_model(), batch=2)
    for wrong in (-1, WORDS):
        with pytest.raises(InputError, match=f"token {wrong} is outside the model's vocabulary"):
            engine.step([0, wrong])
        with pytest.raises(InputError, match=f"token {wrong} is outside"):
            engine.score([[0, 1], [wrong, 1]])
    with pytest.raises(InputError, match="give integers"):
        engine.step([0.0, 1.0])
    with pytest.raises(InputError, match=r"shape \[3\]; give \[2\]"):
        engine.step([0, 1, 2])
    with pytest.raises(InputError, match=r"give \[tokens, 2\]"):
        engine.score([0, 1, 2])
    with pytest.raises(InputError, match="at least 2"):
        engine.score([[0, 1]])
    assert sum(engine.activity.steps) == 0
