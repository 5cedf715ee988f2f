"""Training of language models: exact resume, state between chunks, faults that stop it."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import hearsay
from hearsay.corpora.text_corpus import TokenCorpus, write_tokens
from hearsay.errors import InputError
from hearsay.lm import evaluate_language_model, gather_scores, stream, train_language_model
from hearsay.lm.chunks import Chunk, streams
from hearsay.lm.egru import EGRU
from hearsay.lm.language_model import LanguageModel, load_language_model, model_of
from hearsay.lm.recipes import recipe_of
from hearsay.lm.stream import ChunkLoss, Stream
from hearsay.metrics.scores import read_scores

TINY = {
    "hidden_size": 12,
    "embedding_size": 8,
    "layers": 2,
    "batch_size": 4,
    "bptt": 10,
    "epochs": 3,
    "warmup_steps": 0,
    "dropconnect": 0.3,
    "dropout_words": 0.1,
    "dropout_hidden": 0.2,
    "dropout_output": 0.2,
    "threshold_mean": -2.0,
    "learning_rate": 0.02,
}


def make_corpus(words=17, count=1200, seed=0):
    """A text in which each word nearly tells the next."""
    draw = np.random.default_rng(seed)
    ids = np.zeros(count + 300, dtype=np.int32)
    for k in range(1, len(ids)):
        ids[k] = (3 * ids[k - 1] + 1) % words if draw.random() < 0.8 else draw.integers(words)
    names = [f"w{k}" for k in range(words - 1)] + ["<eos>"]
    return TokenCorpus(ids[:count], ids[count : count + 150], ids[count + 150 :], names)


@pytest.fixture
def train(tmp_path):
    """Run the step; gives the options that it had."""

    def run(name="run", corpus=None, seed=0, **keys):
        tokens = tmp_path / f"{name}.npz"
        write_tokens(tokens, corpus or make_corpus())
        options = options_of(tmp_path / name, tokens, seed, **keys)
        train_language_model.main(**options)
        return options

    return run


def options_of(folder, tokens, seed=0, **keys):
    settings = {
        "recipe": recipe_of("small", **(TINY | keys)).model_dump(),
        "backend": "torch",
        "device": "cpu",
        "precision": "32-true",
    }
    return {
        "corpus": "tales",
        "run": "tiny",
        "seed": seed,
        "tokens": tokens,
        "settings": json.dumps(settings),
        "threads": 1,
        "weights": folder / "weights.safetensors",
        "history": folder / "history.csv",
        "record": folder / "training.run.json",
        "checkpoints": folder / "training",
    }


def score(options, folder):
    """Judge what was trained; the score file."""
    evaluate_language_model.main(
        corpus="tales",
        run="tiny",
        seed=options["seed"],
        tokens=options["tokens"],
        weights=options["weights"],
        history=options["history"],
        training=options["record"],
        settings=json.dumps({"backend": "torch", "device": "cpu", "bptt": 32}),
        threads=1,
        out=folder / "scores.csv",
        record=folder / "scores.run.json",
    )
    return read_scores(folder / "scores.csv").set_index("metric")["value"]


def same(first, second):
    """Whether two runs wrote the same bits: weights and history."""
    a, b = load_file(first["weights"]), load_file(second["weights"])
    histories = [pd.read_csv(each["history"]) for each in (first, second)]
    return all(torch.equal(a[name], b[name]) for name in a) and histories[0].equals(histories[1])


def test_snapshots_are_models_from_the_untrained_one_on(train, tmp_path):
    plain = train("plain", epochs=3)
    tokens = plain["tokens"]
    options = options_of(tmp_path / "kept", tokens, epochs=3)
    more = json.dumps(json.loads(options["settings"]) | {"trajectory": 2})
    train_language_model.main(**options | {"settings": more, "trajectory": tmp_path / "kept/all"})
    assert same(plain, options)  # taking snapshots changes nothing
    paths = sorted((tmp_path / "kept/all").iterdir())
    assert [path.name for path in paths] == [f"epoch-000{k}.safetensors" for k in (0, 1, 3)]
    models = [load_language_model(path)[0] for path in paths]
    untrained, _, last = [model.embedding.weight for model in models]
    assert untrained.abs().max() <= json.loads(options["settings"])["recipe"]["embedding_range"]
    history = pd.read_csv(options["history"])["validation_perplexity"]
    best = load_file(options["weights"])["embedding.weight"]
    assert torch.equal(last, best) == (history.idxmin() == 2)


@pytest.mark.parametrize("cell", ["egru", "gru", "lstm"])
def test_it_learns_and_says_so(train, tmp_path, cell):
    options = train(cell=cell, epochs=12, dropconnect=0.0, dropout_hidden=0.0, dropout_output=0.0)
    history = pd.read_csv(options["history"])
    assert history["validation_perplexity"].iloc[-1] < 11 < 17
    found = score(options, tmp_path)
    best = history["validation_perplexity"].min()
    assert found["validation_perplexity"] == pytest.approx(best, rel=0.15)  # ten streams from zeros
    assert found["test_perplexity"] < 11
    assert found["epochs"] == len(history)
    record = json.loads(options["record"].read_text())
    assert record["backend"] == {"egru": "torch"}.get(cell, f"torch.{cell}")
    if cell == "egru":
        assert 0 < found["activity_sparsity"] < 1
        assert found["effective_macs"] < found["dense_macs"]
        assert found["effective_macs_lookup"] < found["effective_macs"]
        units = (
            12 * found["activity_sparsity_layer1"] + 8 * found["activity_sparsity_layer2"]
        ) / 20
        assert found["activity_sparsity"] == pytest.approx(units)
        assert 0 < found["backward_sparsity"] < 1
    else:
        assert found["effective_macs"] == found["dense_macs"]
        assert not any("sparsity" in metric for metric in found.index)


@pytest.mark.parametrize("cell", ["egru", "gru", "lstm"])
def test_mixed_precision_trains_every_cell_as_well(train, tmp_path, cell):
    keys = {"cell": cell, "epochs": 4, "decoder_map": True, "decoder_centre": 0.1}
    options = train("full", **keys)
    mixed = options_of(tmp_path / "mixed", options["tokens"], **keys)
    mixed["settings"] = json.dumps(json.loads(mixed["settings"]) | {"precision": "bf16-mixed"})
    train_language_model.main(**mixed)
    assert load_file(mixed["weights"])["embedding.weight"].dtype == torch.float32
    found, wanted = (
        pd.read_csv(each["history"])["validation_perplexity"] for each in (mixed, options)
    )
    assert not found.equals(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0.15)  # events flip, and ways part


# --- killed and started again --------------------------------------------------------------------


class Killed(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize(
    ("keys", "step"),
    [
        ({}, 7),
        ({}, 29),  # the last chunk of an epoch
        ({}, 41),
        ({"cell": "gru"}, 37),
        ({"cell": "lstm", "optimizer": "nt-asgd", "learning_rate": 2.0}, 50),
        ({"carry_state": "output", "variant": "evnn"}, 44),
    ],
)
def test_killed_at_a_step_it_ends_with_the_same_bits(train, monkeypatch, keys, step):
    if keys.get("optimizer") == "nt-asgd":
        # Averaging from the second epoch on.
        monkeypatch.setattr(stream.TriggeredAverage, "validated", _trigger)
    whole = train("whole", **keys)

    taken, end = 0, Stream.end

    def dying(self):
        nonlocal taken
        end(self)
        taken += 1
        if taken == step + 1:
            raise Killed

    # A checkpoint after every third step, so that the kill is between two.
    fit = train_language_model.fit

    def often(training, folder, fabric):
        training.checkpoint_steps = 3
        return fit(training, folder, fabric)

    monkeypatch.setattr(train_language_model, "fit", often)
    monkeypatch.setattr(Stream, "end", dying)
    with pytest.raises(Killed):
        train("killed", **keys)
    torch.manual_seed(99)
    monkeypatch.setattr(Stream, "end", end)
    again = train("killed", **keys)
    assert same(whole, again)


def _trigger(self, perplexity):
    self._validations.append(perplexity)
    self._triggered = True


def test_seeds_matter_and_repeat(train):
    first = train("first")
    assert same(first, train("again"))
    assert not same(first, train("other", seed=1))


def test_killed_with_kill_minus_9_it_ends_with_the_same_bits(train, tmp_path, kill_in_training):
    keys = {"epochs": 12}
    whole = train("whole", **keys)
    options = options_of(tmp_path / "killed", whole["tokens"], **keys)
    arguments = [f"--{key}={value}" for key, value in options.items()]
    delay = random.uniform(0, 0.3)
    kill_in_training(train_language_model.STEP, arguments, options["checkpoints"], delay=delay)
    assert not options["weights"].exists()
    command = [sys.executable, "-m", "hearsay.step", train_language_model.STEP, *arguments]
    path = str(Path(hearsay.__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "going on from" in done.stderr
    assert same(whole, options)
    assert not options["checkpoints"].exists()


def test_killed_after_the_last_step_the_record_still_names_the_backend(train, monkeypatch):
    def dying(*arguments):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train_language_model, "save_language_model", dying)
        train()
    assert json.loads(train()["record"].read_text())["backend"] == "torch"


def test_the_record_names_the_backend_of_the_training_not_of_the_last_validation(
    train, monkeypatch
):
    """A GPU's recordings have at least 8 steps; what is left of a text may be shorter."""
    forward = EGRU.forward

    def told(self, x, state=None):
        found = forward(self, x, state)
        self.backend_used = "recorded" if len(x) >= 8 else "launched"
        return found

    monkeypatch.setattr(EGRU, "forward", told)
    corpus = make_corpus()
    corpus = dataclasses.replace(corpus, valid=corpus.valid[:106])  # 10 streams, and 6 words
    assert json.loads(train(corpus=corpus)["record"].read_text())["backend"] == "recorded"


