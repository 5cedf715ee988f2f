"""The aligner and what it is trained for."""

import math

import pytest
import torch
from tiny import TINY, bert_model, sentences, speech_model, sung, write_tokeniser
from torch.nn import functional

from hearsay.errors import InputError
from hearsay.settings.slu import AlignerRecipe
from hearsay.slu.aligner import Aligner, AlphaNetwork
from hearsay.slu.aligner_files import aligner_of
from hearsay.slu.batches import EDGE_CHARACTERS, WordPieces, padded
from hearsay.slu.bert_layers import BertLayers, load_tokeniser
from hearsay.slu.firing import scale, shares, token_edges
from hearsay.slu.losses import alpha_loss, info_nce, there_of
from hearsay.slu.objective import AlignmentLoss
from hearsay.slu.speech_encoder import SpeechEncoder


@pytest.fixture(scope="module")
def tokeniser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokeniser")
    write_tokeniser(folder)
    from transformers import AutoConfig

    AutoConfig.for_model("bert").save_pretrained(str(folder))
    return load_tokeniser(folder)


def made(tokeniser, count=4, seed=0, texts=None):
    """A batch of sung sentences."""
    import numpy as np

    draw = np.random.default_rng(seed)
    items = []
    for text in texts or sentences(count, seed):
        encoded = tokeniser(text.split(), is_split_into_words=True, return_offsets_mapping=True)
        words = [-1 if w is None else w for w in encoded.word_ids()]
        sizes = [
            EDGE_CHARACTERS if w < 0 else end - start
            for w, (start, end) in zip(words, encoded["offset_mapping"], strict=True)
        ]
        items.append((sung(text, draw)[0], WordPieces(encoded["input_ids"], words, sizes)))
    return padded(items)


def network(layers=4, dropout=0.0, **keys):
    recipe = AlignerRecipe(**TINY | keys).model_dump()
    text = BertLayers(bert_model(layers))
    speech = speech_model(
        hidden_dropout=dropout, attention_dropout=dropout, layerdrop=0.0, mask_time_prob=0.0
    )
    encoder = SpeechEncoder(speech, frozen=recipe["frozen"])
    torch.manual_seed(0)
    return AlignmentLoss(aligner_of(recipe, encoder, text, 0.2), text, recipe)


def test_alpha_starts_at_the_rate_everywhere():
    alpha = AlphaNetwork(8, 3, 0.066)
    mask = torch.arange(10) < torch.tensor([10, 4])[:, None]
    found = alpha(torch.randn(2, 10, 8), mask)
    torch.testing.assert_close(found, 0.066 * mask, atol=1e-6, rtol=0)
    assert alpha.output.bias.item() == pytest.approx(-2.65, abs=0.01)


def test_alpha_does_not_see_padding():
    alpha = AlphaNetwork(8, 5, 0.1)
    torch.nn.init.normal_(alpha.output.weight)
    frames = torch.randn(1, 12, 8)
    mask = torch.arange(12) < torch.tensor([[7]])
    alone = alpha(frames[:, :7], mask[:, :7])
    frames[:, 7:] = math.nan
    torch.testing.assert_close(alpha(frames, mask)[:, :7], alone)


def test_an_untrained_aligner_gives_tokens_of_equal_length(tokeniser):
    batch, model = made(tokeniser), network().eval()
    with torch.no_grad():
        aligned = model.align(batch)
    for row, count in enumerate(batch.lengths.tolist()):
        left, right = (each[row, :count] for each in token_edges(aligned.scaled))
        expected = torch.full((count,), int(aligned.mask[row].sum()) / count).double()
        torch.testing.assert_close(right - left, expected, atol=1e-5, rtol=0)


def test_masses_by_characters_make_an_untrained_aligner_proportional_to_them(tokeniser):
    batch, model = made(tokeniser), network(masses="characters").eval()
    with torch.no_grad():
        aligned = model.align(batch)
    left, right = (each[0, : batch.lengths[0]] for each in token_edges(aligned.scaled))
    sizes = batch.characters[0, : batch.lengths[0]].double()
    expected = sizes / sizes.sum() * aligned.mask[0].sum()
    torch.testing.assert_close(right - left, expected, atol=1e-5, rtol=0)


def test_the_energy_gate_gives_silence_no_weight(tokeniser):
    """Words then begin where sound begins, in an aligner that has learnt nothing."""
    batch = made(tokeniser, texts=["cabbage"])
    model = network(edges="constant", energy_gate=30.0, masses="characters").eval()
    with torch.no_grad():
        aligned = model.align(batch)
    left, right = (model.aligner.speech.seconds(x[0]) for x in token_edges(aligned.scaled, 0.02))
    assert left[0].item() == pytest.approx(0.12, abs=0.02)
    assert right[-1].item() == pytest.approx(0.12 + 7 * 0.06, abs=0.02)


PATHS = {"edges": "constant", "path_weight": 1.0, "path_kernel": 3}


