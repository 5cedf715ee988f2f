"""Learning rates, optimisers, and averages that begin when validation no longer gets better."""

import pytest
import torch
from torch import nn

from hearsay.lm.chunks import Chunk
from hearsay.lm.language_model import model_of
from hearsay.lm.optimisation import (
    TriggeredAverage,
    learning_rate,
    optimizer_of,
    rate_of_chunk,
)
from hearsay.lm.recipes import recipe_of


def test_the_papers_schedule_is_constant_for_half_then_a_cosine_to_a_tenth():
    recipe = recipe_of("paper-ptb-1350").model_dump()
    peak = recipe["learning_rate"]
    assert learning_rate(recipe, 0.0, 0) == learning_rate(recipe, 1000.0, 10**6) == peak
    assert learning_rate(recipe, 1500.0, 10**6) == pytest.approx(0.55 * peak)
    assert learning_rate(recipe, 2000.0, 10**6) == pytest.approx(0.1 * peak)


def test_warm_up_rises_by_steps():
    recipe = recipe_of("small", warmup_steps=4).model_dump()
    rates = [learning_rate(recipe, 0.0, step) for step in range(5)]
    assert [rate / recipe["learning_rate"] for rate in rates] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_short_chunk_counts_less():
    recipe = recipe_of("paper-ptb-1350").model_dump()
    assert rate_of_chunk(recipe, 1.0, Chunk(0, 34)) == 0.5
    recipe["learning_rate_by_length"] = False
    assert rate_of_chunk(recipe, 1.0, Chunk(0, 34)) == 1.0


@pytest.mark.parametrize(
    ("preset", "kind"),
    [
        ("paper-ptb-1350", torch.optim.Adam),
        ("public-ptb", torch.optim.AdamW),
        ("awd-lstm-ptb", torch.optim.SGD),
    ],
)
def test_optimisers(preset, kind):
    recipe = recipe_of(preset, hidden_size=6, embedding_size=4).model_dump()
    optimizer = optimizer_of(model_of(20, recipe), recipe)
    assert type(optimizer) is kind
    decays = {g["weight_decay"]: {w.ndim for w in g["params"]} for g in optimizer.param_groups}
    assert decays == {recipe["weight_decay"]: {2}, 0.0: {1}}
    if kind is not torch.optim.SGD:
        assert {g["betas"] for g in optimizer.param_groups} == {(0.0, 0.999)}


def after(values):
    """Whether averaging has begun after validations of these values."""
    average = TriggeredAverage(nn.Linear(1, 1))
    for value in values:
        average.validated(value)
    return average.triggered


def test_averaging_begins_when_five_epochs_brought_nothing():
    falling = [100 - k for k in range(20)]
    assert not after(falling)
    assert not after([50, 60, 60, 60, 60])  # fewer than five epochs ago does not count
    assert after([50, 60, 60, 60, 60, 60, 60])
    assert not after([60, 50, 55, 55, 55, 55])
    assert after([60, 50, 55, 55, 55, 55, 55, 55])


def test_averages_are_the_mean_of_the_weights_and_leave_them_alone():
    model = nn.Linear(2, 1, bias=False)
    average = TriggeredAverage(model)
    average.after_step()
    for value in [1.0, *[2.0] * 6]:
        average.validated(value)
    seen = []
    for k in range(5):
        nn.init.constant_(model.weight, float(k * k))
        seen.append(model.weight.detach().clone())
        average.after_step()
    with average.evaluated():
        torch.testing.assert_close(model.weight.detach(), torch.stack(seen).mean(0))
    assert torch.equal(model.weight.detach(), seen[-1])
    again = TriggeredAverage(model)
    again.load_state_dict(average.state_dict())
    again.after_step()
    average.after_step()
    with average.evaluated():
        first = model.weight.detach().clone()
    with again.evaluated():
        assert torch.equal(model.weight.detach(), first)


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_gradients_scaled_for_float16_can_be_clipped(kind):
    """As the training loop does with precision 16-mixed, on a GPU."""
    from lightning_fabric.plugins import MixedPrecision

    weight = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = optimizer_of(
        torch.nn.ParameterList([weight]), recipe_of("small", optimizer=kind).model_dump()
    )
    precision = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=8.0))
    precision.backward(weight.sum(), None)
    precision.unscale_gradients(optimizer)
    assert torch.equal(weight.grad, torch.ones(2, 3))
    weight.grad.mul_(0.5)
    precision.optimizer_step(optimizer)
    assert (weight < 1).all()
