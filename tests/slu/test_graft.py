"""BERT in layers, and speech grafted onto it."""

import pytest
import torch
from tiny import bert_model, speech_model, write_models

from hearsay.errors import InputError
from hearsay.slu.aligner import Aligner
from hearsay.slu.bert_layers import BertLayers, load_bert
from hearsay.slu.graft import Graft, pooled
from hearsay.slu.losses import there_of
from hearsay.slu.speech_encoder import SpeechEncoder


def batch(rows, size=9, seed=0):
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([size, 4, 6][:rows])
    ids = torch.randint(5, 30, (rows, size), generator=draw)
    ids[:, 0] = 2
    ids[torch.arange(rows), lengths - 1] = 3
    mask = there_of(lengths, size)
    return ids.masked_fill(~mask, 0), mask, lengths


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_with_true_states_the_graft_is_bert_bit_for_bit(rows, attention, kind):
    model = bert_model(layers=12, kind=kind, attn_implementation=attention)
    text = BertLayers(model)
    ids, mask, _ = batch(rows)
    with torch.no_grad():
        found = model(ids, attention_mask=mask.long(), output_hidden_states=True)
        body = model.base_model(ids, attention_mask=mask.long())
        for layer in (0, 3, 6, 9, 12):
            (state,) = text.states(ids, mask, [layer])
            assert torch.equal(state, found.hidden_states[layer])
            last = text.upper(state, mask, layer)
            assert torch.equal(last, body.last_hidden_state)
            assert torch.equal(text.logits(last), found.logits)
            assert torch.equal(text.pooled(last), body.pooler_output)
    states = text.states(ids, mask, [6, 0])
    assert torch.equal(states[0], found.hidden_states[6])
    assert torch.equal(states[1], found.hidden_states[0])


def test_embeddings_of_pieces_know_no_place():
    text = BertLayers(bert_model())
    ids = torch.tensor([[2, 9, 9, 3], [9, 5, 2, 3]])
    found = text.pieces(ids)
    assert torch.equal(found[0, 1], found[0, 2])
    assert torch.equal(found[0, 1], found[1, 0])
    assert not found.requires_grad
    # With their places they are state 0.
    embeddings = text.base.embeddings
    whole = (
        found
        + embeddings.position_embeddings.weight[:4]
        + embeddings.token_type_embeddings.weight[0]
    )
    (state,) = text.states(ids, torch.ones_like(ids, dtype=torch.bool), [0])
    torch.testing.assert_close(embeddings.LayerNorm(whole), state)


def test_padding_does_not_reach_the_upper_layers():
    """A raw 0/1 mask, added to scores, would mask nothing."""
    text = BertLayers(bert_model())
    ids, mask, lengths = batch(3)
    (state,) = text.states(ids, mask, [1])
    last = text.upper(state, mask, 1)
    other = text.upper(torch.where(mask[..., None], state, 50.0), mask, 1)
    assert torch.equal(last[mask], other[mask])
    alone = text.upper(state[1:2, : lengths[1]], mask[1:2, : lengths[1]], 1)
    torch.testing.assert_close(alone[0], last[1, : lengths[1]])


def test_without_sep_the_states_are_others():
    text = BertLayers(bert_model())
    ids, mask, _ = batch(1)
    (state,) = text.states(ids, mask, [1])
    whole, without = text.upper(state, mask, 1), text.upper(state[:, :-1], mask[:, :-1], 1)
    assert not torch.allclose(whole[:, :-1], without, atol=1e-3)


def test_a_frozen_bert_stays_as_it_is_but_lets_gradients_through():
    text = BertLayers(bert_model())
    before = text.digest()
    assert not any(weight.requires_grad for weight in text.parameters())
    text.train()
    assert not any(module.training for module in text.modules())
    states = torch.randn(2, 5, 24, requires_grad=True)
    mask = torch.ones(2, 5, dtype=torch.bool)
    text.logits(text.upper(states, mask, 1)).square().sum().backward()
    assert states.grad.abs().sum(-1).min() > 0
    assert text.digest() == before
    next(iter(text.parameters())).data.view(-1)[0] += 1
    assert text.digest() != before


