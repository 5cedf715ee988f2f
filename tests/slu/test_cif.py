"""CIF against the loop over frames: values, gradients, counts, padding."""

import math

import pytest
import torch
from cif_reference import serial_cif
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hearsay.slu.cif import cif
from hearsay.slu.firing import NO_MASS, scale, shares, token_edges


def drawn(seed, frames, width=3, dtype=torch.float64, power=3):
    """Frames, and weights of which some are far above the mean."""
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(1, frames, width, generator=draw, dtype=dtype)
    alpha = torch.rand(1, frames, generator=draw, dtype=dtype) ** power
    return hidden.requires_grad_(), alpha.requires_grad_()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), frames=st.integers(1, 40), share=st.floats(0, 1), data=st.data())
def test_it_is_the_loop_with_its_gradients(seed, frames, share, data):
    count = max(1, round(share * frames))
    hidden, alpha = drawn(seed, frames, power=data.draw(st.sampled_from([0.5, 3, 20])))
    # Less is no mass and spread evenly, which another test holds.
    assume(float(alpha.sum()) > NO_MASS)
    masses = None
    if data.draw(st.booleans()):
        masses = 0.1 + torch.rand(1, count, generator=torch.Generator().manual_seed(seed)).double()
    fired = cif(
        hidden, alpha, target_lengths=torch.tensor([count]), masses=masses, return_weights=True
    )
    expected = serial_cif(hidden[0], alpha[0], count, None if masses is None else masses[0])
    assert fired.lengths.tolist() == [count]
    torch.testing.assert_close(fired.vectors[0], expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(fired.weights[0] @ hidden[0], expected, atol=1e-10, rtol=0)
    up = torch.randn_like(expected)
    ours = torch.autograd.grad((fired.vectors[0] * up).sum(), [hidden, alpha], retain_graph=True)
    dense = torch.autograd.grad((fired.weights[0] @ hidden[0] * up).sum(), [hidden, alpha])
    loop = torch.autograd.grad((expected * up).sum(), [hidden, alpha])
    # A frame that adds nothing that float64 can see is on the edge of clamping in the dense form.
    tied = (alpha.min() / alpha.sum()).item() < 1e-12
    for a, b, c in zip(ours, loop, dense, strict=True):
        # Of the terms that cancel in a gradient, as far as they do.
        scale_of = max(
            1.0, float(b.abs().max()), float(hidden.detach().abs().sum() / alpha.detach().sum())
        )
        torch.testing.assert_close(a, b, atol=1e-10 * scale_of, rtol=0)
        if not tied:
            torch.testing.assert_close(a, c, atol=1e-10 * scale_of, rtol=0)


@pytest.mark.parametrize(("frames", "count"), [(1500, 100), (1500, 1), (60, 60), (1, 1)])
def test_float32_is_the_loop_to_1e_5(frames, count):
    hidden, alpha = drawn(frames + count, frames, dtype=torch.float32, power=2)
    fired = cif(hidden, alpha, target_lengths=torch.tensor([count]))
    expected = serial_cif(hidden[0].double(), alpha[0].double(), count)
    torch.testing.assert_close(fired.vectors[0].double(), expected, atol=1e-5, rtol=0)
    up = torch.randn_like(fired.vectors[0])
    ours = torch.autograd.grad((fired.vectors[0] * up).sum(), [hidden, alpha])
    loop = torch.autograd.grad((expected * up.double()).sum(), [hidden, alpha])
    for a, b in zip(ours, loop, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5 * max(1.0, float(b.abs().max())), rtol=1e-5)


def test_one_frame_may_end_several_tokens():
    """The notes' example: codes that fire once a frame give negative weights here."""
    alpha = torch.tensor([[0.3, 1.9, 0.2, 0.6]], dtype=torch.float64)
    weights = cif(
        torch.zeros(1, 4, 1), alpha, target_lengths=torch.tensor([3]), return_weights=True
    ).weights
    expected = [[0.3, 0.7, 0, 0], [0, 1, 0, 0], [0, 0.2, 0.2, 0.6]]
    torch.testing.assert_close(weights[0], torch.tensor(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("counts", [[4, 2], [7, 1], [5, 5]])
def test_gradients_are_those_of_finite_differences(counts):
    hidden = torch.randn(2, 7, 2, dtype=torch.float64, requires_grad=True)
    alpha = (0.1 + torch.rand(2, 7, dtype=torch.float64)).requires_grad_()
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 5:] = False

    def tokens(hidden, alpha):
        return cif(hidden, alpha, target_lengths=torch.tensor(counts), mask=mask).vectors

    def inference(hidden, alpha):
        return cif(hidden, alpha, mask=mask).vectors

    assert torch.autograd.gradcheck(tokens, (hidden, alpha))
    assert torch.autograd.gradcheck(inference, (hidden, alpha))


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "autocast"])
def test_ten_thousand_utterances_give_exactly_their_tokens(kind):
    """Rows of W sum to 1 and columns to α', with nothing below 0 and nothing in padding."""
    draw = torch.Generator().manual_seed(7)
    for _ in range(50):
        frames = torch.randint(1, 50, (200,), generator=draw)
        size = int(frames.max())
        mask = torch.arange(size) < frames[:, None]
        counts = (torch.rand(200, generator=draw) * frames).long().clamp_min(1)
        alpha = torch.rand(200, size, generator=draw) ** torch.randint(1, 9, (200, 1))
        alpha = alpha.clamp_min(1e-4)
        hidden = torch.ones(200, size, 2)
        if kind == "bfloat16":
            hidden, alpha = hidden.bfloat16(), alpha.bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "autocast"):
            fired = cif(hidden, alpha, target_lengths=counts, mask=mask, return_weights=True)
        assert fired.vectors.dtype == torch.float32
        assert torch.equal(fired.lengths, counts)
        there = torch.arange(fired.weights.shape[1]) < counts[:, None]
        assert torch.allclose(fired.weights.sum(2), there.float(), atol=2e-6)
        scaled = alpha.double().masked_fill(~mask, 0)
        scaled = scaled * (counts / scaled.sum(1))[:, None]
        torch.testing.assert_close(fired.weights.sum(1).double(), scaled, atol=1e-5, rtol=1e-5)
        assert (fired.weights >= 0).all()
        assert not fired.weights.masked_select(~mask[:, None]).any()
        # Frames are ones: each token must be one, and padding nothing.
        torch.testing.assert_close(fired.vectors[..., 0], there.float(), atol=5e-6, rtol=0)


