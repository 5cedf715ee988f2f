"""`hearsay.compare`: every score file, texts, infinities, and what differs between two runs."""

import json
import math
import subprocess
import sys

import pytest

from hearsay.cell_scores import score_files
from hearsay.compare import compare_folders
from hearsay.errors import InputError
from hearsay.lineage import Lineage
from hearsay.metrics.scores import write_scores
from hearsay.paper.tables import Column, Row, Table, write_table
from hearsay.provenance import Run

PLACES = ["slu/alignment.csv", "spectral/summary.csv", "models/digits-3.scores.csv", "scores.csv"]


def compare(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "hearsay.compare", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def scores(path, value, seed=0, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {"system": "lm", "experiment": "e", "model": "m", "metric": "loss", "run": "r"}
    write_scores(path, [{**row, "value": value, "n": 3, "seed": seed, **more}])


def table(results, *texts, why="not run: licence"):
    columns = [Column("row", "Model"), Column("interval", ""), Column("more", "", shown=False)]
    rows = [Row({"row": f"m{k}", "interval": text, "more": "x"}) for k, text in enumerate(texts)]
    rows.append(Row({"row": "other"}, not_run=why))
    path = results / "tables" / "t.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(Table(columns, rows), json_path=path)


@pytest.fixture
def pair(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    return tmp_path / "a", tmp_path / "b"


def test_score_files_are_known_by_their_header_whatever_their_name(pair):
    for place in PLACES:
        scores(pair[0] / place, 1.0)
        scores(pair[1] / place, 2.0)
        (pair[0] / place).with_name("history.csv").write_text("epoch,loss\n0,1\n")
    found = compare_folders(*pair)
    assert list(found.rows["file"]) == sorted(PLACES)
    assert set(found.rows["difference"]) == {1.0}


@pytest.mark.parametrize("place", PLACES)
def test_an_empty_score_file_is_one_line(pair, place):
    for results in pair:
        scores(results / place, 1.0)
        scores(results / "other" / "scores.csv", 1.0)
    (pair[1] / place).write_text("")
    status, _, error = compare(*pair)
    assert status == 1
    assert error.startswith(f"error: {pair[1] / place}: not a score file")
    assert len(error.splitlines()) == 1


def test_a_score_file_without_rows_has_nothing_in_common(pair):
    for results in pair:
        scores(results / "scores.csv", 1.0)
    path = pair[1] / "scores.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    status, text, error = compare(*pair)
    assert (status, error) == (0, "")
    assert "lm e m | loss: 1 | none" in text


def test_equal_infinities_are_equal_and_others_are_not(pair):
    for k, values in enumerate([(math.inf, math.inf), (-math.inf, math.inf), (1.0, math.inf)]):
        for results, value in zip(pair, values, strict=True):
            scores(results / str(k) / "scores.csv", value)
    found = compare_folders(*pair, tolerance=0.5)
    assert found.equal["0/scores.csv"] == 2
    assert list(found.rows["file"]) == ["1/scores.csv", "2/scores.csv"]


def test_texts_such_as_intervals_are_compared(pair):
    table(pair[0], "1.20 to 3.40", "2 to 3", "–")
    table(pair[1], "1.20 to 3.50", "2 to 3", "1 to 2", why="not run: no GPU")
    _, text, _ = compare(*pair)
    assert "m0 | interval: 1.20 to 3.40 | 1.20 to 3.50\n" in text
    assert "m2 | interval: – | 1 to 2\n" in text
    assert "other | not_run: not run: licence | not run: no GPU" in text
    assert "m1 |" not in text
    assert list(compare_folders(*pair, tolerance=0.11).rows["row"]) == ["m2", "other"]


def train(results, monkeypatch, seed):
    """The smallest training of the workflow, and its record and scores."""
    results.mkdir(parents=True)
    monkeypatch.chdir(results)
    settings = {"seed": seed, "batch_size": 500, "epochs": 1, "layers": 3, "channels": 2}
    settings |= {"learning_rate": 0.01, "weight_decay": 0.0}
    outputs = {"weights": "safetensors", "history": "history.csv", "scores": "scores.csv"}
    outputs |= {"record": "run.json", "checkpoints": "training"}
    subprocess.run(
        [sys.executable, "-m", "hearsay.spectral.train_digits", "--model=net"]
        + [f"--settings={json.dumps(settings)}"]
        + [f"--{option}=models/net.{ending}" for option, ending in outputs.items()],
        check=True,
        capture_output=True,
    )


def test_two_small_runs_with_different_seeds(tmp_path, monkeypatch):
    a, b, again = (tmp_path / name for name in ("a", "b", "again"))
    for results, seed in [(a, 0), (b, 1), (again, 0)]:
        train(results, monkeypatch, seed)
    found = compare_folders(a, b)
    # One seed each: its value stands beside the other's.
    (row,) = found.rows.to_dict("records")
    assert (row["file"], row["column"]) == ("models/net.scores.csv", "accuracy")
    assert row["difference"] == row["b"] - row["a"] != 0
    assert found.runs == {"models/net.run.json": {"seed": (0, 1), "settings.seed": (0, 1)}}
    _, text, _ = compare(a, b)
    assert "runs that differ in seed: 1\n  models/net.run.json: 0 | 1\n" in text
    assert compare_folders(a, again).rows.empty
    assert not compare_folders(a, again).runs


def test_runs_that_differ_are_named_with_both_values_and_the_rest_is_counted(pair, monkeypatch):
    for results, data in zip(pair, ("one", "two"), strict=True):
        monkeypatch.chdir(results)
        scores(results / "scores.csv", 1.0)
        (results / "data.txt").write_text(data)
        for k in range(4):
            settings = {"recipe": {"lr": 0.1 if data == "one" else 0.2}}
            run = Run("hearsay.lm.gather_scores", settings=settings, inputs=["data.txt"])
            run.write(results / f"{k}.run.json")
            path = results / f"{k}.run.json"
            record = json.loads(path.read_text()) | {"commit": data[0] * 3, "code": data}
            path.write_text(json.dumps(record))
    status, text, _ = compare(*pair, "--limit", 2)
    assert status == 0
    for fact, values in [
        ("settings.recipe.lr", "0.1 | 0.2"),
        ("commit", "ooo | ttt"),
        ("code", "one | two"),
    ]:
        lines = [f"runs that differ in {fact}: 4", f"  0.run.json: {values}"]
        lines += [f"  1.run.json: {values}", "  and 2 more (--limit)"]
        assert "\n".join(lines) in text
    checksums = [Lineage(each).maker_of(each / "0.csv").inputs["data.txt"][:12] for each in pair]
    assert f"runs that differ in data: 4\n  0.run.json: data.txt: {' | '.join(checksums)}" in text


def test_what_lies_behind_a_link_is_compared(pair, tmp_path):
    for results, value in zip(pair, (1.0, 2.0), strict=True):
        scores(results / "scores.csv", 1.0)
        scores(tmp_path / "disk" / results.name / "scores.csv", value)
        Run("hearsay.lm.gather_scores", settings={}, seed=int(value)).write(
            tmp_path / "disk" / results.name / "scores.run.json"
        )
        (results / "lm").symlink_to(tmp_path / "disk" / results.name)
    found = compare_folders(*pair)
    assert list(found.rows["file"]) == ["lm/scores.csv"]
    assert found.runs == {"lm/scores.run.json": {"seed": (1, 2)}}


def test_what_a_killed_step_left_is_no_difference(pair):
    for results in pair:
        scores(results / "lm" / "scores.csv", 1.0)
        table(results, "1")
    left = ["lm/.scores.12.partial.csv", "tables/.t.12.partial.json"]
    scores(pair[0] / left[0], 2.0)
    (pair[0] / left[1]).write_text('{"columns": ')
    folder = pair[1] / "lm" / ".trajectory.x1.partial"
    scores(folder / "scores.csv", 2.0)
    (folder / "scores.run.json").write_text('{"id": ')
    found = compare_folders(*pair)
    assert found.only == {"a": [], "b": []}
    assert found.rows.empty
    assert found.unfinished == {"a": left, "b": ["lm/.trajectory.x1.partial"]}
    status, text, _ = compare(*pair)
    assert status == 0
    assert "only in" not in text
    for name in left:
        assert f"unfinished in A, being written or left by a killed step: {name}\n" in text
    assert [score_files(one) for one in pair] == [[one / "lm" / "scores.csv"] for one in pair]


def test_data_that_changed_places_are_told_and_renamed_data_are_not(pair, monkeypatch):
    for results, texts in zip(pair, ("12", "21"), strict=True):
        monkeypatch.chdir(results)
        scores(results / "scores.csv", 1.0)
        for name, text in zip(["training", "test"], texts, strict=True):
            (results / name).write_text(text)
        own = results / results.name
        own.write_text("3")
        inputs = ["training", "test", own]
        Run("hearsay.lm.gather_scores", settings={}, inputs=inputs).write("scores.run.json")
    facts = compare_folders(*pair).runs["scores.run.json"]
    assert set(facts) == {"data: training", "data: test"}
    assert facts["data: training"] == facts["data: test"][::-1]


def test_a_folder_without_results_is_refused(pair):
    scores(pair[0] / "slu" / "alignment.csv", 1.0)
    with pytest.raises(InputError, match="nothing to compare"):
        compare_folders(*pair)