# --- state ---------------------------------------------------------------------------------------


def two_chunks(carry_state, variant="paper"):
    """Losses of a chunk of 20 words and of two of 10 whose state is carried."""
    torch.manual_seed(0)
    recipe = recipe_of("small", **(TINY | {"carry_state": carry_state})).model_dump()
    model = model_of(17, recipe).double().eval()
    torch.nn.init.normal_(model.embedding.weight)  # the units have something to say
    rows = streams(make_corpus().train, 4)
    module, optimizer = ChunkLoss(model, recipe), torch.optim.SGD(model.parameters(), lr=0)
    found = []
    for plan in ([Chunk(0, 20)], [Chunk(0, 10), Chunk(10, 10)]):
        carried = Stream(model, recipe, len(rows))
        losses = []
        for chunk in plan:
            carried.begin(chunk, optimizer)
            losses.append(carried.loss(module, rows[chunk.start : chunk.start + chunk.length + 1]))
        found.append(sum(losses).item() / len(losses))
        assert all(not part.requires_grad for layer in carried.state for part in layer)
    return found


def test_the_state_goes_from_chunk_to_chunk():
    whole, parts = two_chunks("all")
    assert whole == pytest.approx(parts, rel=1e-12)
    # What the public code does is there, and something else.
    whole, parts = two_chunks("output")
    assert whole != pytest.approx(parts, rel=1e-6)


