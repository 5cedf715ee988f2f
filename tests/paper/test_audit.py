"""The cross-system audit: the join of audits and scores, its tables and figures, in small."""

import csv
import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from hearsay.errors import InputError
from hearsay.metrics.scores import write_scores
from hearsay.paper import audit_figure1, audit_figure2, audit_table1, audit_table2
from hearsay.paper.audit import joined, read_audits, read_named_scores, read_tasks
from hearsay.paper.histories import read_history
from hearsay.paper.tables import read_table
from hearsay.spectral import audit_trained

KINDS = ("csv", "markdown", "tex", "json", "run")


def weights_file(path, seed, scale=1.0, *, size=60, broken=False):
    """A model of two matrices; of `size` 4 none can be fitted."""
    draw = np.random.default_rng(seed)
    tensors = {
        name: (scale * draw.standard_t(3, (size + 20, size))).astype(np.float32)
        for name in ("a.weight", "b.weight")
    }
    if broken:
        tensors["b.weight"][0, 0] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def score_rows(run, seed, subject, model="", **metrics):
    base = {"system": "lm", "experiment": run, "subject_or_language": subject, "model": model}
    return [{**base, "seed": seed, "run": "r", "metric": m, "value": v} for m, v in metrics.items()]


MODELS = {
    "lm/tales/small/0": {"scale": 0.5},
    "lm/tales/small/1": {"scale": 1.0},
    "lm/tales/large/0": {"scale": 2.0},
    "lm/tales/tiny/0": {"size": 4},
    "lm/tales/broken/0": {"broken": True},
}
PERPLEXITY = {"label": "perplexity", "metrics": ["test_perplexity"], "better": "lower"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    entries = []
    for k, (name, how) in enumerate(MODELS.items()):
        weights = weights_file(folder / name / "weights.safetensors", k, **how)
        entries.append({"model": name, "weights": str(weights), "trajectory": ""})
    # Untrained and once on the way.
    for epoch in (0, 2):
        weights_file(
            folder / f"lm/tales/small/0/trajectory/epoch-{epoch:04}.safetensors", 90 + epoch
        )
    entries[0]["trajectory"] = str(folder / "lm/tales/small/0/trajectory")
    settings = {"convention": "weightwatcher-2019", "min_size": None, "device": "cpu"}
    audit_trained.main(
        models=json.dumps(entries),
        settings=json.dumps(settings),
        matrices=folder / "all.matrices.csv",
        scores=folder / "all.scores.csv",
        record=folder / "all.run.json",
    )
    rows = [
        *score_rows("small", 0, "tales", test_perplexity=20.0),
        *score_rows("small", 1, "tales", test_perplexity=15.0),
        *score_rows("large", 0, "tales", test_perplexity=10.0),
        *score_rows("tiny", 0, "tales", test_perplexity=50.0),
        *score_rows("small", 0, "other", test_perplexity=1.0),
    ]
    write_scores(folder / "scores.csv", rows)
    return folder


def task(**changes):
    entry = {
        "system": "lm",
        "name": "language models, tales",
        "scores": "lm/tales",
        "subject": "tales",
        "measures": [PERPLEXITY],
        "models": {name: [name.split("/")[2], int(name.split("/")[3])] for name in MODELS},
    }
    return entry | changes


def pairs_of(study, **changes):
    (plan,) = read_tasks(json.dumps([task(**changes)]))
    scores = read_named_scores([("lm/tales", study / "scores.csv")])
    pairs = joined(plan, read_audits([study / "all.scores.csv"]), scores)
    return plan, {pair.model: pair for pair in pairs}


def made(study, out, step, *kinds, tasks=None):
    paths = {kind: out / f"made.{kind}" for kind in kinds}
    step.main(
        tasks=json.dumps(tasks if tasks is not None else [task()]),
        audit=[study / "all.scores.csv"],
        scores=[f"lm/tales={study / 'scores.csv'}"],
        **paths,
    )
    return paths


def test_each_model_meets_its_own_score(study):
    _, pairs = pairs_of(study)
    found = {name: pair.scores["perplexity"] for name, pair in pairs.items()}
    assert found["lm/tales/small/0"] == 20.0
    assert found["lm/tales/small/1"] == 15.0
    assert math.isnan(found["lm/tales/broken/0"])


def test_failed_fits_are_a_status_and_no_number(study):
    _, pairs = pairs_of(study)
    tiny, broken = pairs["lm/tales/tiny/0"].audited, pairs["lm/tales/broken/0"].audited
    assert tiny.metrics == {}
    assert tiny.status == "no fit (2 too small)"
    assert broken.metrics == {}
    assert broken.status == "no metric: 1 with NaN or Inf"
    assert math.isnan(pairs["lm/tales/tiny/0"].metric("alpha"))
    assert pairs["lm/tales/large/0"].audited.status == "2 fitted"


def test_snapshots_are_told_from_the_trained_model(study):
    _, pairs = pairs_of(study)
    assert list(pairs["lm/tales/small/0"].snapshots) == [0, 2]
    untrained = pairs["lm/tales/small/0"].untrained
    assert untrained.metrics != pairs["lm/tales/small/0"].audited.metrics
    assert pairs["lm/tales/small/1"].untrained is None


@pytest.mark.parametrize(("better", "tau"), [("lower", 1.0), ("higher", -1.0)])
def test_the_direction_of_the_score_turns_tau(study, better, tau):
    """Weights grow where perplexity falls: a larger norm goes with the better model."""
    plan, pairs = pairs_of(study, measures=[PERPLEXITY | {"better": better}])
    found = audit_table2.associations(plan.measures[0], list(pairs.values()))
    assert found["log_frobenius_norm"].found.tau == pytest.approx(tau)
    assert found["log_frobenius_norm"].found.n == 2  # runs: small, of two seeds, and large
    assert found["log_frobenius_norm"].found.dropped == 2
    assert found["alpha_hat"].reading == "too few models"


def test_one_model_has_no_correlation(study):
    plan, pairs = pairs_of(study, models={"lm/tales/large/0": ["large", 0]})
    found = audit_table2.associations(plan.measures[0], list(pairs.values()))["alpha_hat"]
    assert math.isnan(found.found.tau)
    assert found.interval == ""
    told = audit_table2.sentence([(plan, plan.measures[0], {"alpha_hat": found})])
    assert told == (
        "Too few models to say anything: language models, tales, n = 1, no τ (fewer than two "
        "complete pairs)."
    )


def test_two_values_of_one_score_are_refused(study, tmp_path):
    rows = score_rows("small", 0, "tales", test_perplexity=20.0)
    write_scores(tmp_path / "twice.csv", rows + rows)
    (plan,) = read_tasks(json.dumps([task(models={"lm/tales/small/0": ["small", 0]})]))
    audits = read_audits([study / "all.scores.csv"])
    with pytest.raises(InputError, match="more than one test_perplexity of small"):
        joined(plan, audits, read_named_scores([("lm/tales", tmp_path / "twice.csv")]))


def test_a_score_file_that_is_not_given_is_named(study):
    (plan,) = read_tasks(json.dumps([task()]))
    with pytest.raises(InputError, match="none is named lm/tales, which language models, tales"):
        joined(plan, read_audits([study / "all.scores.csv"]), {})


def test_the_first_name_of_a_score_that_is_there_counts(study):
    names = ["absent", "test_perplexity"]
    _, pairs = pairs_of(study, measures=[PERPLEXITY | {"metrics": names}])
    assert pairs["lm/tales/large/0"].scores["perplexity"] == 10.0


def test_table_1_shows_status_and_control(study, tmp_path):
    paths = made(study, tmp_path, audit_table1, *KINDS)
    table = read_table(paths["json"])
    rows = {row.cells["model"]: row.cells for row in table.rows}
    assert rows["lm/tales/tiny/0"]["alpha"] is None
    assert rows["lm/tales/tiny/0"]["fits"] == "no fit (2 too small)"
    assert rows["lm/tales/broken/0"]["fits"] == "no metric: 1 with NaN or Inf; no test score"
    assert rows["lm/tales/small/0"]["alpha_untrained"] > 1
    assert rows["lm/tales/small/1"].get("alpha_untrained") is None
    assert {cells["published"] for cells in rows.values()} == {"none"}
    record = json.loads(paths["run"].read_text(encoding="utf-8"))
    assert "5 models audited (EGRU 5)" in record["findings"][0]["text"]
    assert "Without any fit" in record["findings"][0]["text"]
    audit = json.loads((study / "all.run.json").read_text(encoding="utf-8"))
    assert {cells["run"] for cells in rows.values()} == {audit["id"]}
    assert rows["lm/tales/small/0"]["records"] == "r"
    assert rows["lm/tales/broken/0"]["records"] is None
    with paths["csv"].open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert next(line for line in lines if line["model"] == "lm/tales/broken/0")["alpha"] == ""


def test_a_model_without_the_first_score_shows_the_next_that_it_has(study, tmp_path):
    rare = {"label": "rare", "metrics": ["rare"], "better": "higher"}
    scores = tmp_path / "scores.csv"
    rows = pd.read_csv(study / "scores.csv")
    extra = rows[(rows["experiment"] == "large")].assign(metric="rare", value=0.5)
    pd.concat([rows, extra]).to_csv(scores, index=False)
    tasks = [task(measures=[rare, PERPLEXITY])]
    paths = {kind: tmp_path / f"made.{kind}" for kind in KINDS}
    audit_table1.main(
        tasks=json.dumps(tasks),
        audit=[study / "all.scores.csv"],
        scores=[f"lm/tales={scores}"],
        **paths,
    )
    rows = {row.cells["model"]: row for row in read_table(paths["json"]).rows}
    large, small = rows["lm/tales/large/0"], rows["lm/tales/small/0"]
    assert (large.cells["measure"], large.cells["score"]) == ("rare", 0.5)
    assert large.cells["other_scores"] == "perplexity 10"
    assert (small.cells["measure"], small.cells["score"]) == ("perplexity", 20.0)
    assert "rare, higher is better" in large.group
    assert "perplexity, lower is better" in small.group
    assert small.cells["records"] == "r"


def test_table_2_says_n_and_no_verdict(study, tmp_path):
    paths = made(study, tmp_path, audit_table2, *KINDS)
    table = read_table(paths["json"])
    assert table.notes[-1] == "Convention: weightwatcher-2019."
    (row,) = table.rows
    assert row.cells["n"] == 2
    assert row.cells["smallest_p"] == 1
    assert row.cells["reading"] == "too few models"
    assert row.cells["interval_alpha_hat"] is None
    (finding,) = json.loads(paths["run"].read_text(encoding="utf-8"))["findings"]
    assert finding["text"].startswith("Too few models to say anything")


def many(pairs, runs, seeds):
    """Models of `runs` runs of `seeds` seeds; every metric, and the perplexity, grows by run."""
    some = pairs["lm/tales/large/0"]
    found = []
    for run in range(runs):
        for seed in range(seeds):
            metrics = dict.fromkeys(audit_table2.METRICS, run + seed / 100)
            audited = dataclasses.replace(some.audited, metrics=metrics)
            scores = {"perplexity": 10.0 + run - seed / 100}
            found.append(
                dataclasses.replace(some, run=f"r{run}", seed=seed, audited=audited, scores=scores)
            )
    return found


def test_enough_models_get_a_reading(study):
    plan, pairs = pairs_of(study)
    found = audit_table2.associations(plan.measures[0], many(pairs, 12, 1))
    assert found["alpha_hat"].found.tau == -1
    assert found["alpha_hat"].reading == "smaller is better"
    told = audit_table2.sentence([(plan, plan.measures[0], found)])
    assert "smaller α̂ goes with the better model" in told
    assert "as well or better (|τ| = 1.00)" in told


def test_how_a_probability_was_found_is_told(study):
    """With ties and more than 9 models orders are drawn: that p is not exact."""
    plan, pairs = pairs_of(study)
    models = many(pairs, 12, 1)
    models[0].scores["perplexity"] = models[1].scores["perplexity"]
    found = audit_table2.associations(plan.measures[0], models)
    cells = audit_table2.row_of(plan, plan.measures[0], found).cells
    assert cells["method_alpha_hat"] == "Monte-Carlo with ties, 99999 orders, seed 0"
    (note,) = [note for note in audit_table2.NOTES if "permutation" in note]
    assert "exact, or for more than 9 models with equal values of 99999 drawn orders" in note


def test_seeds_of_one_run_are_no_further_models(study):
    """6 runs of 5 seeds are 6 models: their 30 files do not order each other by chance alike."""
    plan, pairs = pairs_of(study)
    found = audit_table2.associations(plan.measures[0], many(pairs, 6, 5))["alpha_hat"]
    assert (found.found.n, found.found.tau, found.reading) == (6, -1, "too few models")
    lost = many(pairs, 3, 2)
    lost[0].scores["perplexity"] = math.nan  # the run's other seed has a score
    lost[2].scores["perplexity"] = lost[3].scores["perplexity"] = math.nan
    found = audit_table2.associations(plan.measures[0], lost)["alpha_hat"]
    assert (found.found.n, found.found.dropped) == (2, 1)


def test_figure_1_is_drawn_twice_the_same(study, tmp_path):
    drawn = [
        made(study, tmp_path / name, audit_figure1, "svg", "png", "run") for name in ("a", "b")
    ]
    for kind in ("svg", "png"):
        assert drawn[0][kind].read_bytes() == drawn[1][kind].read_bytes()
    assert "models by series 3" in drawn[0]["svg"].read_text(encoding="utf-8")


def test_figure_1_shows_a_model_by_the_first_score_that_it_has(study):
    rare = {"label": "loss, rare", "metrics": ["rare"], "better": "lower"}
    plain = {"label": "loss, plain", "metrics": ["test_perplexity"], "better": "lower"}
    plan, pairs = pairs_of(study, measures=[rare, plain])
    (large, small) = (pairs[f"lm/tales/{name}/0"] for name in ("large", "small"))
    large = dataclasses.replace(large, scores={"loss, rare": 2.0, "loss, plain": 10.0})
    ((system, kind), row) = next(iter(audit_figure1.rows_of([(plan, [small, large])]).items()))
    assert (system, kind) == ("lm", "language models: loss")
    assert [(series.name, series.pairs) for series in row] == [
        ("tales", [large]),
        ("tales on plain", [small]),
    ]


def test_figure_1_of_nothing_says_so(study, tmp_path):
    lost = task(models={"lm/tales/broken/0": ["broken", 0]})
    paths = made(study, tmp_path, audit_figure1, "svg", "png", "run", tasks=[lost])
    assert "No model has an audit and a score." in paths["svg"].read_text(encoding="utf-8")


def drawn_over_training(study, out, tasks, *histories):
    paths = {kind: out / f"made.{kind}" for kind in ("svg", "png", "run")}
    audit_figure2.main(
        tasks=json.dumps(tasks),
        audit=[study / "all.scores.csv"],
        scores=[f"lm/tales={study / 'scores.csv'}"],
        history=list(histories),
        **paths,
    )
    return paths


def test_figure_2_joins_snapshots_and_the_history(study, tmp_path):
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss,validation_perplexity\n1,3,30\n2,2,25\n3,1,22\n")
    option = f"lm/tales/small/0={history}"
    paths = drawn_over_training(study, tmp_path / "a", [task()], option)
    again = drawn_over_training(study, tmp_path / "b", [task()], option)
    for kind in ("svg", "png"):
        assert paths[kind].read_bytes() == again[kind].read_bytes()
    (finding,) = json.loads(paths["run"].read_text(encoding="utf-8"))["findings"]
    assert "of 1 training" in finding["text"]
    assert "a description, not a test" in finding["text"]
    _, pairs = pairs_of(study)
    scores = read_history(history, lambda name: name == "validation_perplexity")
    line = audit_figure2.Trajectory(0, pairs["lm/tales/small/0"], scores["validation_perplexity"])
    assert dict(line.score()) == {2: 25.0}
    assert list(line.metric("alpha").index) == [0, 2]


def test_figure_2_needs_the_history_of_a_training_with_snapshots(study, tmp_path):
    with pytest.raises(InputError, match="none is named lm/tales/small/0, which has snapshots"):
        drawn_over_training(study, tmp_path, [task()])


def test_figure_2_of_trainings_without_snapshots_says_so(study, tmp_path):
    alone = task(models={"lm/tales/large/0": ["large", 0]})
    paths = drawn_over_training(study, tmp_path, [alone])
    assert "No training left a snapshot." in paths["svg"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("{", "--tasks: not JSON"),
        ('[{"system": "lm"}]', "--tasks: not a list of tasks"),
        (
            json.dumps([task(measures=[PERPLEXITY | {"better": "more"}])]),
            "better is lower or higher",
        ),
        (json.dumps([task(measures=[])]), "needs measures"),
    ],
)
def test_wrong_tasks_are_named(tasks, message):
    with pytest.raises(InputError, match=message):
        read_tasks(tasks)


def test_a_model_that_was_not_audited_is_named(study):
    with pytest.raises(InputError, match="no file holds lm/tales/new/0; audit it first"):
        pairs_of(study, models={"lm/tales/new/0": ["new", 0]})


def test_a_model_in_two_files_is_refused(study):
    with pytest.raises(InputError, match="audited more than once"):
        read_audits([study / "all.scores.csv", study / "all.scores.csv"])


def test_a_folder_without_snapshots_is_named(tmp_path):
    entry = {"model": "m", "weights": "w", "trajectory": str(tmp_path)}
    with pytest.raises(InputError, match="no snapshots of m; train it again"):
        list(audit_trained.files_of(entry))


def test_epochs_whose_numbers_would_touch_are_left_out():
    assert audit_figure2.apart([0, 1, 2, 3, 6, 10, 12]) == [0, 1, 2, 3, 6, 12]
    assert audit_figure2.apart([4]) == [4]
    assert audit_figure2.apart([]) == []
