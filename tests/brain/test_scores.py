"""Protocols cut the right windows, and the step tells a decoder from its controls."""

import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from hearsay.brain import score_story
from hearsay.brain.protocols import (
    CONTROLS,
    PROTOCOLS,
    cut_words,
    cutoffs,
    disjoint_pairs,
    midpoints,
    overlapping_pairs,
    read_decoded,
    rows_without_hypothesis,
    timed_words,
    training_documents,
)
from hearsay.brain.stories import Stories, Story, digest_of, write_stories
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores

TEXT = """the old man went down to the harbour in the morning and he saw a small boat with a red
sail it was late and nobody knew where my brother had gone so we called the station but they could
not help us then i found his letter under the door she told me that every light would burn on"""
VOCABULARY = sorted(set(TEXT.split()))
WINDOWS = 22
ROWS = 10 * WINDOWS + 3


def story(name: str, split: str, rows: int, seed: int) -> Story:
    """A story with a word each second."""
    draw = random.Random(seed)
    times = np.arange(0, 10 + 2 * rows + 10, 1.0)
    words = [Word(draw.choice(VOCABULARY), float(t), float(t + 0.8)) for t in times]
    return Story(name, split, np.zeros((rows, 2), dtype=np.float32), words)


TEST = story("harbourlights", "test", ROWS, 0)
TRAIN = [story("quarry", "train", 45, 1), story("ferry", "train", 50, 2)]


def aligned(trs: list[list[str]]) -> str:
    return " ".join(" ".join([*words, "$"]) for words in trs)


