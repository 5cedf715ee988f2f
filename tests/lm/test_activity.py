"""The counter of events: hand examples, sums over chunks, and what an EGRU gives it."""

import math

import pytest
import torch

from hearsay.lm.activity import ActivityCounter
from hearsay.lm.egru import EGRU


def hand_example(counter: ActivityCounter, layer: int = 0) -> None:
    # Two steps, one sequence, three units; ϑ = 0.5, ε = 0.25.
    cells = torch.tensor([[[0.6, 0.4, 0.75]], [[0.5, -2.0, 0.7]]])
    thresholds = torch.full((3,), 0.5)
    counter.add(layer, cells * (cells > thresholds), cells, thresholds, 0.25)


def test_hand_example():
    counter = ActivityCounter()
    hand_example(counter)
    assert counter.events == [3]  # 0.6, 0.75, 0.7; 0.5 is not above 0.5
    assert counter.silent_backward == [2]  # 0.75 lies exactly ε away, -2 far
    assert counter.steps == [6]
    assert counter.activity_sparsity() == counter.activity_sparsity(0) == 0.5
    assert counter.backward_sparsity() == counter.backward_sparsity(0) == pytest.approx(2 / 6)
    assert counter.active_fractions() == [0.5]


def test_mean_over_layers_is_weighted_by_units():
    counter = ActivityCounter()
    counter.add(0, torch.ones(5, 2, 6), torch.ones(5, 2, 6), torch.zeros(6), 0.5)
    counter.add(1, torch.zeros(5, 2, 2), torch.zeros(5, 2, 2), torch.zeros(2), 0.5)
    assert counter.steps == [60, 20]
    assert counter.activity_sparsity(0) == 0.0
    assert counter.activity_sparsity(1) == 1.0
    assert counter.activity_sparsity() == 0.25  # not the mean 0.5 of both
    assert counter.backward_sparsity() == 0.75


def test_chunks_add_up_whatever_their_lengths():
    torch.manual_seed(0)
    y = torch.rand(100, 3, 7).sub(0.5).clamp(min=0)
    cells, thresholds = torch.rand(100, 3, 7), torch.rand(7)
    whole, parts = ActivityCounter(), ActivityCounter()
    whole.add(0, y, cells, thresholds, 0.3)
    for start, stop in ((0, 1), (1, 60), (60, 100)):
        parts.add(0, y[start:stop], cells[start:stop], thresholds, 0.3)
    assert parts.state_dict() == whole.state_dict()
    assert whole.events == [int((y != 0).sum())]


def test_counts_are_exact_beyond_float32():
    counter = ActivityCounter()
    counter.add_counts(0, torch.tensor([2**24, 0]), 2**25)
    counter.add_counts(0, torch.tensor([1, 1]), 1)
    assert counter.events == [2**24 + 1]
    assert counter.steps == [2**25 + 1]


def test_state_goes_on_after_a_checkpoint():
    counter, other = ActivityCounter(), ActivityCounter()
    hand_example(counter)
    hand_example(counter, layer=2)
    other.load_state_dict(counter.state_dict())
    hand_example(counter)
    hand_example(other)
    assert other.state_dict() == counter.state_dict()
    assert other.layers == [0, 2]


def test_reset_and_empty():
    counter = ActivityCounter()
    hand_example(counter)
    counter.reset()
    assert math.isnan(counter.activity_sparsity())
    assert math.isnan(counter.backward_sparsity())
    assert counter.events == counter.active_fractions() == []


def test_shapes_that_do_not_belong_together():
    with pytest.raises(ValueError, match="do not belong to one layer"):
        ActivityCounter().add(0, torch.ones(2, 1, 3), torch.ones(2, 1, 3), torch.ones(4), 0.5)


@pytest.mark.parametrize("variant", ["paper", "evnn"])
def test_an_egru_counts_its_events_before_the_reset(variant):
    torch.manual_seed(0)
    egru = EGRU(4, 9, 2, variant=variant, backend="reference", threshold_mean=-2.0)
    egru.activity = ActivityCounter()
    x = 3 * torch.randn(30, 2, 4)
    y, _ = egru(x)
    counter = egru.activity
    assert counter.steps == [30 * 2 * 9] * 2
    assert counter.events[1] == int((y != 0).sum())
    assert 0 < counter.activity_sparsity() < 1
    # Every event has ĉ = y, before any reset: those far above their threshold are silent backward.
    far = (y - egru.thresholds(1) >= egru.pseudo_derivative_width).sum()
    assert counter.silent_backward[1] >= int(far)
