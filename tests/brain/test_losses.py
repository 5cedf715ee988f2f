"""Eq. 2 and Eq. 3-5: against naive references, closed forms, and at the edges of float."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hearsay.brain.language_model import prompted_logits, text_features
from hearsay.brain.losses import (
    IGNORED,
    contrastive_loss,
    public_code_contrastive_loss,
    token_loss,
)

BATCH, TAU = 32, 0.1


def naive(brain, text, tau):
    """Eq. 3-5 as they are written, pair by pair, in float64."""
    brain, text = brain.double().flatten(1), text.double().flatten(1)

    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    losses = []
    for i in range(len(brain)):
        positive = math.exp(cosine(brain[i], text[i]) / tau)
        negative = 0.0
        for j in range(len(brain)):
            if j != i:
                negative += math.exp(cosine(brain[i], brain[j]) / tau)
                negative += math.exp(cosine(brain[i], text[j]) / tau)
        losses.append(-math.log(positive / negative))
    return sum(losses) / len(losses)


def prompts(seed, batch, k=3, width=4, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    make = lambda: torch.randn(batch, k, width, generator=draw, dtype=dtype)  # noqa: E731
    return make(), make()


def orthonormal(batch=BATCH, k=2, width=32):
    return torch.eye(batch, k * width).view(batch, k, width)


# --- contrastive ----------------------------------------------------------------------------------


@given(
    st.integers(0, 10**6),
    st.integers(2, 7),
    st.sampled_from([0.05, 0.1, 0.5, 1.0]),
    st.floats(1e-3, 1e3),
)
@settings(deadline=None)
def test_equals_a_naive_double_loop(seed, batch, tau, scale):
    brain, text = prompts(seed, batch)
    brain = brain * scale
    expected = naive(brain, text, tau)
    assert float(contrastive_loss(brain, text, tau)) == pytest.approx(expected, abs=1e-6)
    single = float(contrastive_loss(brain.float(), text.float(), tau))
    assert single == pytest.approx(expected, abs=1e-4)


def test_closed_forms():
    aligned = orthonormal()
    assert float(contrastive_loss(aligned, aligned)) == pytest.approx(-10 + math.log(62), abs=1e-5)
    assert float(contrastive_loss(aligned, aligned)) == pytest.approx(-5.8729, abs=1e-4)
    same = torch.ones(BATCH, 2, 32)
    assert float(contrastive_loss(same, same)) == pytest.approx(math.log(62), abs=1e-5)
    assert float(contrastive_loss(same, same)) == pytest.approx(4.1271, abs=1e-4)


def test_the_positive_is_not_in_the_denominator():
    # The better a pair is aligned, the lower the loss, without a floor at zero; with the positive
    # below the line it could not be negative.
    aligned = orthonormal(4)
    assert float(contrastive_loss(aligned, aligned, 0.1)) == pytest.approx(-10 + math.log(6))
    turned = aligned.roll(1, 0)  # positive cosine 0, one negative of cosine 1 an anchor
    expected = math.log(math.exp(10) + 5)
    assert float(contrastive_loss(aligned, turned, 0.1)) == pytest.approx(expected)


@pytest.mark.parametrize("side", ["brain", "text", "both"])
def test_scaling_prompts_changes_nothing(side):
    brain, text = prompts(0, BATCH)
    loss = contrastive_loss(brain, text)
    scaled = contrastive_loss(
        brain * (10 if side != "text" else 1), text * (10 if side != "brain" else 1)
    )
    assert float(scaled) == pytest.approx(float(loss), abs=1e-6)


@given(st.integers(0, 10**6), st.integers(2, 40))
@settings(deadline=None)
def test_bounds(seed, batch):
    brain, text = prompts(seed, batch, k=1, width=2, dtype=torch.float32)
    loss = float(contrastive_loss(brain, text, TAU))
    middle = math.log(2 * (batch - 1))
    assert -20 + middle - 1e-4 <= loss <= 20 + middle + 1e-4


def test_bounds_are_reached():
    vector = torch.ones(1, 1, 4)
    low = contrastive_loss(torch.cat([vector, -vector]), torch.cat([vector, -vector]), TAU)
    assert float(low) == pytest.approx(-20 + math.log(2), abs=1e-4)
    high = contrastive_loss(torch.cat([vector, vector]), torch.cat([-vector, -vector]), TAU)
    assert float(high) == pytest.approx(20 + math.log(1 + math.exp(-20)), abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_under_autocast_is_finite_and_float32(dtype):
    # 62 terms of e^10 each overflow float16's 65504.
    same = torch.ones(BATCH, 2, 32, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", dtype=dtype):
        loss = contrastive_loss(same, torch.ones(BATCH, 2, 32, dtype=dtype))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(62), abs=1e-3)
    assert same.grad.isfinite().all()
    brain, text = prompts(1, 8, dtype=torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        mixed = contrastive_loss(brain, text)
    assert float(mixed) == float(contrastive_loss(brain, text))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_single_pair_has_no_negatives_and_loss_0(dtype):
    brain = torch.full((1, 30, 768), 1e3, dtype=dtype, requires_grad=True)
    loss = contrastive_loss(brain, torch.randn(1, 30, 768, dtype=dtype))
    loss.backward()
    assert loss.item() == 0
    assert loss.dtype == torch.float32
    assert (brain.grad == 0).all()


def test_no_gradient_reaches_the_text_prompt():
    brain, text = (p.requires_grad_() for p in prompts(2, 5))
    contrastive_loss(brain, text).backward()
    assert brain.grad.abs().sum() > 0
    assert text.grad is None or (text.grad == 0).all()


def test_the_gradient_is_right():
    brain, text = prompts(3, 4, k=2, width=3)
    brain.requires_grad_()
    assert torch.autograd.gradcheck(lambda b: contrastive_loss(b, text, 0.5), brain)


def test_prompts_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\), \(2, 2, 4\)"):
        contrastive_loss(torch.zeros(2, 3, 4), torch.zeros(2, 2, 4))


def naive_public_code(brain, text, tau):
    both = torch.cat([text, brain]).double().flatten(1)
    batch = len(brain)
    above = below = 0.0
    for i in range(2 * batch):
        for j in range(2 * batch):
            weight = math.exp(float(both[i] @ both[j] / both[i].square().sum()) / tau)
            if j == i + batch:  # text to brain
                above += weight
            if i != j and not (i < batch and j < batch):
                below += weight
    return -math.log(above / below)


def test_the_public_code_s_loss_is_one_ratio_of_sums():
    brain, text = prompts(4, 6)
    loss = float(public_code_contrastive_loss(brain, text, 0.5))
    assert loss == pytest.approx(naive_public_code(brain, text, 0.5), abs=1e-5)


def test_the_public_code_s_loss_cheats_by_scale_and_breaks():
    _, text = prompts(5, BATCH, k=4, width=16, dtype=torch.float32)
    ours = [float(contrastive_loss(s * text, text)) for s in (1, 2, 10)]
    theirs = [float(public_code_contrastive_loss(s * text, text)) for s in (1, 2, 10)]
    assert ours == pytest.approx([ours[0]] * 3, abs=1e-4)
    assert theirs[0] == pytest.approx(math.log(2), abs=0.02)  # perfect, and no lower
    assert theirs[1] == pytest.approx(0, abs=1e-3)
    assert math.isnan(theirs[2])


# --- Eq. 2 ----------------------------------------------------------------------------------------


@pytest.fixture
def gpt2(small_gpt2, gpt2_tokenizer):
    torch.manual_seed(1)
    return small_gpt2(gpt2_tokenizer, n_layer=2, initializer_range=0.2)


@pytest.fixture
def batch():
    """Prompts [4, 3, 16] and padded targets of lengths 9, 5, 1 and 7."""
    draw = torch.Generator().manual_seed(2)
    lengths = [9, 5, 1, 7]
    labels = torch.full((4, 9), IGNORED)
    for row, length in zip(labels, lengths, strict=True):
        row[:length] = torch.randint(0, 300, (length,), generator=draw)
    return torch.randn(4, 3, 16, generator=draw), labels


def loss_of(model, prompt, labels, reduction="token"):
    ids = labels.clamp_min(0)
    return token_loss(prompted_logits(model, prompt, ids), labels, reduction)


@torch.no_grad()
def test_equals_transformers_own_loss_on_the_same_embeddings(gpt2, batch):
    prompt, labels = batch
    embedded = torch.cat([prompt, gpt2.get_input_embeddings()(labels.clamp_min(0))], dim=1)
    ignored = torch.full((4, 3), IGNORED)
    mask = torch.cat([ignored, labels], dim=1)
    theirs = gpt2(inputs_embeds=embedded, labels=mask).loss
    attended = (torch.cat([torch.zeros_like(ignored), labels], dim=1) != IGNORED).long()
    masked = gpt2(inputs_embeds=embedded, attention_mask=attended, labels=mask).loss
    ours = float(loss_of(gpt2, prompt, labels))
    assert ours == pytest.approx(float(theirs), abs=1e-5)
    assert ours == pytest.approx(float(masked), abs=1e-5)


@torch.no_grad()
def test_is_the_sum_of_conditional_log_probabilities(gpt2, batch):
    prompt, labels = batch
    total, windows = 0.0, []
    for p, row in zip(prompt, labels, strict=True):
        ids = row[row != IGNORED]
        seen, window = p[None], 0.0
        for token in ids:
            window -= float(gpt2(inputs_embeds=seen).logits[0, -1].log_softmax(0)[token])
            seen = torch.cat([seen, gpt2.get_input_embeddings()(token[None])[None]], dim=1)
        windows.append(window)
        total += window
    assert float(loss_of(gpt2, prompt, labels)) == pytest.approx(total / 22, abs=1e-4)
    expected = sum(windows) / 4
    assert float(loss_of(gpt2, prompt, labels, "window")) == pytest.approx(expected, abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("more", [1, 7])
def test_neither_padding_nor_companions_change_a_window_s_loss(gpt2, batch, more):
    prompt, labels = batch
    logits = prompted_logits(gpt2, prompt, labels.clamp_min(0))
    for k, row in enumerate(labels):
        ids = row[row != IGNORED]
        alone = prompted_logits(gpt2, prompt[k : k + 1], ids[None])[0]
        assert (logits[k, : len(ids)] - alone).abs().max() < 1e-5
    longer = functional.pad(labels, (0, more), value=IGNORED)
    for reduction in ("token", "window"):
        same = float(loss_of(gpt2, prompt, longer, reduction))
        assert same == pytest.approx(float(loss_of(gpt2, prompt, labels, reduction)), abs=1e-5)


def test_padded_positions_get_no_gradient(batch):
    _, labels = batch
    logits = torch.randn(4, 9, 300, requires_grad=True)
    token_loss(logits, labels).backward()
    padded = labels == IGNORED
    assert (logits.grad[padded] == 0).all()
    assert (logits.grad[~padded].abs().sum(1) > 0).all()


@pytest.mark.parametrize("reduction", ["token", "window"])
def test_silence_only_is_a_loss_of_0(reduction):
    labels = torch.full((2, 1), IGNORED)
    assert float(token_loss(torch.randn(2, 1, 9), labels, reduction)) == 0


# --- text features --------------------------------------------------------------------------------


@pytest.fixture
def texts():
    draw = torch.Generator().manual_seed(6)
    words = ["the", "boat", "saw", "a", "light", "$", "and", "wind"]
    chosen = [torch.randint(0, 8, (n % 11 + 1,), generator=draw) for n in range(32)]
    return [" ".join(words[k] for k in text) for text in chosen]


def test_a_text_s_feature_does_not_depend_on_its_batch(small_bert, texts):
    torch.manual_seed(3)
    encoder = small_bert()
    encoder[0].eval()
    together = text_features(*encoder, texts, batch_size=32)
    alone = text_features(*encoder, texts, batch_size=1)
    assert together.shape == (32, 16)
    assert (together - alone).abs().max() <= 1e-5
    with_padding = text_features(*encoder, texts, pooling="mean-with-padding", batch_size=32)
    assert (with_padding - alone).abs().max() > 1e-2
    longest = max(range(32), key=lambda k: len(texts[k].split()))
    assert (with_padding[longest] - alone[longest]).abs().max() <= 1e-5


def test_texts_beyond_the_encoder_s_length_are_cut_and_counted(small_bert, capsys):
    encoder = small_bert()
    text_features(*encoder, ["the"] * 3)
    assert "cut" not in capsys.readouterr().err
    found = text_features(*encoder, ["the " * 100, "the"])
    assert "1 of 2 texts cut to 64 tokens" in capsys.readouterr().err
    assert found.isfinite().all()
