"""Simulated BOLD: the lag of the haemodynamic response, and the signal-to-noise that was asked."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from hearsay.corpora.textgrid import Word
from hearsay.demo.bold_simulation import (
    TRIM,
    Listener,
    haemodynamic_response,
    raw_scan,
    trimmed_and_scored,
    word_features,
)
from hearsay.demo.sentences import story

STORIES = ("one", "two", "three")
VOLUMES = 160
FEATURES = word_features(0)
HEARD = {name: FEATURES.volumes(story(name, 300), VOLUMES) for name in STORIES}


def listener(name: str, snr: float) -> Listener:
    return Listener(name, snr, HEARD, voxels=60, auditory=range(10, 50), seed=0)


def test_response_peaks_after_five_seconds() -> None:
    response = haemodynamic_response()
    assert response.sum() == pytest.approx(1)
    assert response.argmax() * 0.1 == pytest.approx(5.0, abs=0.11)
    assert 13 < response.argmin() * 0.1 < 17
    assert response.min() == pytest.approx(-response.max() / 10, rel=0.3)


def test_rows_cover_their_seconds() -> None:
    """One word at story time 30 s: the response peaks 5 s later, in the row of 34 to 36 s."""
    heard = FEATURES.volumes([Word("the", 30.0, 30.2)], VOLUMES)[:, -1]
    row = int(heard[TRIM:-TRIM].argmax())
    assert 10 + 2 * row == 34
    # Nothing before the word, whose row is [30, 32).
    assert np.abs(heard[TRIM : TRIM + 10]).max() < 1e-12
    assert heard[TRIM + 10] > 0


def test_features_are_shared_by_stories_and_differ_by_word() -> None:
    again = word_features(0)
    assert all(np.array_equal(FEATURES.vectors[w], again.vectors[w]) for w in again.vectors)
    rope, anchor, soup, the = (again.vectors[w] for w in ("rope", "anchor", "soup", "the"))
    assert not np.array_equal(rope, anchor)
    assert rope[:12].argmax() == anchor[:12].argmax() != soup[:12].argmax()
    assert not the[:12].any()
    assert rope[-1] == the[-1] == 1


@pytest.mark.parametrize("snr", [0.0, 0.5, 4.0])
def test_signal_to_noise(snr: float) -> None:
    subject = listener("SIM01", snr)
    signal = np.concatenate([subject.signal(HEARD[name]) for name in STORIES])
    inside, outside = signal[:, 10:50], np.delete(signal, np.s_[10:50], axis=1)
    assert inside.var(axis=0) == pytest.approx(np.full(40, snr), abs=1e-9)
    assert not outside.any()
    noise = np.concatenate(
        [subject.run(name, HEARD[name]) - subject.signal(HEARD[name]) for name in STORIES]
    )
    assert noise.var() == pytest.approx(1, abs=0.03)
    lagged = [np.corrcoef(noise[:-1, v], noise[1:, v])[0, 1] for v in range(60)]
    assert np.mean(lagged) == pytest.approx(0.4, abs=0.03)


def test_subjects_and_repeats_differ() -> None:
    first, second = listener("SIM01", 1.0), listener("SIM02", 1.0)
    heard = HEARD["one"]
    assert np.array_equal(first.run("one", heard), listener("SIM01", 1.0).run("one", heard))
    assert not np.allclose(first.signal(heard), second.signal(heard))
    a, b = (first.run("one", heard, repeat) - first.signal(heard) for repeat in (0, 1))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.05


def test_trimming_and_drift() -> None:
    run = listener("SIM01", 1.0).run("one", HEARD["one"])
    rows = trimmed_and_scored(run)
    assert rows.shape == (VOLUMES - 20, 60)
    assert rows.mean(axis=0) == pytest.approx(np.zeros(60), abs=1e-6)
    assert rows.std(axis=0) == pytest.approx(np.ones(60), abs=1e-5)
    drift = (raw_scan(run) - 10_000) / 100 - run
    assert drift.std(axis=0).mean() > 2
    # Slow: the filter of 120 s takes it out, and does not take out the run.
    for series, left in ((drift, 0.06), (run, 1.0)):
        flat = (series - savgol_filter(series, 61, 2, axis=0))[TRIM:-TRIM]
        assert flat.std(axis=0).mean() < left * series[TRIM:-TRIM].std(axis=0).mean()
    assert flat.std(axis=0).mean() > 0.7 * run[TRIM:-TRIM].std(axis=0).mean()
