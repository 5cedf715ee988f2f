"""The word-rate model: its target, its arithmetic, and what it may not know."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.brain import fit_word_rate as step
from hearsay.brain import word_rate as module
from hearsay.brain.stories import Stories, Story, digest_of, write_stories
from hearsay.brain.windows import words_in_rows
from hearsay.brain.word_rate import delayed, fit_word_rate, lanczos, word_rate, words_heard
from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError
from hearsay.settings.brain import WordRate as Settings

ROWS, VOXELS = 60, 12
ALPHAS = [0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]


def simulate(seed, rows=ROWS, noise=0.3, split="train", name=None):
    """A story whose rate swings between none and six words a TR, and BOLD that follows it."""
    rng = np.random.default_rng(seed)
    swing = 3 + 3 * np.sin(np.arange(-5, rows + 10) / 4 + rng.uniform(0, 6))
    words = []
    for k, count in enumerate(rng.poisson(swing)):
        start = 10 + 2 * (k - 5)
        for onset in np.sort(rng.uniform(start, start + 1.8, count)):
            words.append(Word("x", float(onset), float(onset) + 0.2))
    rate = word_rate(words, rows + 8)[: rows + 8]
    bold = np.zeros((rows, VOXELS))
    for delay, weight in ((1, 0.3), (2, 1.0), (3, 0.7)):
        before = np.concatenate([np.full(delay, rate.mean()), rate])[:rows]
        bold += weight * before[:, None] * np.linspace(0.5, 1.5, VOXELS)
    bold += noise * bold.std() * rng.normal(size=bold.shape)
    bold = (bold - bold.mean(axis=0)) / bold.std(axis=0)
    name = name or f"story{seed:02}"
    return Story(name, split, bold.astype(np.float32), sorted(words, key=lambda w: w.onset))


@pytest.fixture(scope="module")
def training():
    return [simulate(k) for k in range(6)]


def test_kernel():
    t = np.linspace(-4, 4, 801)
    k = lanczos(t)
    assert k[400] == 1
    np.testing.assert_allclose(k[[100, 200, 300, 500, 600, 700]], 0, atol=1e-12)
    assert not k[np.abs(t) > 3].any()
    near = (np.abs(t) > 1e-6) & (np.abs(t) <= 3)
    t = t[near]
    formula = 3 * np.sin(np.pi * t) * np.sin(np.pi * t / 3) / (np.pi * t) ** 2
    np.testing.assert_allclose(k[near], formula, atol=1e-12)


def test_rate_of_steady_speech_and_of_one_word():
    steady = [Word("x", t - 0.1, t + 0.1) for t in np.arange(0.25, 100, 0.5)]
    np.testing.assert_allclose(word_rate(steady, 40), 4, rtol=0.01)
    # A word in the middle of row 3, which covers 16 to 18 s, counts there and nowhere else.
    np.testing.assert_allclose(word_rate([Word("x", 16.9, 17.1)], 8), np.eye(8)[3], atol=1e-9)
    assert not word_rate([], 5).any()


@given(st.lists(st.floats(0, 40), max_size=30))
def test_words_heard_are_those_in_the_rows(onsets):
    words = [Word("x", onset, onset + 0.1) for onset in sorted(onsets)]
    expected = [len(texts) for texts in words_in_rows(words, 12)]
    assert words_heard(words, 12).tolist() == expected


def test_delays_look_ahead_and_never_into_another_story():
    x = np.arange(1.0, 6)[:, None]
    np.testing.assert_array_equal(
        delayed(x, (-2, -1, 1)),
        [[3, 2, 0], [4, 3, 1], [5, 4, 2], [0, 5, 3], [0, 0, 4]],
    )
    assert not delayed(x, (-5, 9)).any()


def test_planted_rate_is_recovered(training):
    model = fit_word_rate(training, ALPHAS)
    fresh = simulate(50)
    predicted = model(fresh.responses)
    truth = word_rate(fresh.words, ROWS)
    assert predicted.min() >= 0
    assert np.corrcoef(predicted, truth)[0, 1] > 0.8
    assert abs(predicted.mean() - truth.mean()) < 0.6
    assert model.errors[model.alpha] == min(model.errors.values())
    assert len(model.weights) == VOXELS * 4


def test_noise_alone_gives_the_mean_rate(training):
    rng = np.random.default_rng(0)
    noise = [replace(s, responses=rng.normal(size=(ROWS, VOXELS)).astype("f4")) for s in training]
    model = fit_word_rate(noise, [1.0, 1e7])
    assert model.alpha == 1e7
    np.testing.assert_allclose(model(noise[0].responses), model.mean, atol=0.01)


def test_penalties_go_as_far_as_those_of_tang_et_al():
    squared = np.logspace(1, 3, 10) ** 2  # their ridge regression squares what it is given
    alphas = np.array(Settings().alphas)
    assert alphas.min() <= squared.min()
    assert alphas.max() >= squared.max()
    # Voxels that do not follow the speech then predict its mean rate, and no more.
    rng = np.random.default_rng(0)
    deaf = [
        replace(story, responses=rng.normal(size=(ROWS, VOXELS)).astype(np.float32))
        for story in (simulate(k) for k in range(6))
    ]
    model = fit_word_rate(deaf, list(alphas))
    assert np.std(np.concatenate([model(s.responses) for s in deaf])) < 0.05 * model.mean


def test_both_ways_of_solving_agree_with_plain_ridge(training, monkeypatch):
    shorter = [replace(s, responses=s.responses[: 40 + k]) for k, s in enumerate(training)]
    models = {}
    for way in (module._Voxels, module._Rows):
        monkeypatch.setattr(module, "_Voxels", way)
        monkeypatch.setattr(module, "_Rows", way)
        models[way] = fit_word_rate(shorter, ALPHAS, folds=4)
    one, other = models.values()
    assert one.alpha == other.alpha
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6, atol=1e-9)
    for alpha in ALPHAS:
        np.testing.assert_allclose(one.errors[alpha], other.errors[alpha], rtol=1e-6)

    x = np.concatenate([delayed(s.responses.astype(float)) for s in shorter])
    y = np.concatenate([word_rate(s.words, len(s.responses)) for s in shorter])
    plain = np.linalg.solve(x.T @ x + one.alpha * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    np.testing.assert_allclose(one.weights, plain, rtol=1e-6, atol=1e-9)
    # The error of one penalty, story folds left out by hand.
    total = 0.0
    for left_out in range(4):
        new = [k for k in range(6) if k % 4 == left_out]
        old = [k for k in range(6) if k % 4 != left_out]
        fit = fit_word_rate([shorter[k] for k in old], [10.0], folds=2)
        for k in new:
            raw = delayed(shorter[k].responses.astype(float)) @ fit.weights + fit.mean
            total += ((raw - word_rate(shorter[k].words, len(raw))) ** 2).sum()
    np.testing.assert_allclose(one.errors[10.0], total / len(y), rtol=1e-6)


def test_more_voxels_than_rows_are_solved_through_the_rows(training, monkeypatch):
    monkeypatch.setattr(module, "_Voxels", None)
    wide = [
        replace(s, responses=np.tile(s.responses[:20], (1, 4)) + np.float32(0)) for s in training
    ]
    assert len(fit_word_rate(wide, ALPHAS).weights) == 4 * VOXELS * 4


def test_order_of_stories_does_not_matter(training):
    one = fit_word_rate(training, ALPHAS)
    other = fit_word_rate(training[::-1], ALPHAS)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_bad_settings(training):
    for stories, alphas, folds, match in (
        (training[:1], ALPHAS, 5, "1 training stories"),
        (training, ALPHAS, 1, "1 folds"),
        (training, [], 5, "alphas"),
        (training, [0.0], 5, "alphas"),
    ):
        with pytest.raises(InputError, match=match):
            fit_word_rate(stories, alphas, folds=folds)


def run_step(folder, stories):
    voxels = np.arange(VOXELS)
    written = {s.name: s for s in stories}
    write_stories(
        folder / "windows.h5",
        Stories("S", "ds", "1", voxels, digest_of(voxels), "all", written, VOXELS),
    )
    step.main(
        windows=folder / "windows.h5",
        settings=json.dumps({"delays": [-4, -3, -2, -1], "alphas": ALPHAS, "folds": 3}),
        out=folder / "word_rate.csv",
        record=folder / "record.json",
    )
    record = json.loads((folder / "record.json").read_text())
    return pd.read_csv(folder / "word_rate.csv"), record


def test_step_predicts_every_row_and_learns_from_training_stories_only(tmp_path, training):
    tables, records = [], []
    for seed in (8, 9):
        test = simulate(seed, rows=ROWS + seed, split="test", name="test")
        validation = simulate(10 * seed, split="validation", name="validation")
        folder = tmp_path / str(seed)
        table, record = run_step(folder, [*training, validation, test])
        assert list(table.columns) == ["story", "row", "words", "predicted"]
        assert table.groupby("story").size()["test"] == ROWS + seed
        assert (table["predicted"] >= 0).all()
        of_test = table[table["story"] == "test"]
        np.testing.assert_array_equal(of_test["words"], words_heard(test.words, ROWS + seed))
        assert np.corrcoef(of_test["predicted"], of_test["words"])[0, 1] > 0.6
        tables.append(table[~table["story"].isin(["test", "validation"])])
        records.append(record)
    pd.testing.assert_frame_equal(*tables)
    assert records[0]["alpha"] == records[1]["alpha"]
    assert records[0]["errors"] == records[1]["errors"]
    assert records[0]["validation_correlation"] > 0.8
