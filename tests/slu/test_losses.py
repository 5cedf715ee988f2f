"""Losses of alignment: known values, symmetries, padding, signs of gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hearsay.slu.firing import scale, shares, token_edges
from hearsay.slu.losses import (
    IGNORED,
    alpha_loss,
    cosine_loss,
    duration_loss,
    frame_loss,
    info_nce,
    quantity_loss,
    subword_loss,
)


def tokens(seed=0, batch=3, size=9, width=16):
    draw = torch.Generator().manual_seed(seed)
    speech, text = torch.randn(2, batch, size, width, generator=draw)
    lengths = torch.randint(1, size + 1, (batch,), generator=draw)
    lengths[0] = size
    return speech, text, lengths


def as_cross_entropies(speech, text, temperature):
    """Eq. 3 and 4 of one utterance as two cross-entropies with the diagonal as labels."""
    s = functional.normalize(speech, dim=1) @ functional.normalize(text, dim=1).T / temperature
    labels = torch.arange(len(s))
    return (functional.cross_entropy(s, labels) + functional.cross_entropy(s.T, labels)) / 2


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), temperature=st.sampled_from([0.02, 0.1, 1.0]))
def test_info_nce_is_two_diagonal_cross_entropies(seed, temperature):
    speech, text, lengths = tokens(seed)
    expected = torch.stack(
        [
            as_cross_entropies(speech[row, :n], text[row, :n], temperature)
            for row, n in enumerate(lengths)
        ]
    ).mean()
    found = info_nce(speech, text, lengths, temperature)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(info_nce(text, speech, lengths, temperature), found)


def test_alpha_is_taught_to_be_the_mean_of_what_is_taught():
    alpha = torch.full((2, 40), 0.5, requires_grad=True)
    mask = torch.arange(40) < torch.tensor([[40], [30]])
    taught = torch.zeros(2, 40)
    taught[:, ::5] = 2.0  # cut to 1
    both, first = torch.tensor([True, True]), torch.tensor([True, False])
    loss = alpha_loss(alpha, taught, mask, both)
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert not alpha.grad[1, 30:].any()
    assert alpha.grad.gt(0).sum() == 56
    means = {
        value: alpha_loss(torch.full((2, 40), value), taught, mask, both).item()
        for value in (0.1, 0.15, 0.2, 0.25, 0.3)
    }
    assert min(means, key=means.get) == 0.2
    taught[1] = 0.7
    torch.testing.assert_close(alpha_loss(alpha, taught, mask, first), loss)
    assert alpha_loss(alpha, taught, mask, ~both).item() == 0
    assert alpha_loss(torch.zeros(2, 40), taught, mask, both).isfinite()


def test_negatives_of_the_whole_batch():
    speech, text, lengths = tokens(4)
    flat = [torch.cat([x[row, :n] for row, n in enumerate(lengths)]) for x in (speech, text)]
    torch.testing.assert_close(
        info_nce(speech, text, lengths, 0.2, negatives="batch"), as_cross_entropies(*flat, 0.2)
    )


def test_a_perfect_match_has_a_known_value_and_a_permutation_raises_it():
    text = torch.eye(6)[None]
    expected = math.log(1 + 5 * math.exp(-1 / 0.5))
    lengths = torch.tensor([6])
    assert info_nce(text, text, lengths, 0.5).item() == pytest.approx(expected, rel=1e-6)
    assert info_nce(text.roll(1, 1), text, lengths, 0.5) > expected + 1


@pytest.mark.parametrize("negatives", ["utterance", "batch"])
def test_info_nce_does_not_see_padding(negatives):
    speech, text, lengths = tokens(2)
    speech.requires_grad_()
    there = torch.arange(9) < lengths[:, None]
    loss = info_nce(speech, text, lengths, 0.1, negatives=negatives)
    (gradient,) = torch.autograd.grad(loss, speech)
    other = torch.where(there[..., None], speech, 1e3)
    assert info_nce(other, text, lengths, 0.1, negatives=negatives) == loss
    assert not gradient[~there].any()
    assert gradient[there].abs().sum(-1).min() > 0 or (lengths == 1).any()


@pytest.mark.parametrize("negatives", ["utterance", "batch"])
def test_repeated_word_pieces_are_no_negatives(negatives):
    """Two tokens with the same id and text vector: the loss is that of the others."""
    text = torch.eye(4)[[0, 1, 0, 2]][None]
    ids, lengths = torch.tensor([[7, 8, 7, 9]]), torch.tensor([4])
    given_ids = info_nce(text, text, lengths, 0.5, ids=ids, negatives=negatives)
    e = math.exp(-2)
    # Each 7 has two negatives, 8 and 9 have three.
    expected = (2 * math.log(1 + 2 * e) + 2 * math.log(1 + 3 * e)) / 4
    assert given_ids.item() == pytest.approx(expected, rel=1e-6)
    assert info_nce(text, text, lengths, 0.5, negatives=negatives) > given_ids + 0.1
    different = torch.tensor([[1, 2, 3, 4]])
    assert info_nce(text, text, lengths, 0.5, ids=different, negatives=negatives) == info_nce(
        text, text, lengths, 0.5, negatives=negatives
    )


def test_losses_are_float32_under_autocast():
    speech, text, lengths = tokens(3)
    outside = [info_nce(speech, text, lengths), cosine_loss(speech, text, lengths)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = [info_nce(speech, text, lengths), cosine_loss(speech, text, lengths)]
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


def test_cosine_loss_is_the_sum_over_tokens():
    speech, text, lengths = tokens(5)
    expected = sum(
        1 - functional.cosine_similarity(speech[row, k], text[row, k], dim=0)
        for row, n in enumerate(lengths)
        for k in range(n)
    )
    torch.testing.assert_close(cosine_loss(speech, text, lengths), expected / 3)
    assert cosine_loss(text, 3 * text, lengths).item() == pytest.approx(0, abs=1e-5)


def test_quantity_loss_is_no_less_than_0_and_pulls_from_both_sides():
    """As Eq. 5 is printed, ever smaller sums would be ever better."""
    total = torch.tensor([3.0, 9.0], requires_grad=True)
    lengths = torch.tensor([5, 5])
    loss = quantity_loss(total, lengths)
    (gradient,) = torch.autograd.grad(loss, total)
    assert loss.item() == 3.0
    assert gradient.tolist() == [-0.5, 0.5]
    assert quantity_loss(torch.tensor([5.0]), torch.tensor([5])) == 0
    assert (total - lengths).mean() < loss
    for signed in (True, False):
        sums = torch.tensor([5.0], requires_grad=True)
        optimizer = torch.optim.SGD([sums], lr=0.5)
        for _ in range(50):
            optimizer.zero_grad()
            loss = (sums - 7).mean() if signed else quantity_loss(sums, torch.tensor([7]))
            loss.backward()
            optimizer.step()
        assert (sums.item() < -15) == signed


def test_subword_loss_ignores_what_is_not_to_be_predicted():
    logits = torch.randn(2, 3, 11)
    ids = torch.tensor([[IGNORED, 4, IGNORED], [IGNORED, 2, 10]])
    expected = functional.cross_entropy(
        torch.stack([logits[0, 1], logits[1, 1], logits[1, 2]]), torch.tensor([4, 2, 10])
    )
    torch.testing.assert_close(subword_loss(logits, ids), expected)
    assert subword_loss(logits, torch.full((2, 3), IGNORED)) == 0


def test_the_frame_loss_moves_a_boundary_to_where_frames_change():
    """Frames 0 to 6 sound like the first token, the rest like the second."""
    text = torch.eye(2)[None]
    frames = text[:, [0] * 7 + [1] * 5]
    logit = torch.zeros(1, 12, requires_grad=True)
    optimizer = torch.optim.Adam([logit], lr=0.1)
    lengths = torch.tensor([2])
    before = token_edges(scale(logit.sigmoid(), target_lengths=lengths))[1][0, 0].item()
    for _ in range(200):
        optimizer.zero_grad()
        scaled = scale(logit.sigmoid(), target_lengths=lengths)
        loss = frame_loss(frames, text, shares(scaled, by="frame"), lengths, 0.5)
        loss.backward()
        optimizer.step()
    after = token_edges(scale(logit.sigmoid(), target_lengths=lengths))[1][0, 0].item()
    assert before == 6.0
    assert abs(after - 7.0) < 0.1
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)), abs=0.02)


def test_the_frame_loss_does_not_see_padding():
    text, frames = torch.randn(2, 4, 8), torch.randn(2, 10, 8)
    mask, lengths = torch.arange(10) < torch.tensor([10, 6])[:, None], torch.tensor([4, 2])
    held = shares(scale(torch.rand(2, 10), target_lengths=lengths, mask=mask), by="frame")
    both = frame_loss(frames, text, held, lengths)
    frames[1, 6:] = 1e4
    text[1, 2:] = -1e4
    assert torch.equal(frame_loss(frames, text, held, lengths), both)
    apart = [
        frame_loss(frames[[r], :t], text[[r], :n], held[[r], :n, :t], torch.tensor([n]))
        for r, (t, n) in enumerate([(10, 4), (6, 2)])
    ]
    torch.testing.assert_close((10 * apart[0] + 6 * apart[1]) / 16, both)


def test_the_duration_loss_is_0_as_expected_and_pulls_towards_it():
    masses = torch.tensor([[1.0, 3.0, 0.0]])
    left, right = torch.tensor([[0.0, 5, math.nan]]), torch.tensor([[5.0, 20, math.nan]])
    lengths = torch.tensor([2])
    assert duration_loss(left, right, masses, lengths) == 0
    alpha = torch.full((1, 20), 0.1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([alpha], lr=0.001)
    for _ in range(150):
        optimizer.zero_grad()
        edges = token_edges(scale(alpha, target_lengths=lengths))
        duration_loss(*edges, masses[:, :2], lengths).backward()
        assert alpha.grad.isfinite().all()
        optimizer.step()
    assert abs(edges[1][0, 0].item() - 5) < 0.3


@pytest.mark.parametrize("loss", [info_nce, cosine_loss])
def test_shapes_that_differ_are_refused(loss):
    with pytest.raises(ValueError, match=r"\(1, 3, 4\) and \(1, 2, 4\)"):
        loss(torch.zeros(1, 3, 4), torch.zeros(1, 2, 4), torch.tensor([2]))
