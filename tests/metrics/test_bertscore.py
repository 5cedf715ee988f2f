"""Recall equals that of the package bert-score on tiny models made here."""

import random
from collections import defaultdict

import numpy as np
import pytest
import torch
from bert_score import BERTScorer, utils
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizer,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

from hearsay.errors import InputError
from hearsay.metrics.bertscore import BertScore

TEXT = "the a cat dog sat on mat house ran fast slow big small red blue we they you is was"
WORDS = TEXT.split()
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
}
LONGEST = 40


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of a tiny random BERT and a tiny random RoBERTa with their tokenisers."""
    torch.manual_seed(0)
    found = {}
    for kind in ("bert", "roberta"):
        folder = found[kind] = tmp_path_factory.mktemp(kind)
        if kind == "bert":
            marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
            (folder / "vocab.txt").write_text("\n".join([*marks, *WORDS, "##s"]))
            tokeniser = BertTokenizer(str(folder / "vocab.txt"))
            model = BertModel(
                BertConfig(vocab_size=len(tokeniser), max_position_embeddings=LONGEST, **SIZE)
            )
        else:
            trained = ByteLevelBPETokenizer()
            marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
            text = " ".join(WORDS)
            trained.train_from_iterator([text] * 3, 330, 1, special_tokens=marks)
            trained.save_model(str(folder))
            tokeniser = RobertaTokenizer.from_pretrained(folder, model_max_length=LONGEST)
            model = RobertaModel(
                RobertaConfig(
                    vocab_size=len(tokeniser), max_position_embeddings=LONGEST + 2, **SIZE
                )
            )
        tokeniser.save_pretrained(folder)
        model.save_pretrained(folder)
    return found


def texts(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(count)]


REFERENCES, HYPOTHESES, DOCUMENTS = texts(110, 1), texts(110, 2), texts(60, 3)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_recall_is_that_of_bert_score(folders, kind, weighted):
    theirs = BERTScorer(
        model_type=str(folders[kind]), num_layers=2, device="cpu", nthreads=0, idf=weighted
    )
    # What the package does itself with older transformers.
    space = {"add_prefix_space": True} if kind == "roberta" else {}
    theirs._tokenizer = AutoTokenizer.from_pretrained(
        folders[kind], model_max_length=LONGEST, **space
    )
    if weighted:
        theirs.compute_idf(DOCUMENTS)
    _, expected, _ = theirs.score(HYPOTHESES, REFERENCES)
    mine = BertScore(folders[kind], 2, device="cpu")
    weights = mine.inverse_document_frequencies(DOCUMENTS) if weighted else None
    found = mine.recall(REFERENCES, HYPOTHESES, weights)
    assert np.abs(found - expected.numpy()).max() <= 1e-5
    assert found.std() > 0.01  # the models tell texts apart


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_single_pairs_and_weights_are_those_of_bert_score(folders, kind):
    mine = BertScore(folders[kind], 3, device="cpu")
    tokens = mine.tokens(DOCUMENTS)
    theirs = utils.get_idf_dict(tokens, None, nthreads=0)
    weights = mine.inverse_document_frequencies(DOCUMENTS)
    assert {k: w for k, w in weights.items() if k != -1} == pytest.approx(dict(theirs))
    assert theirs[10**6] == pytest.approx(weights[-1])
    model = utils.get_model(str(folders[kind]), 3)
    uniform = defaultdict(lambda: 1.0, dict.fromkeys(mine._special, 0.0))
    for r, h in zip(REFERENCES[:20], HYPOTHESES[:20], strict=True):
        for given, used in ((None, uniform), (weights, theirs)):
            states = []
            for text in (r, h):
                ids = torch.tensor(mine.tokens([text]))
                mask = torch.ones_like(ids)
                share = torch.tensor([[used[int(t)] for t in ids[0]]])
                states += [utils.bert_encode(model, ids, mask), mask, share]
            _, expected, _ = utils.greedy_cos_idf(*states)
            assert mine.recall([r], [h], given)[0] == pytest.approx(float(expected), abs=1e-5)


def test_empty_texts_score_zero_and_others_do_not_depend_on_company(folders):
    mine = BertScore(folders["roberta"], 2, device="cpu")
    found = mine.recall(["the cat", "", "the cat", "the cat"], ["", "a dog", "  ", "a dog"])
    assert list(found[:3]) == [0, 0, 0]
    assert found[3] == pytest.approx(mine.recall(["the cat"], ["a dog"])[0], abs=1e-6)
    assert mine.recall(["the cat"], ["the cat"])[0] == pytest.approx(1, abs=1e-6)
    assert mine.recall([], []).shape == (0,)
    # A reference of tokens that are in every document has no weight at all.
    weights = mine.inverse_document_frequencies(["the cat"] * 4)
    assert mine.recall(["the cat"], ["the cat"], weights)[0] == 0


def test_long_texts_are_cut_to_the_positions_of_the_model(folders):
    long = " ".join(WORDS * 10)
    for kind in folders:
        mine = BertScore(folders[kind], 1, device="cpu")
        assert mine.longest == LONGEST
        assert len(mine.tokens([long])[0]) == LONGEST
        assert mine.recall([long], [long])[0] == pytest.approx(1, abs=1e-5)


def test_unusable_folders_and_layers_are_refused(folders, tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing"):
        BertScore(tmp_path, 2)
    with pytest.raises(InputError, match=r"bertscore_layer 17.*layers 0 to 3"):
        BertScore(folders["bert"], 17)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no model for BERTScore"):
        BertScore(tmp_path, 2)
