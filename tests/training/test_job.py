"""What training steps do alike: which trainings are the same, and how epochs are cut."""

import json

import pandas as pd
import pytest

from hearsay.training.job import Job

STEP = "hearsay.asr.train_recogniser"
OPTIONS = {"device": "cpu", "precision": "32-true", "recipe": {"epochs": 3}}


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("1\n")
    return path


def job(data, *, seed=0, workers=2, **changes):
    told = {"settings": {"run": "a"}, "inputs": [data], "threads": 1, "workers": workers}
    return Job(STEP, OPTIONS | changes, seed=seed, **told)


def test_a_checkpoint_is_gone_on_from_where_nothing_that_counts_has_changed(data, tmp_path):
    def where(found, **which):
        return found.checkpoints(tmp_path / "checkpoints", **which).path.parent.name

    first = where(job(data), run="a")
    assert where(job(data, workers=0), run="a") == first
    others = [where(job(data, seed=1), run="a"), where(job(data), run="b")]
    others.append(where(job(data, recipe={"epochs": 4}), run="a"))
    data.write_text("2\n")
    others.append(where(job(data), run="a"))
    assert len({first, *others}) == 5


def test_epochs_are_cut_by_the_recipe_and_shared(data):
    recipe = {"batch_size": 8, "micro_batch": 4, "buckets": 2, "epochs": 3}
    assert job(data, seed=5).batching(recipe) == {
        "batch_size": 8, "micro_batch": 4, "buckets": 2,
        "seed": 5, "workers": 2, "rank": 0, "processes": 1,
    }  # fmt: skip


def test_the_record_tells_settings_inputs_and_facts(data, tmp_path):
    trained = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    job(data, seed=7).write(trained, tmp_path / "h.csv", tmp_path / "r.json", steps=20)
    record = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (record["seed"], record["threads"], record["epochs"], record["steps"]) == (7, 1, 2, 20)
    assert record["workers"] == 2
    assert record["settings"]["run"] == "a"
    assert record["settings"]["recipe"] == {"epochs": 3}
    assert record["inputs"][0]["path"].endswith("data.csv")
    assert record["precision"] == "32-true"
    assert len(pd.read_csv(tmp_path / "h.csv")) == 2