@pytest.mark.parametrize("content", [1e30, math.nan, math.inf])
@pytest.mark.parametrize("infer", [True, False])
def test_padding_and_batch_change_no_bit(content, infer):
    draw = torch.Generator().manual_seed(1)
    lengths, counts = [37, 300, 5], [9, 21, 5]
    apart = [
        (torch.randn(1, n, 24, generator=draw), torch.rand(1, n, generator=draw)) for n in lengths
    ]
    hidden = torch.full((3, 411, 24), content)
    alpha = torch.full((3, 411), content)
    mask = torch.arange(411) < torch.tensor(lengths)[:, None]
    for row, (h, a) in enumerate(apart):
        hidden[row, : lengths[row]], alpha[row, : lengths[row]] = h, a
    hidden.requires_grad_()
    alpha.requires_grad_()
    fired = cif(hidden, alpha, mask=mask, target_lengths=None if infer else torch.tensor(counts))
    fired.vectors.square().sum().backward()
    for row, (h, a) in enumerate(apart):
        h, a = h.requires_grad_(), a.requires_grad_()
        alone = cif(h, a, target_lengths=None if infer else torch.tensor([counts[row]]))
        alone.vectors.square().sum().backward()
        count = int(fired.lengths[row])
        assert torch.equal(alone.lengths, fired.lengths[[row]])
        assert torch.equal(alone.vectors[0], fired.vectors[row, :count])
        assert not fired.vectors[row, count:].any()
        assert torch.equal(h.grad[0], hidden.grad[row, : lengths[row]])
        assert torch.equal(a.grad[0], alpha.grad[row, : lengths[row]])
        assert not hidden.grad[row, lengths[row] :].any()
        assert not alpha.grad[row, lengths[row] :].any()


def test_at_inference_the_number_of_tokens_is_the_sum_rounded():
    alpha = torch.tensor([[0.7, 0.7, 0.2], [0.7, 0.7, 0.05], [0.1, 0.0, 0.1], [0.0, 0.0, 0.0]])
    fired = cif(torch.ones(4, 3, 2), alpha, return_weights=True)
    assert fired.lengths.tolist() == [2, 1, 1, 0]
    assert fired.weights.sum(2).tolist() == [[1, 1], [1, 0], [1, 0], [0, 0]]
    assert cif(torch.ones(1, 3, 2), torch.zeros(1, 3)).vectors.shape == (1, 0, 2)


def test_training_and_inference_agree_where_the_number_does():
    hidden, alpha = drawn(3, 50)
    free = cif(hidden, alpha)
    told = cif(hidden, alpha, target_lengths=free.lengths)
    assert torch.equal(free.vectors, told.vectors)


def test_no_mass_is_spread_evenly_and_gets_no_gradient():
    hidden = torch.arange(4.0)[None, :, None]
    alpha = torch.zeros(1, 4, requires_grad=True)
    fired = cif(hidden, alpha, target_lengths=torch.tensor([2]))
    assert fired.vectors[0, :, 0].tolist() == [0.5, 2.5]
    fired.vectors.sum().backward()
    assert not alpha.grad.any()


