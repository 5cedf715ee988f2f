"""The model around the recurrent layers: tied weights, dropout, softmax, files."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from hearsay.errors import InputError
from hearsay.lm import softmax_loss as softmax_module
from hearsay.lm.activity import ActivityCounter
from hearsay.lm.dense import DenseLayer
from hearsay.lm.dropout import embed, locked_dropout
from hearsay.lm.language_model import (
    LanguageModel,
    load_language_model,
    model_of,
    save_language_model,
)
from hearsay.lm.optimisation import optimizer_of
from hearsay.lm.recipes import recipe_of
from hearsay.lm.softmax_loss import softmax_loss

CELLS = ["egru", "gru", "lstm"]


def make(cell="egru", **options):
    torch.manual_seed(0)
    return LanguageModel(31, 6, 10, 3, cell=cell, **options).double()


def tokens(steps=7, batch=4):
    return torch.from_numpy(np.random.default_rng(5).integers(0, 31, (steps, batch)))


# --- tied weights, parameters --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "words", "millions"),
    [
        ("paper-ptb-1350", 10_000, "31.70"),
        ("paper-ptb-2000", 10_000, "54.23"),
        ("paper-wt2-1350", 33_278, "49.18"),
        ("paper-wt2-2000", 33_278, "71.71"),
    ],
)
def test_parameter_counts_of_the_papers_models(preset, words, millions):
    """The printed numbers have the public code's two biases a gate; Eq. 3-4 have one."""
    counts = {}
    for variant in ("evnn", "paper"):
        recipe = recipe_of(preset, variant=variant).model_dump()
        with torch.device("meta"):
            model = model_of(words, recipe)
        counts[variant] = sum(weight.numel() for weight in model.parameters())
    assert f"{counts['evnn'] / 1e6:.2f}" == millions
    biases = 3 * (2 * recipe["hidden_size"] + recipe["embedding_size"])
    assert counts["evnn"] - counts["paper"] == biases


@pytest.mark.parametrize("cell", CELLS)
def test_the_decoder_s_scale_centre_and_map_by_hand(cell):
    plain = make(cell)
    model = make(cell, decoder_scale=2.5, decoder_centre=0.3, decoder_map=True)
    added = {"decoder_centre", "decoder_map"}
    assert set(model.state_dict()) - set(plain.state_dict()) == added
    text = tokens()
    hidden, _ = model(text[:-1])
    assert torch.equal(hidden, plain(text[:-1])[0])  # the layers know nothing of it
    turn = model.decoder_map
    assert torch.allclose(turn @ turn.t(), torch.eye(6).double(), atol=1e-6)  # to begin with
    with torch.no_grad():
        turn.add_(0.1 * torch.randn(6, 6))
        model.decoder_centre.copy_(torch.linspace(-1, 1, 6))
        model.decoder_bias.normal_()
    placed = 2.5 * (hidden - torch.linspace(-1, 1, 6)) @ turn
    scores = placed @ model.embedding.weight.t() + model.decoder_bias
    torch.testing.assert_close(model.logits(hidden), scores, rtol=0, atol=1e-12)
    wanted = functional.cross_entropy(scores.flatten(0, 1), text[1:].flatten())
    loss, _ = model.loss(hidden, text[1:])
    torch.testing.assert_close(loss, wanted, rtol=0, atol=1e-12)
    weight, bias = model.sparse_decoder()
    torch.testing.assert_close(hidden @ weight.t() + bias, scores, rtol=0, atol=1e-12)

    loss.backward()
    found = {n: w.grad.clone() for n, w in model.named_parameters()}
    model.zero_grad()
    placed = 2.5 * (model(text[:-1])[0] - model.decoder_centre) @ model.decoder_map
    scores = placed @ model.embedding.weight.t() + model.decoder_bias
    functional.cross_entropy(scores.flatten(0, 1), text[1:].flatten()).backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=0, atol=1e-12, msg=name)


def test_the_decoder_begins_with_the_words_frequencies():
    model = make()
    model.begin_with_frequencies(np.array([0, 0, 0, 2, 2, 5], dtype=np.int32))
    shares = model.decoder_bias.detach().exp().numpy()
    wanted = np.ones(31)  # those that are missing too
    wanted[[0, 2]] = 3, 2
    np.testing.assert_allclose(shares, wanted / wanted.sum(), rtol=1e-12)