def test_a_folder_with_pooler_and_head_and_ones_without(tmp_path):
    _, folder = write_models(tmp_path)
    text = load_bert(folder)
    model = bert_model()
    ids, mask, _ = batch(2)
    (state,) = text.states(ids, mask, [4])
    assert torch.equal(text.pooled(state), model.base_model.pooler(state))
    bare = tmp_path / "bare"
    bert_model(pooler=False).save_pretrained(str(bare))
    text = load_bert(bare)
    assert text.head
    assert torch.equal(text.pooled(state), state[:, 0])
    body = tmp_path / "body"
    model.base_model.save_pretrained(str(body))
    text = load_bert(body)
    assert torch.equal(text.pooled(state), model.base_model.pooler(state))
    with pytest.raises(InputError, match="no head that predicts word pieces: set subword_weight"):
        text.logits(state)


def test_folders_that_hold_no_bert_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no text encoder here \(config.json is missing\)"):
        load_bert(tmp_path)
    speech, _ = write_models(tmp_path)
    with pytest.raises(InputError, match="type 'data2vec-audio'; speech can be grafted onto bert"):
        load_bert(speech)


@pytest.fixture
def parts():
    text = BertLayers(bert_model())
    return SpeechEncoder(speech_model()), text


@pytest.mark.parametrize("edges", ["emitted", "constant", "learned"])
def test_states_are_cls_tokens_sep(parts, edges):
    aligner = Aligner(*parts, layer=2, edges=edges).eval()
    audio, lengths = torch.randn(2, 12_000), torch.tensor([12_000, 9_000])
    wanted = torch.tensor([6, 4])
    with torch.no_grad():
        if edges != "emitted":
            aligner.around.copy_(torch.stack([torch.full((24,), 3.0), torch.full((24,), 4.0)]))
        aligned = aligner(audio, lengths, target_lengths=wanted)
        states, mask = aligner.states(aligned)
    projected = aligner.project(aligned.vectors)
    assert mask.sum(1).tolist() == (wanted if edges == "emitted" else wanted + 2).tolist()
    for row, count in enumerate(wanted.tolist()):
        if edges == "emitted":
            assert torch.equal(states[row, :count], projected[row, :count])
        else:
            assert (states[row, 0] == 3).all()
            assert torch.equal(states[row, 1 : count + 1], projected[row, :count])
            assert (states[row, count + 1] == 4).all()


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("edges", ["emitted", "constant"])
def test_features_of_an_utterance_do_not_depend_on_its_batch(parts, pooling, edges):
    graft = Graft(Aligner(*parts, layer=2, edges=edges, rate=0.2), parts[1], pooling).eval()
    audio, lengths = torch.randn(3, 14_000), torch.tensor([14_000, 9_000, 3_000])
    with torch.no_grad():
        features = graft(audio, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = graft(audio[[row], :length], lengths[[row]])
            torch.testing.assert_close(alone[0], features[row], atol=1e-5, rtol=1e-4)
    assert features.shape == (3, 24)
    assert features.isfinite().all()


def test_the_mean_leaves_edges_and_padding_out():
    text = BertLayers(bert_model())
    last = torch.arange(2 * 5.0).view(2, 5, 1).expand(2, 5, 24)
    mask = there_of(torch.tensor([5, 4]), 5)
    assert pooled(text, last, mask, "mean")[:, 0].tolist() == [2.0, 6.5]
    edges_only = pooled(text, last, there_of(torch.tensor([2, 2]), 5), "mean")
    assert edges_only[:, 0].tolist() == [0.5, 5.5]


def test_top_subwords_of_each_token(parts):
    graft = Graft(Aligner(*parts, layer=2), parts[1]).eval()
    audio, lengths = torch.randn(2, 12_000), torch.tensor([12_000, 9_000])
    found = graft.top_subwords(audio, lengths, target_lengths=torch.tensor([7, 4]), count=5)
    assert [tuple(each.shape) for each in found] == [(5, 5), (2, 5)]
