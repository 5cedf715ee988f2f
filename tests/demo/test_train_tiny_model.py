"""Tiny BERT and GPT-2: files as from the hub, tokens as BP-GPT needs them, the same bits twice."""

import json
import math
import socket
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hearsay.demo import train_tiny_model
from hearsay.demo.sentences import corpus
from hearsay.demo.train_tiny_model import mask_tokens
from hearsay.demo.word_vectors import token_vectors
from hearsay.errors import InputError


def train(parent: Path, kind: str, **changes: object) -> Path:
    options = {"kind": kind, "width": 32, "layers": 1, "steps": 100, "seed": 0} | changes
    folder = parent / kind
    train_tiny_model.main(
        f"tiny-{kind}",
        json.dumps(options),
        folder,
        parent / f"{kind}.run.json",
        parent / f".{kind}.checkpoints",
    )
    return folder


@pytest.fixture(scope="module", autouse=True)
def short_text() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_tiny_model, "SENTENCES", 3000)
        patch.setattr(train_tiny_model, "BATCH", {"bert": 8, "gpt2": 2})
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("models")
    return {kind: train(parent, kind) for kind in ("bert", "gpt2")}


def record(folder: Path) -> dict:
    return json.loads(folder.with_name(f"{folder.name}.run.json").read_text())


def test_loaded_offline_by_anyone(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    def no_network(*_: object) -> None:
        raise AssertionError("it asked for the network")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    heads = {"bert": AutoModelForMaskedLM, "gpt2": AutoModelForCausalLM}
    for kind, folder in models.items():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for loader in (AutoModel, heads[kind]):
            model, info = loader.from_pretrained(folder, output_loading_info=True)
            assert model.config.model_type == kind
            assert not info["missing_keys"]
            assert not info["mismatched_keys"]
        ids = tokenizer(" the sailor pulled the rope", return_tensors="pt")
        hidden = model(**ids, output_hidden_states=True).hidden_states[-1]
        assert hidden.shape == (1, 7 if kind == "bert" else 5, 32)
    told = model.generate(**ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
    assert told.shape == (1, 13)


def test_files(models: dict[str, Path]) -> None:
    for kind, folder in models.items():
        names = {path.name for path in folder.iterdir()}
        expected = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}
        assert expected <= names
        assert not folder.with_name(f".{kind}.checkpoints").exists()
        config = json.loads((folder / "config.json").read_text())
        assert config.get("n_positions", config.get("max_position_embeddings")) >= 160
        assert record(folder)["vocabulary"] == config["vocab_size"]


def test_bert_tokens(models: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models["bert"])
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("The sailor didn't zzq $")["input_ids"])
    assert tokens == ["[CLS]", "the", "sailor", "didn", "'", "t", "z", "##z", "##q", "$", "[SEP]"]
    padded = tokenizer(["the rope", "the wet rope"], padding=True)
    assert padded["input_ids"][0][-1] == tokenizer.pad_token_id == 0
    assert padded["attention_mask"] == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert tokenizer.mask_token == "[MASK]"
    assert tokenizer.unk_token_id not in tokenizer(" ".join(corpus("x", 300)))["input_ids"]


def test_gpt2_tokens(models: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models["gpt2"])
    (dollar,) = tokenizer.encode(" $")
    aligned = "= the sailor $ pulled the $ $ $  $ rope $"
    ids = tokenizer.encode(aligned)
    assert ids.count(dollar) == aligned.count("$")
    assert tokenizer.decode(ids) == aligned
    assert tokenizer.eos_token == "<|endoftext|>"
    assert tokenizer.encode("<|endoftext|>") == [tokenizer.eos_token_id]
    # Text it never saw comes back too: it works on bytes.
    assert tokenizer.decode(tokenizer.encode(" Zürich 42!")) == " Zürich 42!"
    lines = corpus("tokens", 200)
    words = sum(len(line.split()) for line in lines)
    assert len(tokenizer.encode("".join(f" {line}" for line in lines))) < 1.05 * words


def test_it_learned(models: dict[str, Path]) -> None:
    """Better than the frequencies of words, after seconds."""
    counts = Counter(word for line in corpus("0 held out", 4000) for word in line.split())
    total = counts.total()
    guess = math.exp(-sum(n / total * math.log(n / total) for n in counts.values()))
    assert 130 < guess < 180
    assert record(models["gpt2"])["held_out_perplexity"] < 0.4 * guess
    assert record(models["bert"])["held_out_masked_perplexity"] < 0.9 * guess


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_same_seed_same_bits(kind: str, models: dict[str, Path], tmp_path: Path) -> None:
    again = train(tmp_path, kind)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (models[kind] / name).read_bytes()
    assert record(again)["id"] == record(models[kind])["id"]
    weights = load_file(again / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "t5"}, "models.tiny-t5: kind 't5'"),
        ({"width": 30}, "width 30"),
        ({"steps": 70}, "steps 70"),
    ],
)
def test_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        train(tmp_path, str(changes.pop("kind", "gpt2")), **changes)
    assert not any(tmp_path.iterdir())


def test_masking() -> None:
    ids = torch.randint(10, 500, (400, 64), generator=torch.Generator().manual_seed(1))
    inputs, labels = mask_tokens(ids, 4, 500, torch.Generator().manual_seed(0))
    asked = labels != -100
    assert asked.float().mean().item() == pytest.approx(0.25 * 62 / 64, abs=0.01)
    assert not asked[:, [0, -1]].any()
    assert torch.equal(labels[asked], ids[asked])
    assert torch.equal(inputs[~asked], ids[~asked])
    assert (inputs[asked] == 4).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (inputs[asked] == ids[asked]).float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_token_vectors_tell_neighbourhoods() -> None:
    """Two topics of ten words each: words of a topic are nearer to each other than to others."""
    generator = torch.Generator().manual_seed(0)
    topic = torch.arange(400).repeat_interleave(50) % 2
    ids = torch.randint(10, (20_000,), generator=generator) + 10 * topic
    vectors = token_vectors(ids, 25, 8)
    assert vectors.shape == (25, 8)
    assert not vectors[20:].any()
    unit = torch.nn.functional.normalize(vectors[:20, 4:], dim=1)
    alike = unit @ unit.T
    same = torch.block_diag(torch.ones(10, 10), torch.ones(10, 10)).bool()
    assert alike[same].mean() > alike[~same].mean() + 0.2
