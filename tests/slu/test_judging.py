"""Aligners judged on parts with times, forced alignment, and what of an aligner is shown."""

import json

import numpy as np
import pytest
import torch
from tiny import (
    CONVOLUTIONS,
    SMALL,
    sentences,
    sung,
    training_options,
    write_models,
    write_part,
)

from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.word_times import WordTime, read_word_times, write_word_times
from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.slu import align_words, force_words, score_alignment, show_states, train_aligner
from hearsay.slu.aligner_files import load_aligner
from hearsay.slu.bert_layers import load_bert
from hearsay.slu.score_alignment import regrouped

LETTERS = "abcdefgont'"


@pytest.fixture
def part(tmp_path):
    """A part and the exact times of its words."""
    texts = sentences(6)
    manifest = write_part(tmp_path / "speech", "test", texts)
    draw = np.random.default_rng(0)
    words = {}
    for clip, text in zip(read_manifest(manifest), texts, strict=True):
        times = sung(text, draw)[1]
        words[clip.id] = [WordTime(w, *t) for w, t in zip(text.split(), times, strict=True)]
    write_word_times(tmp_path / "test.words.csv", words)
    return manifest, tmp_path / "test.words.csv"


def values(path, experiment):
    """Values of one row by metric."""
    frame = read_scores(path)
    frame = frame[frame["experiment"] == experiment]
    return dict(zip(frame["metric"], frame["value"], strict=True))


def judge(tmp_path, text, manifest, words, times, **more):
    score_alignment.main(
        part=[json.dumps({"part": "c/test", "manifest": str(manifest), "words": str(words)})],
        aligned=[
            json.dumps(
                {"run": run, "seed": 1, "preset": "best", "part": "c/test", "times": str(path)}
            )
            for run, path in times.items()
        ],
        text=text,
        settings=json.dumps({"resamples": 200}),
        out=tmp_path / "alignment.csv",
        record=tmp_path / "alignment.run.json",
        **{"forced": [], **more},
    )
    return tmp_path / "alignment.csv"


def test_true_times_have_no_error_and_trivial_ones_do(tmp_path, part):
    text = write_models(tmp_path / "models")[1]
    manifest, words = part
    late = {
        name: [WordTime(w.word, w.start_s + 0.06, w.end_s + 0.06) for w in each]
        for name, each in read_word_times(words).items()
    }
    write_word_times(tmp_path / "late.csv", late)
    forced = [json.dumps({"model": "ctc", "part": "c/test", "times": str(words)})]
    times = {"true": words, "late": tmp_path / "late.csv"}
    out = judge(tmp_path, text, manifest, words, times, forced=forced)
    true, late_by = values(out, "true"), values(out, "late")
    assert true["mae"] == 0
    assert true["accuracy 50"] == 1
    assert values(out, "forced: ctc")["mae"] == 0
    assert late_by["mae"] == pytest.approx(60)
    assert late_by["bias"] == pytest.approx(60)
    assert late_by["accuracy 50"] == 0
    assert late_by["accuracy 100"] == 1
    constant = values(out, "trivial: constant alpha")["mae"]
    assert true["mae less constant alpha"] == pytest.approx(-constant)
    assert true["p against constant alpha"] < 0.05
    # Letters all last 60 ms: whoever counts letters between the silences is nearly right.
    assert values(out, "floor: characters, oracle span")["mae"] < 1e-6
    assert values(out, "floor: rounded to frames")["mae"] <= 10
    assert set(read_scores(out)["n"].dropna()) == {6}


def test_what_was_aligned_must_be_the_same_clips_and_words(tmp_path, part):
    text = write_models(tmp_path / "models")[1]
    manifest, words = part
    known = read_word_times(words)
    fewer = dict(list(known.items())[1:])
    write_word_times(tmp_path / "fewer.csv", fewer)
    with pytest.raises(InputError, match="1 of 6 clips were not aligned, such as 'test-0'"):
        judge(tmp_path, text, manifest, words, {"a": tmp_path / "fewer.csv"})
    assert not (tmp_path / "alignment.csv").exists()
    other = write_part(tmp_path / "speech", "other", sentences(2))
    with pytest.raises(InputError, match="'test-0' is no clip of"):
        judge(tmp_path, text, other, words, {"a": words})


def test_a_word_without_pieces_is_told_with_its_clip(tmp_path, part):
    text = write_models(tmp_path / "models")[1]
    known = read_word_times(part[1])
    known["test-2"][1] = WordTime("\u200b", 0.2, 0.3)
    write_word_times(tmp_path / "odd.csv", known)
    with pytest.raises(InputError, match="clip test-2: word 2 has the weight 0"):
        judge(tmp_path, text, part[0], tmp_path / "odd.csv", {})


def test_words_of_the_reference_may_be_several_of_the_transcript():
    found = [WordTime("ice", 0, 1), WordTime("cream", 2, 3), WordTime("now", 3, 4)]
    gold = [WordTime("ice cream", 0, 3), WordTime("now", 3, 4)]
    assert regrouped(found, gold, "x") == [WordTime("ice cream", 0, 3), WordTime("now", 3, 4)]
    with pytest.raises(InputError, match="x: 'now' was aligned where the reference has 'then'"):
        regrouped(found, [gold[0], WordTime("then", 3, 4)], "x")
    with pytest.raises(InputError, match="more words were aligned"):
        regrouped(found, gold[:1], "x")


