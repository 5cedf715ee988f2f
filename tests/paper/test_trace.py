"""`hearsay.trace` and `hearsay.compare`, on small results that the library's own writers wrote."""

import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hearsay import compare, lineage, trace
from hearsay.cell_scores import scores_behind
from hearsay.compare import compare_folders
from hearsay.errors import InputError
from hearsay.files import sha256_of
from hearsay.lineage import Lineage
from hearsay.metrics.scores import write_scores
from hearsay.paper.tables import Column, Row, Table, read_table, write_table
from hearsay.provenance import Run
from hearsay.trace import column_of, row_of, runs_of

WEIGHTS = "lm/tales/gru/0/weights.safetensors"


def make_results(folder, monkeypatch, value=6.5, seed=0):
    """Data, a training, scores and a table, each with its record; returns the results folder."""
    monkeypatch.chdir(folder)
    results = folder / "results" / "small"
    model = results / "lm" / "tales" / "gru" / "0"
    model.mkdir(parents=True)
    (results / "tables").mkdir()
    (folder / "data.txt").write_text("once upon a time")
    fetched(folder)
    text = "results/small/text/tales/train.txt"
    training = Run(
        "hearsay.lm.train_language_model",
        settings={"epochs": 2, "recipe": {"lr": 0.1}},
        inputs=["data.txt", text, "resources/models/gpt2"],
        seed=seed,
    )
    (model / "weights.safetensors").write_bytes(bytes([seed]))
    training.write(model / "training.run.json")
    inputs = [f"results/small/lm/tales/gru/0/{name}" for name in ("weights.safetensors",)]
    judged = Run("hearsay.lm.evaluate_language_model", settings={}, inputs=inputs, seed=seed)
    row = {"system": "lm", "experiment": "gru", "model": "gru", "metric": "perplexity", "n": 9}
    write_scores(model / "scores.csv", [{**row, "value": value, "seed": 0, "run": judged.id}])
    judged.write(model / "scores.run.json")
    columns = [
        Column("row", "Model"),
        Column("test", "measured", "number", group="Test", decimals=2),
        Column("run", "Run", "run"),
    ]
    rows = [
        Row({"row": "GRU 1350", "test": value, "run": judged.id}),
        Row({"row": "EGRU 1350"}, not_run="not run: licence"),
        Row({"row": "EGRU 2000"}, not_run="not run: licence"),
    ]
    table = Run("hearsay.paper.egru_table1", settings={}, inputs=[inputs[0][:-19] + "scores.csv"])
    write_table(Table(columns, rows), json_path=results / "tables" / "egru_table1.json")
    table.write(results / "tables" / "egru_table1.run.json")
    return results


def fetched(folder):
    """A corpus as a folder below the results, and a model and archives outside them."""
    for path, step in [
        ("results/small/text/tales", "hearsay.demo.write_text_corpus"),
        ("resources/models/gpt2", "hearsay.corpora.fetch_model"),
        ("resources/speech/libri/dev.tar.gz", "hearsay.corpora.fetch_speech"),
    ]:
        made = folder / path
        made.mkdir(parents=True)
        (made / "train.txt").write_text(path)
        source = "resources/speech/libri" if made.name == "gpt2" else ""
        Run(step, settings={}).write(made.with_name(f"{made.name}.run.json"), source=source)


@pytest.fixture
def results(tmp_path, monkeypatch):
    return make_results(tmp_path, monkeypatch)