def test_tokens_of_a_known_text_are_cut_along_paths_and_others_by_alpha(tokeniser):
    model, batch = network(**PATHS).eval(), made(tokeniser)
    aligner, lengths = model.aligner, batch.lengths - 2
    with torch.no_grad():
        known = model.align(batch)
        unknown = aligner(batch.audio, batch.audio_lengths, target_lengths=lengths)
    assert known.paths.there.all()
    assert unknown.paths is None
    torch.testing.assert_close(known.alpha, unknown.alpha)
    torch.testing.assert_close(known.total, unknown.total)
    # Paths leave silence out though nothing was learnt; a constant α does not.
    left, right = (aligner.speech.seconds(x) for x in token_edges(known.scaled, 0.02))
    assert (left[:, 0] - 0.12).abs().max() < 0.03
    assert aligner.speech.seconds(token_edges(unknown.scaled, 0.02)[0])[:, 0].max() < 0.05
    for row, count in enumerate(lengths.tolist()):
        times = torch.stack([left[row, :count], right[row, :count]], 1).flatten()
        assert (times.diff() >= 0).all()


def test_where_there_is_no_path_alpha_cuts(tokeniser):
    model, batch = network(**PATHS, path_states=40).eval(), made(tokeniser)
    plain = network(edges="constant").eval()
    with torch.no_grad():
        known, expected = model.align(batch), plain.align(batch)
        found = model.train()(batch)
    assert not known.paths.there.any()
    torch.testing.assert_close(known.scaled.sums, expected.scaled.sums)
    assert found["paths"] == found["alpha"] == 0