def test_mixed_precision_does_not_round_the_state_between_chunks(train, tmp_path, monkeypatch):
    """Fabric converts what a module is called with."""
    seen, forward = [], LanguageModel.run

    def told(self, tokens, state=None):
        seen.append([part.detach().clone() for layer in state for part in layer])
        return forward(self, tokens, state)

    monkeypatch.setattr(LanguageModel, "run", told)
    monkeypatch.setattr(train_language_model, "negative_log_likelihood", lambda *_, **__: (1.0, 1))
    options = options_of(tmp_path / "run", tmp_path / "text.npz", epochs=1)
    write_tokens(options["tokens"], make_corpus())
    mixed = json.loads(options["settings"]) | {"precision": "bf16-mixed"}
    train_language_model.main(**options | {"settings": json.dumps(mixed)})
    later = [part for chunk in seen[1:] for part in chunk]
    assert all(part.dtype == torch.float32 for part in later)
    assert not any(torch.equal(part, part.bfloat16().float()) for part in later if part.any())


def test_penalties_are_those_of_awd_lstm():
    torch.manual_seed(0)
    plain = recipe_of("small", **TINY).model_dump()
    model = model_of(17, plain).double().eval()
    piece = streams(make_corpus().train, 4)[:9]
    state = model.initial_state(4)
    _, raw, _ = model.run(piece[:-1], state)
    base = ChunkLoss(model, plain)(piece, lambda: state)[0]
    found = ChunkLoss(model, plain | {"activation_penalty": 2.0, "temporal_penalty": 1.0})(
        piece, lambda: state
    )
    expected = base + 2 * (raw**2).mean() + ((raw[1:] - raw[:-1]) ** 2).mean()
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], base)


def test_sparsities_are_of_the_whole_epoch(train):
    history = pd.read_csv(train(epochs=2)["history"])
    for kind in ("activity_sparsity", "backward_sparsity"):
        layers = (12 * history[f"{kind}_layer1"] + 8 * history[f"{kind}_layer2"]) / 20
        np.testing.assert_allclose(history[kind], layers, rtol=1e-12)
    counted = history["activity_sparsity"] * (299 * 4 * 20)
    np.testing.assert_allclose(counted, counted.round(), atol=1e-6)