def command(name, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", f"hearsay.{name}", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_cell_leads_to_its_scores_its_training_and_its_data(results):
    status, text, _ = command("trace", "egru_table1", "gru", "test", "--results", results)
    assert status == 0
    assert "test = 6.50" in text
    places = [
        text.index(what)
        for what in ("evaluate_language_model", "weights.safetensors", "train_language_model")
    ]
    assert places == sorted(places)
    assert "data.txt (unchanged; sha256" in text
    assert '"recipe": {"lr": 0.1}' in text
    assert "snakemake --cores 1 -f results/small/lm/tales/gru/0/scores.run.json\n" in text


def test_the_score_rows_of_a_cell_and_all_checksums_are_printed(results):
    status, text, error = command("trace", "egru_table1", "gru", "test", "--results", results)
    assert (status, error) == (0, "")
    assert "  test:\n    results/small/lm/tales/gru/0/scores.csv: gru gru perplexity = 6.5" in text
    run = Lineage(results).maker_of(results / "lm/tales/gru/0/scores.csv").id
    assert f"(n 9, seed 0, run {run})" in text
    assert f"data.txt (unchanged; sha256 {sha256_of('data.txt')[:12]})" in text
    _, text, _ = command("trace", "egru_table1", "gru", "test", "--results", results, "--json")
    found = json.loads(text)
    (cell,) = found["scores"]
    assert [row["value"] for row in cell["rows"]] == [6.5]
    (weights,) = found["runs"][0]["inputs"]
    assert weights["sha256"] == sha256_of(results / "lm/tales/gru/0/weights.safetensors")


def test_a_cell_that_is_no_mean_shows_the_scores_of_its_runs(results):
    path = results / "tables" / "egru_table1.json"
    path.write_text(path.read_text().replace("6.5", "7.25"))
    _, text, _ = command("trace", "egru_table1", "gru", "test", "--results", results)
    assert "test: computed from more than one score; scores of the runs behind it:" in text
    assert "gru gru perplexity = 6.5" in text


def test_folders_and_what_lies_outside_the_results_are_followed(results):
    _, text, _ = command("trace", "egru_table1", "gru", "test", "--results", results)
    for path, step in [
        ("results/small/text/tales/train.txt", "hearsay.demo.write_text_corpus"),
        ("resources/models/gpt2", "hearsay.corpora.fetch_model"),
        # Read without a checksum, as a corpus' archives are.
        ("resources/speech/libri/dev.tar.gz", "hearsay.corpora.fetch_speech"),
    ]:
        after = text.split(f" {path} (")[1].splitlines()
        assert f"of {step}, code" in after[1], path
    assert "again: " in text
    assert "-f resources/speech/libri/dev.tar.gz.run.json" in text
    assert "-f resources/models/gpt2.run.json" in text


@pytest.mark.parametrize(
    ("record", "file", "target"),
    [
        ("results/small/lm/tales/gru/0/training", *2 * [f"results/small/{WEIGHTS}"]),
        (
            "results/small/text/tales",
            "results/small/text/tales/train.txt",
            "results/small/text/tales",
        ),
        ("resources/models/gpt2", *2 * ["resources/models/gpt2"]),
        ("results/small/tables/egru_table1", *2 * ["results/small/tables/egru_table1.json"]),
    ],
)
def test_what_the_workflow_made_without_a_record_is_an_error(
    results, tmp_path, record, file, target
):
    (tmp_path / f"{record}.run.json").unlink()
    for options in [], ["--json"]:
        status, text, error = command("trace", "egru_table1", "1", "--results", results, *options)
        assert status == 1
        assert error == (
            f"error: {file}: made by this workflow, but its run record is lost; make it again: "
            f"snakemake --cores 1 -f {target}\n"
        )
        assert "train_language_model" in text or "training" in record


@pytest.mark.parametrize("absolute", [False, True])
def test_commands_name_targets_as_snakemake_knows_them(results, absolute):
    where = results if absolute else "results/small"
    _, text, _ = command("trace", "egru_table1", "1", "--results", where)
    commands = [line.split(" -f ")[1] for line in text.splitlines() if "again: " in line]
    assert "results/small/tables/egru_table1.run.json" in commands
    assert not [one for one in commands if one.startswith(("/", ".."))]


def test_a_copy_of_another_name_far_away_is_traced_alike(results, tmp_path, monkeypatch):
    _, here, _ = command("trace", "egru_table1", "1", "--results", results, "--json")
    kept = tmp_path / "kept"
    shutil.copytree(results, kept / "last week")
    shutil.rmtree(results)
    monkeypatch.chdir(kept)
    for where in ("last week", kept / "last week"):
        status, text, error = command("trace", "egru_table1", "1", "--results", where, "--json")
        assert (status, error) == (0, "")
        own = str(where) + "/"
        assert text.replace(own, "") == here.replace(f"{results}/", "").replace(str(results), "")
    # Resources that were not copied with it are missing, not lost.
    shutil.rmtree(tmp_path / "resources")
    status, text, _ = command("trace", "egru_table1", "1", "--results", "last week")
    assert status == 0
    assert "resources/models/gpt2 (missing; sha256" in text


def test_a_cell_as_json_holds_the_same_chain(results):
    _, text, _ = command("trace", "egru_table1", "1", "--results", results, "--json")
    chain = json.loads(text)
    (run,) = chain["runs"]
    (weights,) = run["inputs"]
    assert run["seed"] == 0
    assert weights["run"]["step"] == "hearsay.lm.train_language_model"
    assert weights["inputs"][0]["path"] == "data.txt"


def test_a_file_that_changed_or_went_is_told(results, tmp_path):
    (results / "lm/tales/gru/0/weights.safetensors").write_bytes(b"other")
    (tmp_path / "data.txt").unlink()
    _, text, _ = command("trace", "egru_table1", "GRU 1350", "--results", results)
    now = sha256_of(results / "lm/tales/gru/0/weights.safetensors")
    assert "weights.safetensors (changed since; sha256" in text
    assert f", now {now[:12]})" in text
    assert "data.txt (missing; sha256" in text


def test_equal_scores_of_other_models_and_of_validation_are_not_told(tmp_path):
    row = {"system": "asr", "subject_or_language": "en", "model": "m", "n": 9, "run": "r"}
    rows = [
        row | {"experiment": name, "metric": metric, "value": value}
        for name, metric, value in [
            ("mixed", "nsc1 wer", 0.5),
            ("all", "validation_wer", 0.5),
            ("all", "wer accents/dev", 0.5),
        ]
    ]
    write_scores(tmp_path / "scores.csv", rows)
    column, cells = Column("nsc1", "NSC", "number"), Row({"name": "all", "nsc1": 50.0})
    (told,) = scores_behind(Lineage(tmp_path), None, ["r"], cells, [column])
    assert told.found
    assert list(told.rows["experiment"] + told.rows["metric"]) == ["allwer accents/dev"]


def test_scores_that_changed_since_the_table_was_written_are_told(results):
    asked = ("trace", "egru_table1", "GRU", "test", "--results", results)
    assert "has changed" not in command(*asked)[1]
    path = results / "lm/tales/gru/0/scores.csv"
    path.write_text(path.read_text().replace("6.5", "5.5"))
    status, text, error = command(*asked)
    assert (status, error) == (0, "")
    told = "results/small/lm/tales/gru/0/scores.csv"
    assert f"test = 6.50\n  {told} has changed since the table was written\n" in text
    (link,) = json.loads(command(*asked, "--json")[1])["changed"]
    assert (link["path"], link["now"]) == (told, sha256_of(path))


def test_a_file_that_may_not_be_read_is_one_line(results, monkeypatch):
    runner = CliRunner()

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(lineage, "sha256_of", refuse)
    asked = ["egru_table1", "GRU", "--results", str(results)]
    found = runner.invoke(trace.app, asked)
    assert isinstance(found.exception, InputError)
    assert str(found.exception).endswith("cannot be read: Permission denied")
    monkeypatch.setattr(compare, "compare_folders", refuse)
    found = runner.invoke(compare.app, [str(results), str(results)])
    assert str(found.exception) == f"{results}: cannot be read: Permission denied"


def test_a_row_that_was_not_run_says_why(results):
    status, text, _ = command("trace", "egru_table1", "EGRU 2000", "--results", results)
    assert status == 0
    assert "not run: licence" in text
    assert "measured by" not in text


def test_without_a_row_rows_and_columns_are_listed(results):
    _, text, _ = command("trace", "egru_table1", "--results", results)
    table = read_table(results / "tables" / "egru_table1.json")
    (run,) = runs_of(table.rows[0])
    assert f"1 GRU 1350 ({run})" in text
    assert "2 EGRU 1350 (not run: licence)" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["egru_table7"], "near it: egru_table1"),
        (["egru_table1", "GRU 1305"], "no row 'GRU 1305'; near it: GRU 1350"),
        (["egru_table1", "EGRU"], "2 rows are named 'EGRU'; give a number: 2"),
        (["egru_table1", "1", "tset"], "no column 'tset'; near it: test"),
    ],
)
def test_what_is_not_there_is_an_error_with_what_is_near(results, arguments, message):
    status, _, error = command("trace", *arguments, "--results", results)
    assert status == 1
    assert message in error
    assert "Traceback" not in error