def ctc_folder(folder):
    """A random CTC model over the letters of the tones."""
    from transformers import Data2VecAudioConfig, Data2VecAudioForCTC

    vocabulary = {"<pad>": 0, "|": 1, **{c: k for k, c in enumerate(LETTERS, 2)}}
    config = Data2VecAudioConfig(
        **CONVOLUTIONS, **SMALL, num_conv_pos_embeddings=2, conv_pos_kernel_size=5,
        vocab_size=len(vocabulary), pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    Data2VecAudioForCTC(config).save_pretrained(str(folder))
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return folder


def force(tmp_path, folder, manifest):
    force_words.main(
        model=folder, part=[manifest], settings=json.dumps({"device": "cpu"}), threads=1,
        out=tmp_path / "forced.csv", record=tmp_path / "forced.run.json",
    )  # fmt: skip
    return read_word_times(tmp_path / "forced.csv")


def test_forced_words_are_those_of_the_transcript_in_order(tmp_path, part):
    found = force(tmp_path, ctc_folder(tmp_path / "ctc"), part[0])
    for clip in read_manifest(part[0]):
        words = found[clip.id]
        assert " ".join(word.word for word in words) == clip.text
        edges = [edge for word in words for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        assert 0 <= edges[0] < edges[-1] <= clip.duration


def test_what_a_ctc_model_must_have(tmp_path, part):
    folder = ctc_folder(tmp_path / "ctc")
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({**vocabulary, "a": 99} | {"q": 2}))
    with pytest.raises(InputError, match="clip test-0: label 99: the recogniser has 13"):
        force(tmp_path, folder, part[0])
    vocabulary.pop("b")
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(InputError, match="has no label for 'b'"):
        force(tmp_path, folder, part[0])
    vocabulary.pop("|")
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(InputError, match="no delimiter of words"):
        force(tmp_path, folder, part[0])
    with pytest.raises(InputError, match="its weights lack"):
        force(tmp_path, plain_encoder(tmp_path), part[0])


def plain_encoder(tmp_path):
    """An encoder without a head of letters."""
    return write_models(tmp_path / "plain")[0]


@pytest.mark.parametrize("edges", ["emitted", "constant"])
def test_states_before_and_after(tmp_path, part, edges):
    models = write_models(tmp_path / "models")
    train = write_part(tmp_path / "speech", "train", sentences(8, 1))
    options = training_options(tmp_path / "run", models, train, edges=edges)
    train_aligner.main(**options)
    show_states.main(
        run="tiny", seed=0, weights=options["weights"], speech=models[0], text=models[1],
        part=part[0], settings=json.dumps({"ids": ["test-3"]}), threads=1,
        out=tmp_path / "states.npz", record=tmp_path / "states.run.json",
    )  # fmt: skip
    with np.load(tmp_path / "states.npz") as states:
        assert states["ids"].tolist()[:2] == ["test-3", "test-0"]
        assert len(states["ids"]) == 6
        for k, text in enumerate(states["texts"]):
            pieces = states[f"pieces_{k}"].tolist()
            assert "".join(piece.removeprefix("##") for piece in pieces) == text.replace(" ", "")
            shape = (len(pieces), 24)
            assert {states[f"{n}_{k}"].shape for n in ("before", "after", "text")} == {shape}
            assert not np.allclose(states[f"before_{k}"], states[f"after_{k}"])
            assert states[f"top_{k}"].shape == (len(pieces), 5)
            assert all(len(set(row)) == 5 for row in states[f"top_{k}"].tolist())


@pytest.mark.parametrize("pooler", [True, False])
def test_before_its_training_an_aligner_has_the_weights_that_it_starts_from(tmp_path, part, pooler):
    models = write_models(tmp_path / "models", pooler=pooler)
    options = training_options(tmp_path / "run", models, part[0], epochs=0)
    train_aligner.main(**options)
    trained, about = load_aligner(options["weights"], load_bert(models[1]))
    before = show_states.initial_aligner(about, 0, *models, rate=0.1).state_dict()
    other = [n for n, t in trained.state_dict().items() if not torch.equal(t, before[n])]
    assert other == ["alpha.output.bias"]  # of the rate


def test_states_of_an_unknown_clip(tmp_path, part):
    with pytest.raises(InputError, match=r"slu.shown: 'nobody' is no clip of .*'test-0'"):
        show_states.chosen_clips(part[0], ["nobody"])


def test_before_its_training_an_aligner_has_a_constant_alpha(tmp_path, part):
    models = write_models(tmp_path / "models")
    options = training_options(tmp_path / "run", models, part[0], epochs=0, edges="constant")
    train_aligner.main(**options)
    align_words.main(
        weights=options["weights"], text=models[1], part=[part[0]], threads=1,
        settings=json.dumps({"device": "cpu", "batch_size": 1}),
        out=tmp_path / "words.csv", record=tmp_path / "words.run.json",
    )  # fmt: skip
    out = judge(tmp_path, models[1], *part, {"untrained": tmp_path / "words.csv"})
    constant = values(out, "trivial: constant alpha")["mae"]
    # The last frame's end and the audio's are not the same.
    assert values(out, "untrained")["mae"] == pytest.approx(constant, abs=10)