def decoded_table(planted: float, seed: int, controls: bool = True) -> pd.DataFrame:
    """Decodings that copy the share `planted` of what was heard; those of controls copy nothing."""
    draw = random.Random(seed)
    rows = []
    kinds = {"fmri": 1, "single": 2, "text": 1}
    if controls:
        kinds |= {"shuffled": 1, "zero": 1, "noise": 2, "null": 1}
    for kind, count in kinds.items():
        for repeat in range(count):
            for window in range(WINDOWS):
                start = 10.0 + 20 * window
                trs = cut_words(
                    midpoints(TEST.words), [(start + 2 * k, start + 2 * k + 2) for k in range(10)]
                )
                share = {"fmri": planted, "single": planted / 2, "text": 0.8}.get(kind, 0.0)
                output = [
                    [w if draw.random() < share else draw.choice(VOCABULARY) for w in words]
                    for words in trs
                ]
                if kind == "zero":
                    output = [["the"]] * 10
                rows.append(
                    {
                        "story": TEST.name,
                        "window": window,
                        "start": start,
                        "input": kind,
                        "draw": repeat,
                        "reference": " ".join(w for words in trs for w in words),
                        "decoded": " ".join(w for words in output for w in words),
                        "reference_aligned": aligned(trs),
                        "decoded_aligned": aligned(output),
                        "words_expected": "",
                        "ended": "tokens",
                    }
                )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Prepared stories, a tiny BERT, and decodings of settings that do and do not decode."""
    folder = tmp_path_factory.mktemp("scores")
    voxels = np.arange(2)
    stories = {s.name: s for s in [TEST, *TRAIN]}
    write_stories(
        folder / "windows.h5",
        Stories("SIM01", "demo", "1", voxels, digest_of(voxels), "all", stories),
    )
    bert = folder / "bert"
    bert.mkdir()
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (bert / "vocab.txt").write_text("\n".join([*marks, *VOCABULARY]))
    tokeniser = BertTokenizer(str(bert / "vocab.txt"))
    tokeniser.save_pretrained(bert)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(
        vocab_size=len(tokeniser), num_hidden_layers=1, initializer_range=0.3, **size
    )
    BertModel(config).save_pretrained(bert)
    decoded_table(0.4, 1).to_csv(folder / "planted.csv", index=False)
    decoded_table(0.0, 2).to_csv(folder / "random.csv", index=False)
    decoded_table(0.0, 3, controls=False).to_csv(folder / "trained.csv", index=False)
    return folder


OPTIONS = {
    "protocols": ["bp-gpt", "tang"],
    "controls": {"planted": "trained", "random": "trained"},
    "bertscore_layer": 1,
    "device": "cpu",
    "wordnet": "none",
    "resamples": 500,
    "seed": 0,
}


def run(folder, out: str, files: dict[str, str], options=None, **more):
    score_story.main(
        subject=more.get("subject", "SIM01"),
        windows=folder / "windows.h5",
        decoded=[f"{name}={folder / file}" for name, file in files.items()],
        settings=json.dumps(OPTIONS | (options or {})),
        bertscore=folder / "bert",
        out=folder / f"{out}.csv",
        window_scores=folder / f"{out}-windows.csv",
        record=folder / f"{out}.json",
    )
    return read_scores(folder / f"{out}.csv")


ALL = {"planted": "planted.csv", "random": "random.csv", "trained": "trained.csv"}
MEASURES = ["bleu-1", "meteor-no-synonyms", "bertscore", "wer"]


@pytest.fixture(scope="module")
def scores(folder):
    frame = run(folder, "scores", ALL)
    return frame.set_index(["experiment", "model", "metric"])["value"].sort_index()


# --- protocols ----------------------------------------------------------------------------------


def test_windows_of_the_published_test_story():
    windows = cutoffs(291)
    assert (windows[0], windows[-1], len(windows)) == ((10, 30), (572, 592), 563)
    assert [cutoffs(rows) for rows in (0, 9)] == [[], []]
    assert cutoffs(10) == [(10, 30)]
    table = pd.DataFrame({"window": range(29), "start": 10.0 + 20 * np.arange(29)})
    table["reference"] = table["decoded"] = "a b"
    assert len(disjoint_pairs(table).windows) == 29
    long = Story("smoke", "test", np.zeros((291, 1)), [])
    assert rows_without_hypothesis(table, long) == 1
    assert len(overlapping_pairs(table, long).windows) == 563


def test_decoded_words_are_timed_by_their_marks():
    rows = pd.DataFrame(
        {
            "start": [10.0, 30.0, 50.0],
            "decoded_aligned": ["a b $ $ c" + " $" * 8 + " d $", "e f", "= g $ h"],
        }
    )
    assert timed_words(rows) == [
        (10.5, "a"),
        (11.5, "b"),
        (15.0, "c"),
        (29.0, "d"),
        (35.0, "e"),
        (45.0, "f"),
        (51.0, "g"),
        (53.0, "h"),
    ]
    many = pd.DataFrame({"start": [0.0], "decoded_aligned": ["$ " * 10 + "late words"]})
    assert timed_words(many) == [(18.5, "late"), (19.5, "words")]


def test_each_protocol_sees_the_words_of_its_windows():
    words = [Word(f"w{second}", second, second + 1.0) for second in range(100)]
    heard = Story("s", "test", np.zeros((30, 1)), words)
    assert cut_words(midpoints(words), cutoffs(30))[:2] == [
        [f"w{s}" for s in range(10, 30)],
        [f"w{s}" for s in range(11, 31)],
    ]
    rows = pd.DataFrame({"window": [0], "start": [10.0], "reference": ["w10"], "decoded": ["x y"]})
    pairs = overlapping_pairs(rows, heard)
    assert (pairs.hypotheses[0], pairs.hypotheses[15]) == (["x", "y"], ["y"])
    assert pairs.hypotheses[-1] == []


def test_frequencies_come_from_training_stories_only():
    documents = training_documents(TRAIN)
    assert len(documents) == 4 + 5
    with pytest.raises(ValueError, match="harbourlights"):
        training_documents([*TRAIN, TEST])
    with pytest.raises(InputError, match="no training story"):
        training_documents([])


# --- the step -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["bp-gpt", "tang"])
@pytest.mark.parametrize("measure", MEASURES)
def test_a_planted_decoder_beats_every_control_and_a_random_one_does_not(scores, protocol, measure):
    metric = f"{protocol}/{measure}"
    names = [*CONTROLS, "noise-trained"] + ["mismatch"] * (protocol == "bp-gpt")
    for setting in ("planted", "random"):
        found = scores[setting, "fmri"]
        parts = [
            found[f"{metric}/p-{n}" if n == "mismatch" else f"{metric}/p-vs-{n}"] for n in names
        ]
        assert found[f"{metric}/p"] == max(parts)
        assert (found[f"{metric}/p"] < 0.05) == (setting == "planted")
        assert found[f"{metric}/ci-low"] <= found[metric] <= found[f"{metric}/ci-high"]
    gain = scores["planted", "fmri", f"{metric}/difference-vs-noise"]
    assert gain < 0 if measure == "wer" else gain > 0


def test_only_decodings_with_controls_have_probabilities(scores):
    kinds = {(e, m) for e, m, metric in scores.index if "/p" in metric.removeprefix("bp-gpt")}
    assert kinds == {("planted", "fmri"), ("random", "fmri"), ("trained", "fmri")}
    assert not [m for m in scores["trained", "fmri"].index if m.endswith("/p") or "/p-vs" in m]
    assert "bp-gpt/bleu-1/ci-low" in scores["planted", "single"].index


def test_lengths_and_distinct_outputs(scores):
    assert scores["planted", "fmri", "bp-gpt/length-ratio"] == 1
    assert scores["planted", "fmri", "bp-gpt/distinct-outputs"] == 1
    assert scores["planted", "zero", "bp-gpt/length-ratio"] == pytest.approx(0.5, abs=0.02)
    assert scores["planted", "zero", "bp-gpt/distinct-outputs"] == 1 / WINDOWS


def test_scores_are_means_of_the_windows(folder, scores):
    frame = pd.read_csv(folder / "scores-windows.csv", keep_default_na=False)
    assert list(frame.columns) == score_story.WINDOW_COLUMNS
    means = frame.groupby(["setting", "input", "protocol", "measure"])["value"].mean()
    for (setting, kind, protocol, measure), mean in means.items():
        assert scores[setting, kind, f"{protocol}/{measure}"] == pytest.approx(mean)
    one = frame[(frame.setting == "planted") & (frame.input == "noise") & (frame.draw == 1)]
    assert set(one[one.protocol == "tang"].window) == set(range(len(cutoffs(ROWS))))
    assert set(one[one.protocol == "bp-gpt"].window) == set(range(WINDOWS))
    record = json.loads((folder / "scores.json").read_text())
    assert record["windows"] == {"bp-gpt": WINDOWS, "tang": len(cutoffs(ROWS))}
    assert record["rows_without_hypothesis"] == 3


def test_same_seed_same_bytes_and_no_controls_under_tang_if_not_wanted(folder, scores):
    options = {"tang_controls": False, "controls": {"planted": None}}
    names = ["experiment", "model", "metric"]
    again = run(folder, "again", {"planted": "planted.csv"}, options).set_index(names)["value"]
    left = {key for key in scores.index if key[0] == "planted"} - set(again.index)
    assert {m.split("/")[0] for _, kind, m in left if kind in CONTROLS} == {"tang"}
    assert {m for _, kind, m in left if kind == "fmri" and m.startswith("bp-gpt/")} == {
        f"bp-gpt/{m}/{what}-vs-noise-trained" for m in MEASURES for what in ("p", "difference")
    }
    assert not [m for _, _, m in again.index if m.startswith("tang/") and "/p" in m]
    assert ("planted", "single", "tang/wer") in again.index
    # A text's embedding depends in its last digits on which texts it is encoded with.
    same = [key for key in again.index if not key[2].endswith("/p")]
    assert np.allclose(again[same], scores[same], atol=1e-5, rtol=0)
    run(folder, "third", {"planted": "planted.csv"}, options)
    assert (folder / "third.csv").read_bytes() == (folder / "again.csv").read_bytes()


# --- refused ------------------------------------------------------------------------------------


def change(folder, name: str, edit) -> str:
    frame = pd.read_csv(folder / "planted.csv", keep_default_na=False)
    edit(frame).to_csv(folder / f"{name}.csv", index=False)
    return f"{name}.csv"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: f[f.input != "null"], "no input 'null', which setting 'planted'"),
        (lambda f: f[f.input != "fmri"], "no input 'fmri', draw 0"),
        (lambda f: f[~((f.input == "noise") & (f.window == 3))], "input 'noise', draw 0, has 21"),
        (lambda f: f.assign(story="quarry"), "holds story 'quarry', but the test story"),
        (lambda f: f.drop(columns="decoded"), "no column decoded"),
        (lambda f: f.assign(window="x"), "not a table of decoded windows"),
        (lambda f: f.assign(start=f.start / 2), "windows begin 10 s apart, not 20"),
        # Marks beyond the tenth have no TR in a window of 20 s.
        (lambda f: f.assign(start=f.start * 1.5), "windows begin 30 s apart, not 20"),
        (lambda f: f.iloc[:0], "no window was decoded"),
    ],
)
def test_unusable_decodings_are_refused(folder, edit, message):
    name = change(folder, "broken", edit)
    with pytest.raises(InputError, match=message) as error:
        run(folder, "refused", {"planted": name}, {"controls": {"planted": None}})
    assert "broken.csv" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (folder / "refused.csv").exists()


def test_unusable_arguments_are_refused(folder):
    with pytest.raises(InputError, match="setting 'trained' was not decoded"):
        run(folder, "refused", {"planted": "planted.csv"}, {"controls": {"planted": "trained"}})
    with pytest.raises(InputError, match="prepared for SIM01, not for SIM02"):
        run(folder, "refused", ALL, subject="SIM02")
    with pytest.raises(InputError, match="no 'smoke'; there are bp-gpt, tang"):
        run(folder, "refused", ALL, {"protocols": ["smoke"]})
    with pytest.raises(InputError, match="give SETTING=PATH"):
        score_story.decoded_files(["planted"])
    short = change(folder, "short", lambda f: f[f.window < 5])
    with pytest.raises(InputError, match="other windows than"):
        run(
            folder,
            "refused",
            {"planted": "planted.csv", "trained": short},
            {"controls": {"planted": "trained"}},
        )


def test_words_that_look_like_missing_values_stay_words(folder):
    name = change(folder, "words", lambda f: f.assign(decoded="nan", reference="null"))
    rows = read_decoded(folder / name, TEST.name)["null", 0]
    assert disjoint_pairs(rows).hypotheses[0] == ["nan"]
    assert disjoint_pairs(rows).references[0] == ["null"]


def test_protocols_declare_their_blocks():
    assert {name: p.block for name, p in PROTOCOLS.items()} == {"bp-gpt": 1, "tang": 60}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_it_scores_on_the_device_that_was_asked_for(folder):
    with pytest.raises(InputError, match="cuda asked for, but there is no GPU"):
        run(folder, "on-cuda", ALL, {"device": "cuda"})