def test_a_broken_or_lost_record_is_named(results):
    record = results / "lm/tales/gru/0/scores.run.json"
    record.write_text('{"id": 1}')
    status, _, error = command("trace", "egru_table1", "1", "--results", results)
    assert (status, str(record) in error) == (1, True)
    record.unlink()
    status, _, error = command("trace", "egru_table1", "1", "--results", results)
    assert status == 1
    assert "no record of run" in error


def test_rows_and_columns_by_label_number_and_key(results):
    table = read_table(results / "tables" / "egru_table1.json")
    assert row_of(table, "gru 1350") is row_of(table, "1") is table.rows[0]
    assert column_of(table, "measured") is column_of(table, "TEST")


def test_moved_results_keep_their_chain(results, tmp_path, monkeypatch):
    moved = tmp_path / "elsewhere" / "results" / "small"
    shutil.copytree(results, moved)
    shutil.rmtree(results)
    monkeypatch.chdir("/")
    lineage = Lineage(moved)
    file = lineage.located("results/small/lm/tales/gru/0/weights.safetensors")
    assert lineage.maker_of(file).content["step"] == "hearsay.lm.train_language_model"


def test_equal_folders_differ_in_nothing(results, tmp_path):
    shutil.copytree(results, tmp_path / "copy")
    found = compare_folders(results, tmp_path / "copy")
    assert found.rows.empty
    assert found.equal["lm/tales/gru/0/scores.csv"] == 2
    assert found.equal["tables/egru_table1.json"] == 3  # and why two rows were not run
    assert not found.runs
    assert found.only == {"a": [], "b": []}