def test_the_decoder_s_scale_centre_and_map_are_kept_in_the_file(tmp_path):
    recipe = recipe_of("small", embedding_size=6, hidden_size=10).model_dump()
    added = {"decoder_centre", "decoder_map"}
    assert added.isdisjoint(model_of(31, recipe).state_dict())
    recipe |= {"decoder_scale": 2.0, "decoder_centre": 0.2, "decoder_map": True}
    model = model_of(31, recipe)
    save_language_model(tmp_path / "weights", model, {"recipe": recipe})
    found, _ = load_language_model(tmp_path / "weights")
    hidden = torch.rand(3, 2, 6)
    assert torch.equal(found.logits(hidden), model.logits(hidden))
    assert found.decoder_scale == 2.0


@pytest.mark.parametrize("cell", CELLS)
def test_word_vectors_are_one_tensor_and_hear_both_ends(cell):
    model = make(cell)
    named = dict(model.named_parameters())
    assert sum("embedding" in name or "decoder.weight" in name for name in named) == 1
    groups = optimizer_of(model, recipe_of("small").model_dump()).param_groups
    kept = [id(weight) for group in groups for weight in group["params"]]
    assert len(kept) == len(set(kept)) == len(named)

    text = tokens()
    hidden, _ = model(text[:-1])
    model.loss(hidden, text[1:])[0].backward()
    whole = model.embedding.weight.grad.clone()
    # The same by two tensors that are not tied.
    inputs = model.embedding.weight.detach().clone().requires_grad_()
    outputs = model.embedding.weight.detach().clone().requires_grad_()
    x = functional.embedding(text[:-1], inputs)
    for layer in model.layers:
        x, _ = layer(x)
    scores = functional.linear(x, outputs, model.decoder_bias)
    functional.cross_entropy(scores.flatten(0, 1), text[1:].flatten()).backward()
    torch.testing.assert_close(whole, inputs.grad + outputs.grad, rtol=1e-10, atol=1e-13)


# --- dropout -------------------------------------------------------------------------------------


def test_locked_dropout_is_the_same_at_all_steps_and_differs_between_sequences():
    torch.manual_seed(0)
    kept = locked_dropout(torch.ones(9, 50, 40), 0.3, training=True)
    assert (kept == kept[0]).all()
    assert not (kept[0, 0] == kept[0, 1]).all()
    assert torch.isclose(kept[kept != 0], torch.tensor(1 / 0.7)).all()
    assert kept.mean() == pytest.approx(1, abs=0.05)
    x = torch.randn(3, 2, 4)
    assert locked_dropout(x, 0.3, training=False) is x


