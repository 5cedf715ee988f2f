"""Sums over monotonic paths: every path by hand, padding, gradients, and α that cuts as they do."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.slu.firing import scale, token_edges
from hearsay.slu.forward_sum import (
    CERTAIN,
    alpha_of,
    expected_places,
    posterior,
    silence_of,
)


def by_hand(fit, silence):
    """−log of the sum over all paths, and probabilities [T, S], one path at a time."""
    frames, states = fit.shape
    total, held = 0.0, torch.zeros(frames, states, dtype=torch.float64)
    for path in itertools.product([-1, *range(states)], repeat=frames):
        said = [s for s, _ in itertools.groupby(path) if s >= 0]
        if said != list(range(states)):
            continue  # not all in order, or silence within a state
        chance = 1.0
        for t, s in enumerate(path):
            chance *= silence[t] if s < 0 else (1 - silence[t]) * fit[t, s].exp()
        total += float(chance)
        for t, s in enumerate(path):
            if s >= 0:
                held[t, s] += chance
    return -math.log(total), held / total


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    frames=st.integers(1, 5),
    states=st.integers(1, 3),
    add=st.booleans(),
)
def test_it_is_the_sum_over_every_path(seed, frames, states, add):
    states = min(states, frames)
    draw = torch.Generator().manual_seed(seed)
    fit = 2 * torch.randn(1, frames, states, generator=draw)
    silence = torch.rand(1, frames, generator=draw).clamp(0.05, 0.95)
    lengths, sizes = torch.tensor([states]), torch.tensor([frames])
    if add:  # padding of any content changes nothing
        fit = torch.cat([fit, torch.full((1, frames, 2), 5.0)], 2)
        fit = torch.cat([fit, torch.full((1, 2, states + 2), math.nan)], 1)
        silence = torch.cat([silence, torch.full((1, 2), 0.5)], 1)
    found = posterior(fit, silence, lengths, sizes)
    loss, held = by_hand(fit[0, :frames, :states].double(), silence[0, :frames].double())
    assert found.loss.item() == pytest.approx(loss, rel=1e-9)
    torch.testing.assert_close(found.states[0, :frames, :states], held, atol=1e-9, rtol=0)
    assert not found.states[0, frames:].any()
    assert not found.states[0, :, states:].any()


def test_its_gradient_is_that_of_the_sum():
    draw = torch.Generator().manual_seed(0)
    fit = torch.randn(2, 6, 3, generator=draw, dtype=torch.float64).requires_grad_()
    silence = torch.rand(2, 6, generator=draw).clamp(0.1, 0.9)
    lengths, sizes = torch.tensor([3, 2]), torch.tensor([6, 4])

    def loss(fit):
        return posterior(fit, silence, lengths, sizes).loss

    # By differences; double backward is not asked for.
    assert torch.autograd.gradcheck(loss, fit)
    assert not posterior(fit, silence, lengths, sizes).states.requires_grad


def test_more_states_than_frames_have_no_path():
    fit, silence = torch.zeros(2, 3, 4).requires_grad_(), torch.full((2, 3), 0.5)
    found = posterior(fit, silence, torch.tensor([4, 2]), torch.tensor([3, 3]))
    assert found.there.tolist() == [False, True]
    assert found.loss[0] == 0
    assert not found.states[0].any()
    found.loss.sum().backward()
    assert not fit.grad[0].any()
    assert fit.grad.isfinite().all()


def test_it_is_the_same_in_inference_mode():
    fit, silence = torch.randn(1, 5, 2), torch.full((1, 5), 0.3)
    sizes = torch.tensor([2]), torch.tensor([5])
    expected = posterior(fit, silence, *sizes)
    with torch.inference_mode():
        found = posterior(fit.clone(), silence.clone(), *(each.clone() for each in sizes))
        assert torch.equal(found.states, expected.states)


def test_silence_is_where_the_level_is_low():
    level = torch.tensor([[-50.0, -48.0, -3.0, 0.0, -1.0, -50.0, 7.0]])
    mask = torch.tensor([[True] * 6 + [False]])
    found = silence_of(level, mask, 0.25)
    assert (found[0, [0, 1, 5]] > 0.95).all()
    assert (found[0, 2:5] < 0.05).all()
    assert found[0, 6] == pytest.approx(CERTAIN)
    assert found.min() >= 1 - CERTAIN - 1e-6
    # The same speech at another level, and behind other padding.
    torch.testing.assert_close(silence_of(level[:, :6] - 20, mask[:, :6], 0.25), found[:, :6])
    # In speech without any pause not even its quietest frames need be silence.
    assert (silence_of(torch.zeros(1, 9), torch.ones(1, 9, dtype=torch.bool), 0.25) == 0.5).all()


def test_more_of_the_way_is_more_silence():
    level, mask = torch.linspace(-60, 0, 50)[None], torch.ones(1, 50, dtype=torch.bool)
    sums = [silence_of(level, mask, share).sum() for share in (0.1, 0.3, 0.6)]
    assert sums == sorted(sums)


def test_tokens_are_expected_where_so_much_of_the_sound_has_gone_by():
    silence = torch.tensor([[CERTAIN] * 10 + [1 - CERTAIN] * 40 + [CERTAIN] * 20])
    mask = torch.ones(1, 70, dtype=torch.bool)
    masses, lengths = torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([2])
    found = expected_places(silence, mask, masses, lengths, states=1, deviation=0.5)
    assert (found <= 0).all()
    best = found[0, :, :2].argmax(0)
    assert best.tolist() == pytest.approx([10 + 5, 10 + 25], abs=1)
    wider = expected_places(silence, mask, masses, lengths, states=1, deviation=1.0)
    torch.testing.assert_close(4 * wider[..., :2], found[..., :2])
    halves = expected_places(silence, mask, masses, lengths, states=2, deviation=0.5)
    assert halves[0, :, :4].argmax(0).diff().min() > 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), weighed=st.booleans())
def test_alpha_of_certain_paths_cuts_where_they_do(seed, weighed):
    """Segments with pauses between them: tokens get their ends exactly, pauses no weight."""
    draw = torch.Generator().manual_seed(seed)
    durations = torch.randint(1, 6, (4,), generator=draw).tolist()
    pauses = torch.randint(0, 4, (5,), generator=draw).tolist()
    states = torch.zeros(1, sum(durations) + sum(pauses), 5, 1)
    place, ends = 0, []
    for number, duration in enumerate(durations):
        place += pauses[number]
        states[0, place : place + duration, number] = 1.0
        ends.append((place, place + duration))
        place += duration
    lengths = torch.tensor([4])
    masses = 0.5 + torch.rand(1, 5, generator=draw) if weighed else None
    alpha = alpha_of(states, lengths, masses)
    assert alpha.sum().item() == pytest.approx(4, abs=1e-5)
    scaled = scale(alpha, target_lengths=lengths, masses=masses)
    left, right = token_edges(scaled, 1e-4)
    found = torch.stack([left[0], right[0]], 1)[:4]
    torch.testing.assert_close(found, torch.tensor(ends).double(), atol=1e-2, rtol=0)


def test_alpha_without_a_path_is_0():
    assert not alpha_of(torch.zeros(2, 5, 3, 2), torch.tensor([3, 2])).any()