def test_other_seeds_and_values_are_told(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = make_results(tmp_path / "a", monkeypatch)
    b = make_results(tmp_path / "b", monkeypatch, value=7.0, seed=1)
    (b / "lm" / "tales" / "more").mkdir()
    shutil.copy(b / "lm/tales/gru/0/scores.csv", b / "lm/tales/more/scores.csv")
    found = compare_folders(a, b)
    assert set(found.rows["difference"]) == {0.5}
    assert set(found.rows["column"]) == {"perplexity", "test"}
    assert found.runs["lm/tales/gru/0/training.run.json"]["seed"] == (0, 1)
    data = found.runs["lm/tales/gru/0/scores.run.json"]["data: lm/tales/gru/0/weights.safetensors"]
    assert data == tuple(sha256_of(each / "lm/tales/gru/0/weights.safetensors") for each in (a, b))
    assert found.only == {"a": [], "b": ["lm/tales/more/scores.csv"]}
    assert compare_folders(a, b, tolerance=0.5).rows.empty


def test_the_command_compares_writes_csv_and_counts_what_is_equal(results, tmp_path):
    other = shutil.copytree(results, tmp_path / "copy")
    path = other / "tables" / "egru_table1.json"
    path.write_text(path.read_text().replace("6.5", "6.25"))
    csv = tmp_path / "differences.csv"
    status, text, _ = command("compare", results, other, "--csv", csv)
    assert status == 0
    assert "GRU 1350 | test: 6.5 | 6.25 (-0.25)" in text
    assert "1 files have equal numbers only" in text
    assert csv.read_text().splitlines() == [
        "file,row,column,a,b,difference",
        "tables/egru_table1.json,GRU 1350,test,6.5,6.25,-0.25",
    ]


def test_folders_without_results_are_refused(results, tmp_path):
    (tmp_path / "empty").mkdir()
    for other, message in [("none", "no such folder"), ("empty", "nothing to compare")]:
        status, _, error = command("compare", results, tmp_path / other)
        assert status == 1
        assert message in error
    with pytest.raises(InputError, match="no such folder"):
        compare_folders(results, tmp_path / "none")


def test_neither_command_imports_torch():
    code = "import sys, hearsay.trace, hearsay.compare; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