def test_dropped_words_are_zero_wherever_they_stand():
    torch.manual_seed(0)
    weight = torch.randn(20, 5)
    text = torch.randint(0, 20, (30, 6))
    vectors = embed(text, weight, 0.4, training=True)
    for word in range(20):
        found = vectors[text == word]
        if len(found):
            assert (found == found[0]).all()
            scaled = weight[word] / 0.6
            assert torch.allclose(found[0], scaled) or not found[0].any()
    assert torch.equal(embed(text, weight, 0.4, training=False), weight[text])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_dropconnect_of_dense_cells_is_elementwise_and_leaves_the_weights(cell, monkeypatch):
    torch.manual_seed(0)
    layer = DenseLayer(cell, 5, 8, dropconnect=0.5).double()
    before, masked = layer.weight_hh_l0.detach().clone(), []
    original = functional.dropout

    def spy(weight, share, training):
        masked.append(original(weight, share, training))
        return masked[-1]

    monkeypatch.setattr(functional, "dropout", spy)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    layer.train()
    layer(x)
    y, _ = layer(x)
    layer.eval()
    kept, _ = layer(x)
    again, _ = layer(x)
    assert torch.equal(kept, again)
    assert not torch.equal(kept, y)
    assert torch.equal(layer.weight_hh_l0, before)
    rows = (masked[0] == 0).float().mean(1)
    assert rows.min() > 0  # of every row some elements, of none all: not rows but elements
    assert rows.max() < 1
    assert not torch.equal(masked[0], masked[1])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_dense_cells_are_torchs(cell):
    torch.manual_seed(0)
    ours = DenseLayer(cell, 5, 8).double()
    peer = (torch.nn.GRU if cell == "gru" else torch.nn.LSTM)(5, 8).double()
    peer.load_state_dict(ours.state_dict())
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    (y, last), (expected, end) = ours(x), peer(x)
    assert torch.equal(y, expected)
    for a, b in zip(last, end if cell == "lstm" else (end,), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
def test_evaluation_draws_nothing(cell):
    model = make(cell, dropconnect=0.5, dropout_words=0.3, dropout_embedding=0.3)
    model.eval()
    text = tokens()
    state = torch.get_rng_state()
    assert torch.equal(model(text)[0], model(text)[0])
    assert torch.equal(torch.get_rng_state(), state)
    model.train()
    model(text)
    assert not torch.equal(torch.get_rng_state(), state)


# --- softmax -------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 4000, 10**9])
def test_softmax_in_blocks_is_the_whole_one(block, monkeypatch):
    monkeypatch.setattr(softmax_module, "BLOCK_BYTES", block)
    torch.manual_seed(0)
    given = [torch.randn(*shape, dtype=torch.float64) for shape in ((13, 6), (97, 6), (97,))]
    targets = torch.randint(0, 97, (13,))
    ours = [x.clone().requires_grad_() for x in given]
    peer = [x.clone().requires_grad_() for x in given]
    loss, losses = softmax_loss(*ours, targets)
    expected = functional.cross_entropy(functional.linear(*peer), targets, reduction="none")
    (3 * loss).backward()
    (3 * expected.mean()).backward()
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-12, atol=1e-12)
    for a, b in zip(ours, peer, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-11, atol=1e-14)


def test_scoring_computes_no_gradient_of_the_decoder(monkeypatch):
    """A parameter requires gradients under `no_grad` too, and its gradient costs two products."""
    asked = []

    def spied(weight):
        asked.append(weight.shape)
        return torch.zeros_like(weight)

    given = torch.randn(5, 4), torch.randn(9, 4).requires_grad_(), torch.zeros(9)
    targets = torch.randint(0, 9, (5,))
    wanted, _ = softmax_loss(*given, targets)
    monkeypatch.setattr(softmax_module.torch, "zeros_like", spied)
    with torch.no_grad():
        found, losses = softmax_loss(*given, targets)
    assert not asked
    assert torch.equal(found, wanted)
    assert not losses.requires_grad


def test_softmax_of_huge_scores_is_finite():
    hidden, weight = torch.full((2, 3), 1e4), torch.eye(3) * 1e4
    loss, _ = softmax_loss(hidden, weight, torch.zeros(3), torch.tensor([0, 2]))
    assert torch.isfinite(loss)


# --- counting, files -----------------------------------------------------------------------------


def test_counts_go_to_the_layer_of_the_model():
    model, counter = make(threshold_mean=-2.0), ActivityCounter()
    model.count_into(counter)
    model(tokens())
    assert counter.layers == [0, 1, 2]
    assert counter.steps == [7 * 4 * 10, 7 * 4 * 10, 7 * 4 * 6]
    model.count_into(None)
    model(tokens())
    assert sum(counter.steps) == 7 * 4 * 26


@pytest.mark.parametrize("cell", CELLS)
def test_files_bring_back_the_same_model(cell, tmp_path):
    recipe = recipe_of("small", cell=cell, hidden_size=10, embedding_size=6).model_dump()
    model = model_of(31, recipe).eval()
    path = tmp_path / "weights.safetensors"
    save_language_model(path, model, {"recipe": recipe, "corpus": "tales"})
    again, about = load_language_model(path)
    assert about["corpus"] == "tales"
    assert torch.equal(again(tokens())[0], model(tokens())[0])
    assert not again.training


@pytest.mark.parametrize("content", ["nothing", "text", "other tensors"])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "weights.safetensors"
    if content == "text":
        path.write_text("not tensors")
    elif content == "other tensors":
        save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"weights\.safetensors: not a language model"):
        load_language_model(path)