# --- faults --------------------------------------------------------------------------------------


def test_a_share_of_the_text_is_its_beginning(train):
    """The same bits as on a text that ends there; the rest is not looked at."""
    whole = make_corpus()
    cut = TokenCorpus(whole.train[:400], whole.valid, whole.test, whole.words)
    a = train("share", whole, training_share=1 / 3)
    b = train("cut", cut)
    assert json.loads(a["record"].read_text())["tokens"] == 396  # four streams of 100, first rows
    first, second = load_file(a["weights"]), load_file(b["weights"])
    assert all(torch.equal(first[name], second[name]) for name in second)
    with pytest.raises(InputError, match="6 training tokens are too few for batch_size 4"):
        train("short", whole, training_share=0.005)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_text_in_which_nothing_is_predicted_is_refused_before_training(train, tmp_path, split):
    corpus = dataclasses.replace(make_corpus(), **{split: np.zeros(1, np.int32)})
    with pytest.raises(InputError, match=rf"run.npz: {split} has 1 token.*at least 2"):
        train(corpus=corpus)


def test_the_decoder_begins_with_the_words_that_are_trained_on(train, monkeypatch):
    begun = []
    monkeypatch.setattr(
        LanguageModel, "begin_with_frequencies", lambda self, ids: begun.append(ids.copy())
    )
    train("without")
    assert not begun
    train("with", training_share=0.5, decoder_bias_from_words=True)
    assert np.array_equal(begun, [make_corpus().train[:600]])


def test_a_loss_that_is_not_finite_stops_by_name_and_keeps_the_last_good_checkpoint(
    train, tmp_path, monkeypatch
):
    original, calls = Stream.loss, []

    def broken(self, module, piece):
        calls.append(1)
        found = original(self, module, piece)
        return found * float("nan") if len(calls) == 35 else found

    monkeypatch.setattr(Stream, "loss", broken)
    with pytest.raises(
        InputError, match=r"loss is nan at epoch 2, step \d+, learning rate"
    ) as told:
        train()
    kept = next((tmp_path / "run" / "training").glob("*/checkpoint.pt"))
    assert str(kept) in str(told.value)
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_a_gradient_that_is_not_finite_stops_by_name(train, monkeypatch):
    original = Stream.loss

    def broken(self, module, piece):
        found = original(self, module, piece)
        found.register_hook(lambda gradient: gradient * float("inf"))
        return found

    monkeypatch.setattr(Stream, "loss", broken)
    with pytest.raises(InputError, match="norm of the gradient is"):
        train()


def test_a_model_of_another_vocabulary_is_refused(train, tmp_path):
    options = train(epochs=1)
    other = make_corpus(words=19)
    write_tokens(tmp_path / "other.npz", other)
    options["tokens"] = tmp_path / "other.npz"
    with pytest.raises(InputError, match=r"trained on the vocabulary \w+ of tales.*19 words"):
        score(options, tmp_path)


def test_another_text_starts_afresh(train, tmp_path, monkeypatch):
    """A checkpoint of other words is not gone on from."""
    end = Stream.validated

    def dying(self, value):
        end(self, value)
        if self.epoch == 2:
            raise Killed

    monkeypatch.setattr(Stream, "validated", dying)
    with pytest.raises(Killed):
        train()
    monkeypatch.setattr(Stream, "validated", end)
    other = make_corpus(words=17, seed=5)
    assert same(train(corpus=other), train("fresh", corpus=other))


def test_scores_are_gathered_with_their_runs(train, tmp_path):
    files = []
    for seed in (0, 1):
        options = train(f"seed{seed}", seed=seed, epochs=1)
        score(options, options["weights"].parent)
        files.append(options["weights"].parent / "scores.csv")
    gather_scores.main(
        corpus="tales", scores=files, out=tmp_path / "all.csv", record=tmp_path / "all.run.json"
    )
    found = read_scores(tmp_path / "all.csv")
    assert sorted(found["seed"].unique()) == [0, 1]
    assert found["run"].nunique() == 2
    assert len(found) == sum(len(read_scores(path)) for path in files)


def test_saved_models_are_the_best_of_their_validations(train):
    options = train(epochs=6, learning_rate=0.3)
    history = pd.read_csv(options["history"])
    model, _ = load_language_model(options["weights"])
    corpus = make_corpus()
    total, count = train_language_model.negative_log_likelihood(
        model, corpus.valid, batch_size=train_language_model.VALIDATION_STREAMS
    )
    assert np.exp(total / count) == pytest.approx(history["validation_perplexity"].min(), rel=1e-4)
