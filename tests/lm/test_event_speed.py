"""The race of the event engine: fair contenders, wanted activities, and the recording step."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from hearsay.errors import InputError
from hearsay.lm import measure_event_speed
from hearsay.lm.event_engine import EventEngine
from hearsay.lm.event_speed import (
    DensePath,
    GRUPath,
    break_even,
    measure_point,
    model_with_activity,
    race,
)

WIDTHS, WORDS = (60, 60, 30), 100


def tokens(steps: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(WORDS, size=(steps, batch))


@pytest.mark.parametrize("variant", ["paper", "evnn"])
@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.17, 0.5, 0.9, 1.0])
def test_models_have_the_wanted_activity(variant, fraction):
    model = model_with_activity(WIDTHS, WORDS, fraction, seed=1, variant=variant)
    engine = EventEngine(model)
    for row in tokens(300):
        engine.step(row)
    for found in engine.activity.active_fractions():
        assert found == pytest.approx(fraction, abs=0.03 if 0 < fraction < 1 else 0)


def test_the_seed_makes_the_model_and_nothing_else_is_drawn_from():
    state = torch.get_rng_state()
    first, again = (model_with_activity(WIDTHS, WORDS, 0.2, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("variant", ["paper", "evnn"])
@pytest.mark.parametrize("lookup", [True, False])
@pytest.mark.parametrize("copied", [True, False])
def test_the_dense_path_is_the_model(variant, lookup, copied, monkeypatch):
    monkeypatch.setattr("hearsay.lm.event_speed.copies_are_faster", lambda *_: copied)
    model = model_with_activity(WIDTHS, WORDS, 0.3, seed=0, variant=variant).double()
    text = tokens(60, 2)
    with torch.no_grad():
        wanted = model.logits(model(torch.from_numpy(text))[0])
    dense = DensePath(model, batch=2, lookup=lookup)
    assert dense.copied is copied
    for row, logits in zip(text, wanted, strict=True):
        assert (dense.step(row) - logits).abs().max() < 1e-12


def test_the_gru_steps_as_it_runs_over_a_chunk():
    gru = GRUPath([(30, 60), (60, 60), (60, 30)], WORDS, batch=2)
    text = tokens(20, 2)
    with torch.no_grad():
        x = gru.embedding[torch.from_numpy(text)]
        for layer in gru.layers:
            x, _ = layer(x)
        wanted = torch.nn.functional.linear(x, gru.embedding, gru.bias)
    found = torch.stack([gru.step(row) for row in text])
    assert found.shape == (20, 2, WORDS)
    assert (found - wanted).abs().max() < 1e-5


def test_contenders_read_the_same_tokens_in_turns():
    read: dict[str, list[int]] = {"a": [], "b": []}
    text = np.arange(25)[:, None]
    contenders = {name: (lambda row, seen=seen: seen.append(row[0])) for name, seen in read.items()}
    times = race(contenders, text, warm_up=3)
    assert read["a"] == read["b"] == [0, 1, 2, *range(25)]
    for timing in times.values():
        assert 0 <= timing.low <= timing.median <= timing.high


def test_a_point_of_the_curve():
    point = measure_point(WIDTHS, WORDS, 0.2, tokens=40, seed=0)
    assert list(point) == [
        "active",
        "engine_ms",
        "engine_low_ms",
        "engine_high_ms",
        "dense_ms",
        "gru_ms",
        "macs",
    ]
    assert point["active"] == pytest.approx(0.2, abs=0.03)
    dense = 3 * (60 * 60 * 3 + 60 * 30 + 30 * 30) + 30 * WORDS
    assert point["macs"] == pytest.approx(0.2 * dense, rel=0.2)


def test_break_even():
    active = [0.0, 0.5, 1.0]
    assert break_even(active, [1, 2, 3], [2.5, 2.5, 2.5]) == pytest.approx(0.75)
    assert break_even(active, [1, 2, 3], [4, 4, 4]) is None
    assert break_even(active, [5, 6, 7], [4, 4, 4]) == 0.0
    assert break_even(active, [1, 2, 3], [3, 3, 3]) == 1.0


def test_the_step_writes_the_curve_and_its_record(tmp_path):
    out, record = tmp_path / "event_speed.csv", tmp_path / "event_speed.run.json"
    settings = {
        "hidden_size": 40,
        "embedding_size": 20,
        "vocabulary": 50,
        "active": [1.0, 0, 0.2],
        "tokens": 20,
        "seed": 0,
    }
    measure_event_speed.main(json.dumps(settings), threads=1, out=out, record=record)
    table = pd.read_csv(out)
    assert table["active"].is_monotonic_increasing
    assert table["active"].iloc[0] == 0
    assert table["active"].iloc[-1] == 1
    assert (table.filter(like="_ms") > 0).all(axis=None)
    assert table["macs"].iloc[-1] <= 3 * (40 * 40 * 3 + 40 * 20 + 20 * 20) + 20 * 50
    kept = json.loads(record.read_text())
    assert kept["sizes"] == {"widths": [40, 40, 20], "vocabulary": 50}
    assert set(kept["break_even"]) == {"dense", "gru"}
    assert kept["threads"] == 1
    assert kept["hardware"]["cpu"]


def test_shares_too_close_to_be_told_apart_are_one_point(tmp_path, monkeypatch):
    """Of a few units none is active at 0.1 %: the figure takes each share once."""
    point = dict.fromkeys(("engine_ms", "engine_low_ms", "engine_high_ms", "dense_ms", "gru_ms"), 1)
    monkeypatch.setattr(
        measure_event_speed,
        "measure_point",
        lambda widths, words, share, **_: {"active": round(share, 2), **point, "macs": 1},
    )
    settings = {"hidden_size": 4, "embedding_size": 2, "vocabulary": 5, "tokens": 20, "seed": 0}
    settings["active"] = [0.0, 0.001, 0.5, 1.0]
    out = tmp_path / "speed.csv"
    measure_event_speed.main(json.dumps(settings), threads=1, out=out, record=tmp_path / "r.json")
    assert pd.read_csv(out)["active"].tolist() == [0, 0.5, 1]


def test_shares_that_are_none():
    for active in ([], [0.5, 17], [-0.1]):
        with pytest.raises(InputError, match=r"lm\.event_speed\.active"):
            measure_event_speed.in_order(active)
    assert measure_event_speed.in_order([1, 0.5, 0, 0.5]) == [0, 0.5, 1]
