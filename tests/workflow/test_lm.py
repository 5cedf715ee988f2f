"""EGRU in the workflow: what the demo shows, one training alone, corpora that cannot be had."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hearsay.metrics.scores import read_scores

CORPORA = ["tales-400", "tales-900"]


def scores_of(demo: Path, corpus: str) -> pd.DataFrame:
    """Values by metric (rows) and run (columns)."""
    scores = read_scores(demo / "results" / "demo" / "lm" / corpus / "scores.csv")
    assert set(scores["subject_or_language"]) == {corpus}
    return scores.pivot(index="metric", columns="experiment", values="value")


@pytest.mark.demo
@pytest.mark.parametrize("corpus", CORPORA)
def test_both_cells_know_more_than_which_word_follows_which(demo: Path, corpus: str) -> None:
    """The perplexity of word pairs, counted in the training text, is that of a bigram model."""
    values = scores_of(demo, corpus)
    bigram = {"tales-400": 19.4, "tales-900": 34.6}[corpus]
    assert values.loc["test_perplexity"].max() < bigram


@pytest.mark.demo
@pytest.mark.parametrize("corpus", CORPORA)
def test_events_save_operations(demo: Path, corpus: str) -> None:
    values = scores_of(demo, corpus)["egru-96"]
    assert 0.3 < values["activity_sparsity"] < 1
    assert values["effective_macs"] < 0.8 * values["dense_macs"]
    assert 0 < values["backward_sparsity"] < 1


@pytest.mark.demo
def test_tables_and_figures_are_filled(demo: Path) -> None:
    results = demo / "results" / "demo"
    for number in (1, 2):
        table = pd.read_csv(results / f"tables/egru_table{number}.csv").to_csv()
        assert "egru-96" in table
        assert "58.7" in table or "69.0" in table  # published, beside
    for number in (1, 2, 3):
        assert (results / f"figures/egru_figure{number}.svg").stat().st_size > 5000
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "sparse back-propagation" in page


@pytest.mark.demo
def test_each_score_traces_to_the_record_of_its_run(demo: Path) -> None:
    for corpus in CORPORA:
        folder = demo / "results" / "demo" / "lm" / corpus
        for path in folder.glob("*/*/scores.csv"):
            record = json.loads(path.with_name("scores.run.json").read_text())
            assert set(read_scores(path)["run"]) == {record["id"]}
            training = json.loads(path.with_name("training.run.json").read_text())
            assert training["settings"]["backend"] == "auto"
            assert training["backend"] in ("numba", "torch", "torch.gru")


@pytest.mark.demo
def test_another_learning_rate_of_one_run_trains_it_alone(copy, dry_run) -> None:
    path = copy / "config/experiments/lm-demo.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[1].split("\t")
    rows = [line.split("\t") for line in lines[2:]]
    header.append("threshold_mean")
    rows = [[*row, "-3" if row[:2] == ["tales-400", "egru-96"] else ""] for row in rows]
    table = [lines[0], *("\t".join(row) for row in [header, *rows])]
    path.write_text("\n".join(table) + "\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert jobs["train_language_model"] == jobs["evaluate_language_model"] == 1
    assert jobs["gather_scores"] == 1
    assert "egru_table1" in jobs
    assert "train_fmri_prompt" not in jobs


@pytest.mark.demo
def test_a_new_preset_retrains_nothing(copy, dry_run) -> None:
    path = copy / "workflow/hearsay/lm/recipes.py"
    text = path.read_text(encoding="utf-8").replace('"beta1": 0.0', '"beta1": 0.5')
    path.write_text(text, encoding="utf-8")
    assert dry_run(copy).nothing_to_do


def test_one_seed_alone_is_a_target(origin, snakemake) -> None:
    target = "results/paper/lm/wikitext-2/egru-1350/2/scores.csv"
    done = snakemake(origin, "--dry-run", "--cores", "1", target)
    assert done.status == 0, done.text
    jobs = done.jobs
    assert jobs.pop("total") if "total" in jobs else True
    assert jobs == {
        "fetch_text": 1,
        "prepare_text": 1,
        "train_language_model": 1,
        "evaluate_language_model": 1,
    }


def test_another_number_of_threads_measures_the_speed_again(origin, snakemake, tmp_path) -> None:
    """Snakemake reruns a job whose params have changed; its threads alone are none of them."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"lm": {"event_speed": {"threads": 2, "tokens": 17}}}))
    target = "results/paper/lm/event_speed.csv"
    options = ("--dry-run", "--printshellcmds", "--configfile", mine, "--cores", "2")
    done = snakemake(origin, *options, target)
    assert done.status == 0, done.text
    (settings,) = re.findall(r"measure_event_speed --settings '(.*?)'", done.text)
    assert json.loads(settings)["threads"] == 2
    assert json.loads(settings)["tokens"] == 17


def test_a_licensed_corpus_is_planned_once_it_is_there(origin, snakemake, tmp_path) -> None:
    done = snakemake(origin, "--dry-run", "--cores", "1", "lm")
    assert done.status == 0, done.text
    assert "lm/ptb/" not in done.text
    told = snakemake(
        origin, "--dry-run", "--cores", "1", "results/paper/lm/ptb/egru-1350/0/scores.csv"
    )
    assert told.status != 0
    assert "text_corpora.ptb.path" in told.text
    mine = tmp_path / "mine.yaml"
    (tmp_path / "ptb").mkdir()
    mine.write_text(yaml.safe_dump({"text_corpora": {"ptb": {"path": str(tmp_path / "ptb")}}}))
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "lm")
    assert done.status == 0, done.text
    assert "lm/ptb/egru-2000/1/weights.safetensors" in done.text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"experiments": "absent.tsv"}, "absent.tsv"),
        ({"tables": {"1": "pbt"}}, "no such corpus in text_corpora"),
        ({"corpora": ["pbt"]}, 'lm.corpora[0] = "pbt": no such corpus in text_corpora'),
        ({"tables": {"3": "ptb"}}, "lm.tables"),
    ],
)
def test_faults_of_the_settings_are_one_message(origin, snakemake, tmp_path, settings, told):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"lm": settings}))
    done = snakemake(origin, "--dry-run", "--configfile", path, "--cores", "1", "lm")
    assert done.status != 0
    assert told in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize("shown", [True, False])
def test_an_unknown_published_row_is_refused_before_anything_is_trained(
    origin, snakemake, tmp_path, shown
) -> None:
    table, mine = tmp_path / "mine.tsv", tmp_path / "mine.yaml"
    table.write_text(
        "corpus\trun\tpreset\tseeds\tpublished\nwikitext-2\tmine\tsmall\t0\tEGRU 1351\n"
    )
    tables = {"2": "wikitext-2" if shown else "ptb"}
    mine.write_text(yaml.safe_dump({"lm": {"experiments": str(table), "tables": tables}}))
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "lm")
    assert done.status != 0
    where = "Table 2" if shown else "wikitext-2"
    told = "mine: the table has no published row EGRU 1351; it has LSTM, AWD-LSTM"
    assert f"lm.experiments, {where}: {told}" in done.text
    assert "Traceback" not in done.text