def test_alpha_learns_from_the_paths(tokeniser):
    model, batch = (
        network(**PATHS, masses="characters", quantity_weight=0.0).train(),
        made(tokeniser),
    )
    optimizer = torch.optim.Adam(model.aligner.alpha.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        found = model(batch)
        found["loss"].backward()
        optimizer.step()
        losses.append(found["alpha"].item())
    assert losses[-1] < losses[0]


def test_alpha_is_taught_to_cut_a_text_without_masses_where_the_paths_do(tokeniser):
    model, batch = network(**PATHS, masses="characters"), made(tokeniser)
    lengths = batch.lengths - 2
    there = there_of(lengths, int(lengths.max()))
    with torch.no_grad():
        known = model.eval().align(batch)
        expected = token_edges(known.scaled, 0.02)
        taught = scale(known.paths.taught, target_lengths=lengths, mask=known.mask)
        for found, right in zip(token_edges(taught, 0.02), expected, strict=True):
            assert (found - right)[there].abs().mean() < 0.5  # frames
        torch.testing.assert_close(known.paths.taught.sum(1), lengths.float())
        loss = alpha_loss(known.alpha, known.paths.taught, known.mask, known.paths.there)
        torch.testing.assert_close(model(batch)["alpha"], loss)


def test_layers_that_there_are_not_are_refused():
    text = BertLayers(bert_model())
    with pytest.raises(ValueError, match="layer 5: this text encoder has layers 0 to 4"):
        Aligner(SpeechEncoder(speech_model()), text, layer=5)


@pytest.mark.parametrize("layer", [0, 2, 4])
@pytest.mark.parametrize(
    ("edges", "paths"),
    [("emitted", 0.0), ("constant", 0.0), ("constant", 1.0), ("learned", 0.0), ("learned", 1.0)],
)
def test_every_loss_reaches_the_speech_branch_and_none_bert(tokeniser, layer, edges, paths):
    if edges == "learned" and layer == 4:
        with pytest.raises(InputError, match="no layer of the text encoder is left above"):
            network(layer=layer, edges=edges)
        return
    model = network(
        layer=layer,
        edges=edges,
        extra_layers="1 3",
        frame_weight=1.0,
        duration_weight=1.0,
        repeats="none",
        negatives="batch",
        path_weight=paths,
    ).train()
    batch = made(tokeniser)
    before = model.text.digest()
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        found = model(batch)
        assert all(value.isfinite() for value in found.values())
        found["loss"].backward()
        optimizer.step()
    without = {n for n, w in model.named_parameters() if w.requires_grad and w.grad is None}
    assert not without
    still = {
        n
        for n, w in model.named_parameters()
        if w.requires_grad and not w.grad.any() and "k_proj.bias" not in n
    }
    assert not still
    assert all(w.grad is None for w in model.text.parameters())
    assert model.text.digest() == before
    assert not model.text.training
    assert set(found) == {
        *("loss", "alignment", "quantity", "subword", "frames", "durations", "wrong_lengths"),
        *(("paths", "alpha") if paths else ()),
    }


def test_the_subword_loss_alone_trains_through_the_frozen_upper_layers(tokeniser):
    model = network(layer=1, subword_weight=1.0, quantity_weight=0.0).train()
    batch = made(tokeniser)
    aligned = model.align(batch)
    loss = model._subword(aligned, batch)
    loss.backward()
    for name in ("projections.1.0.weight", "alpha.output.weight"):
        assert model.aligner.get_parameter(name).grad.abs().max() > 0
    # The same by hand, at the pieces between [CLS] and [SEP].
    with torch.no_grad():
        states, mask = model.aligner.states(aligned)
        logits = model.text.logits(model.text.upper(states, mask, 1))
        expected = torch.cat(
            [
                functional.cross_entropy(
                    logits[r, 1 : n - 1], batch.ids[r, 1 : n - 1], reduction="none"
                )
                for r, n in enumerate(batch.lengths.tolist())
            ]
        ).mean()
    torch.testing.assert_close(loss.detach(), expected)


@pytest.mark.parametrize("paths", [{}, PATHS])
def test_losses_of_a_batch_are_the_means_of_its_utterances(tokeniser, paths):
    keys = {"frame_weight": 0.0, "subword_weight": 0.0, "duration_weight": 0.3} | paths
    model, batch = network(**keys).eval(), made(tokeniser)
    with torch.no_grad():
        whole = model(batch)
        apart = []
        for row in range(4):
            a, n = int(batch.audio_lengths[row]), int(batch.lengths[row])
            one = type(batch)(
                batch.audio[[row], :a],
                batch.audio_lengths[[row]],
                batch.ids[[row], :n],
                batch.lengths[[row]],
                batch.characters[[row], :n],
            )
            apart.append(model(one))
    for name, value in whole.items():
        mean = torch.stack([each[name] for each in apart]).mean()
        torch.testing.assert_close(mean, value, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("paths", [{}, PATHS])
def test_bfloat16_autocast_cuts_the_same_tokens(tokeniser, paths):
    model, batch = network(layer=2, frame_weight=1.0, **paths).eval(), made(tokeniser)
    with torch.no_grad():
        plain = model.align(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            aligned, found = model.align(batch), model(batch)
    assert torch.equal(aligned.lengths, plain.lengths)
    assert aligned.vectors.dtype == torch.float32
    assert aligned.scaled.sums.dtype == torch.float64
    assert all(value.isfinite() for value in found.values())
    tokens = batch.lengths - (2 if paths else 0)
    assert torch.equal(aligned.scaled.sums.amax(1), tokens.double())
    held = shares(aligned.scaled).sum(2)
    there = torch.arange(held.shape[1]) < tokens[:, None]
    torch.testing.assert_close(held, there.double())


TEXTS = ["cab bed face", "deaf bag egg ab", "fade cad"]


def overfitted(tokeniser, steps, **keys):
    model, batch = network(layer=2, temperature=0.05, **keys).train(), made(tokeniser, texts=TEXTS)
    optimizer = torch.optim.Adam([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model(batch)["loss"].backward()
        optimizer.step()
    return model, batch


def test_one_batch_can_be_learnt_by_heart(tokeniser):
    """InfoNCE near 0, each token nearest its own, word pieces predicted, Σα within 0.5 of N."""
    model, batch = overfitted(tokeniser, 80, subword_weight=1.0)
    with torch.no_grad():
        found, aligned, tokens = model(batch), model.align(batch), model.tokens(batch)
        (text,) = model.states(batch)
        speech = model.aligner.project(aligned.vectors)
        states, mask = model.aligner.states(aligned)
        predicted = model.text.logits(model.text.upper(states, mask, 2)).argmax(-1)
    assert found["alignment"] < 0.1
    assert found["wrong_lengths"] == 0
    assert (aligned.total - tokens.lengths).abs().max() < 0.5
    for row, n in enumerate(tokens.lengths.tolist()):
        cosines = functional.cosine_similarity(speech[row, :n, None], text[row, None, :n], dim=-1)
        assert cosines.argmax(1).tolist() == cosines.argmax(0).tolist() == list(range(n))
        assert predicted[row, 1 : n - 1].tolist() == batch.ids[row, 1 : n - 1].tolist()
    # Then inference, where the number comes from α, gives the very same.
    with torch.no_grad():
        free = model.aligner(batch.audio, batch.audio_lengths)
    assert torch.equal(free.lengths, tokens.lengths)
    torch.testing.assert_close(free.vectors, aligned.vectors)


def test_under_the_cosine_loss_tokens_look_more_alike_than_under_info_nce(tokeniser):
    """What the paper introduces InfoNCE for: Eq. 2 does not tell neighbours apart."""
    alike, error = {}, {}
    for loss in ("cosine", "info_nce"):
        model, batch = overfitted(tokeniser, 25, subword_weight=0.0, loss=loss)
        with torch.no_grad():
            aligned, (text,) = model.align(batch), model.states(batch)
            speech = model.aligner.project(aligned.vectors)
        near = functional.cosine_similarity(speech[:, 1:], speech[:, :-1], dim=-1)
        there = torch.arange(near.shape[1]) < batch.lengths[:, None] - 1
        alike[loss] = near[there].mean().item()
        error[loss] = info_nce(speech, text, batch.lengths, 0.05).item()
    assert alike["cosine"] > alike["info_nce"]
    assert error["cosine"] > error["info_nce"]