@pytest.mark.parametrize("alpha", [[0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
def test_frames_without_weight_have_the_gradient_of_one_with_almost_none(alpha):
    """Those after the last token's mass is full are still that token's."""
    hidden = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)[:, None]
    found = []
    for more in (0.0, 1e-9):
        weights = (torch.tensor(alpha, dtype=torch.float64) + more).requires_grad_()
        (gradient,) = torch.autograd.grad(serial_cif(hidden, weights, 1).sum(), weights)
        found.append(gradient)
    weights = torch.tensor([alpha], dtype=torch.float64, requires_grad=True)
    cif(hidden[None], weights, target_lengths=torch.tensor([1])).vectors.sum().backward()
    for gradient in found:
        torch.testing.assert_close(weights.grad[0], gradient, atol=1e-5, rtol=1e-5)


def test_a_threshold_is_the_mass_of_a_token():
    hidden, alpha = drawn(5, 40, power=1)
    with torch.no_grad():
        half = cif(hidden, alpha, threshold=0.5, return_weights=True)
    assert half.lengths.item() == math.floor(alpha.sum().item() / 0.5 + 0.5)
    assert torch.allclose(half.weights.sum(2), torch.tensor(0.5).double())
    again = cif(hidden, alpha, target_lengths=half.lengths).vectors
    torch.testing.assert_close(half.vectors, 0.5 * again)


def test_alignment_losses_do_not_see_the_scale_of_alpha():
    """Σ α ∂L/∂α = 0: only the quantity loss trains the sum."""
    hidden, alpha = drawn(9, 80)
    loss = cif(hidden, alpha, target_lengths=torch.tensor([13])).vectors.square().sum()
    (gradient,) = torch.autograd.grad(loss, alpha)
    assert gradient.abs().max() > 1e-3
    assert abs((gradient * alpha).sum().item()) < 1e-10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_lengths": torch.tensor([3, 6])}, r"more tokens than frames: utterances \[1\] of"),
        ({"alpha": torch.tensor([[0.1] * 5, [0.1, -0.1, 0, 0, 0]])}, r"alpha below 0.*\[1\]"),
        ({"alpha": torch.tensor([[0.1] * 5, [math.nan] * 5])}, r"not a number: utterances \[1\]"),
        ({"alpha": torch.zeros(2, 4)}, r"alpha of \(2, 4\)"),
        ({"hidden": torch.zeros(2, 0, 3), "alpha": torch.zeros(2, 0)}, "at least one frame"),
        ({"mask": torch.ones(2, 4)}, r"mask of shape \(2, 4\)"),
        ({"masses": torch.ones(2, 2)}, "2 utterances of up to 3 tokens"),
        ({"masses": torch.tensor([[1.0, 1, 1], [1, 0, 1]])}, r"masses not above 0: utt.*\[1\]"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    good = {
        "hidden": torch.zeros(2, 5, 3),
        "alpha": torch.full((2, 5), 0.5),
        "target_lengths": torch.tensor([3, 3]),
    }
    with pytest.raises(ValueError, match=message):
        cif(**good | change)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), frames=st.integers(1, 60), trim=st.sampled_from([0.0, 0.02]))
def test_edges_are_in_order_and_tokens_tile(seed, frames, trim):
    _, alpha = drawn(seed, frames)
    count = 1 + seed % frames
    scaled = scale(alpha, target_lengths=torch.tensor([count]))
    left, right = (each[0].detach() for each in token_edges(scaled, trim))
    assert (left <= right).all()
    assert (right[:-1] <= left[1:] + 1e-9).all()
    assert left[0] >= 0
    assert right[-1] <= frames
    if not trim:
        assert torch.equal(right[:-1], left[1:])
        assert (left[0], right[-1]) == (0, frames)


def test_edges_lie_where_the_steps_of_alpha_are():
    """Three tokens of 10, 25 and 5 frames: constant α in each, 1 / length."""
    durations = [10, 25, 5]
    alpha = torch.cat([torch.full((n,), 1 / n) for n in durations])[None]
    left, right = token_edges(scale(alpha))
    torch.testing.assert_close(left[0], torch.tensor([0.0, 10, 35]).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(right[0], torch.tensor([10.0, 35, 40]).double(), atol=1e-5, rtol=0)


def test_edges_leave_out_a_pause_when_trimmed():
    """0.2 s of almost no weight between two words."""
    alpha = torch.cat([torch.full((20,), 0.05), torch.full((10,), 1e-4), torch.full((20,), 0.05)])
    left, right = token_edges(scale(alpha[None]), trim=0.02)
    assert right[0, 0] < 20
    assert left[0, 1] > 29


def test_edges_have_gradients():
    alpha = (0.1 + torch.rand(1, 30, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a: token_edges(scale(a, target_lengths=torch.tensor([6])))[1][:, :-1], (alpha,)
    )


def test_shares_of_frames_sum_to_one():
    _, alpha = drawn(2, 30)
    scaled = scale(alpha, target_lengths=torch.tensor([7]), masses=torch.rand(1, 7) + 0.1)
    torch.testing.assert_close(shares(scaled, by="frame").sum(1), torch.ones(1, 30).double())
    torch.testing.assert_close(shares(scaled).sum(2), torch.ones(1, 7).double())
