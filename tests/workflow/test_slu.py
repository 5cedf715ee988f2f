"""Aligners and sentiments in the workflow: what the demo shows; corpora not at hand."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hearsay.metrics.scores import read_scores
from hearsay.provenance import ROOT
from hearsay.slu.aligner_experiments import read_aligners
from hearsay.slu.sentiment_experiments import read_sentiment

ALIGNERS = "config/experiments/slu-demo.tsv"
SENTIMENT = "config/experiments/slu-sentiment-demo.tsv"


def scores(demo: Path, name: str) -> pd.Series:
    """Values by row and metric."""
    frame = read_scores(demo / f"results/demo/slu/{name}.csv")
    return frame.set_index(["experiment", "metric"])["value"]


@pytest.mark.demo
def test_the_best_aligner_beats_those_that_hear_nothing(demo: Path) -> None:
    found = scores(demo, "alignment")
    assert found["best", "mae"] < found["trivial: constant alpha", "mae"]
    assert found["best", "p against constant alpha"] < 0.05
    assert found["best", "mae"] < found["info-nce", "mae"]
    assert found["floor: perfect tiling", "mae"] < found["best", "mae"]
    assert found["forced: spoken-speech", "mae"] < found["trivial: constant alpha", "mae"]


@pytest.mark.demo
def test_every_aligner_and_every_utterance_is_judged(demo: Path) -> None:
    results = demo / "results/demo"
    frame = read_scores(results / "slu/alignment.csv")
    assert {each.run for each in read_aligners(ROOT / ALIGNERS)} <= set(frame["experiment"])
    words = csv.DictReader((results / "speech/demo-timit/words/test.csv").open())
    assert set(frame["n"].dropna()) == {len({row["id"] for row in words})}
    untouched = {
        json.loads(path.read_text(encoding="utf-8"))["text_sha256"]
        for path in (results / "slu/aligners").glob("*/*/training.run.json")
    }
    assert len(untouched) == 1  # BERT, after all trainings


@pytest.mark.demo
def test_sentiment_has_all_kinds_and_the_majority(demo: Path) -> None:
    frame = read_scores(demo / "results/demo/slu/sentiment.csv")
    runs = {each.run for each in read_sentiment(ROOT / SENTIMENT)}
    assert set(frame["experiment"]) == runs | {"majority"}
    assert set(frame["model"]) == {"majority", "text", "speech", "graft"}
    found = scores(demo, "sentiment")
    for run in runs:
        assert found[run, "weighted recall"] == pytest.approx(found[run, "accuracy"])
    assert found["text", "macro f1"] > found["majority", "macro f1"]
    assert found["speech", "macro f1"] > found["majority", "macro f1"]


@pytest.mark.demo
def test_tables_and_figures_are_filled(demo: Path) -> None:
    results = demo / "results/demo"
    table1 = (results / "tables/wabert_table1.md").read_text(encoding="utf-8")
    for expected in ("426.44", "126.05", "constant alpha", "perfect tiling", "spoken-speech"):
        assert expected in table1
    assert "0.3026" in (results / "tables/wabert_table2.csv").read_text(encoding="utf-8")
    table3 = (results / "tables/wabert_table3.csv").read_text(encoding="utf-8")
    assert "82.19" in table3
    assert "the commonest sentiment" in table3
    assert "cocktails" in (results / "tables/wabert_table4.csv").read_text(encoding="utf-8")
    for number in (2, 4):
        assert (results / f"figures/wabert_figure{number}.svg").stat().st_size > 5000
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "Speech-to-BERT Alignment" in page


@pytest.mark.demo
def test_judging_anew_trains_nothing(copy, dry_run) -> None:
    path = copy / "workflow/hearsay/slu/score_alignment.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert jobs["score_alignment"] == 1
    assert not {"train_aligner", "align_words", "train_tiny_speech"} & set(jobs)


def test_one_aligner_alone_is_a_target(origin, snakemake) -> None:
    target = "results/demo/slu/aligners/best/0/demo-timit/test.words.csv"
    done = snakemake(origin, "--profile", "profiles/demo", "--dry-run", target)
    assert done.status == 0, done.text
    jobs = done.jobs
    jobs.pop("total", None)
    assert jobs == {
        "write_speech_corpus": 2,
        "prepare_speech": 3,
        "train_tiny_speech": 1,
        "train_tiny_model": 1,
        "train_aligner": 1,
        "align_words": 1,
    }


def test_without_timit_and_slue_nothing_is_trained_and_tables_say_why(origin, snakemake) -> None:
    done = snakemake(origin, "--dry-run", "--cores", "1", "slu")
    assert done.status == 0, done.text
    assert "train_aligner" not in done.jobs
    table = "results/paper/tables/wabert_table1.csv"
    done = snakemake(origin, "--dry-run", "--printshellcmds", "--cores", "1", table)
    assert done.status == 0, done.text
    assert "not run: licence" in done.text


def test_with_a_copy_of_timit_all_aligners_are_trained(origin, snakemake, tmp_path) -> None:
    (tmp_path / "timit").mkdir()
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        yaml.safe_dump({"speech_corpora": {"timit": {"path": str(tmp_path / "timit")}}})
    )
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "slu")
    assert done.status == 0, done.text
    count = len(read_aligners(ROOT / "config/experiments/slu.tsv"))
    assert done.jobs["train_aligner"] == done.jobs["align_words"] == count
    assert "train_sentiment" not in done.jobs


def test_an_aligner_asks_for_the_memory_of_its_own_encoders(origin, snakemake, tmp_path) -> None:
    table, mine = tmp_path / "aligners.tsv", tmp_path / "mine.yaml"
    table.write_text(
        "run\tpreset\tcorpora\tseeds\tspeech\n"
        "small\tbest\tdemo-en/train\t0\tspoken-speech\n"
        "large\tbest\tdemo-en/train\t0\tdata2vec-audio-base\n"
    )
    slu = {"aligners": str(table), "sentiment": None, "speech_encoder": None, "shown_runs": []}
    mine.write_text(yaml.safe_dump({"slu": slu}))
    done = snakemake(
        origin, "--profile", "profiles/demo", "--configfile", "config/demo.yaml", mine, "--dry-run",
        *(f"results/demo/slu/aligners/{run}/0/weights.safetensors" for run in ("small", "large")),
    )  # fmt: skip
    assert done.status == 0, done.text
    found = dict(re.findall(r"wildcards: run=(\w+), seed=0.*?mem_mb=(\d+)", done.text, re.DOTALL))
    # Its weights are not on disk, and count as those of a large model.
    assert int(found["large"]) - int(found["small"]) > 4 * 1400


def test_table_3_shows_a_part_that_something_was_tested_on(origin, snakemake, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    corpus = {"kind": "slue", "language": "en", "licence": "mine", "path": str(tmp_path / "mine")}
    corpus |= {"parts": {"fine-tune": ["fine-tune"], "dev": ["dev"]}, "training": []}
    table, mine = tmp_path / "sentiment.tsv", tmp_path / "mine.yaml"
    table.write_text(
        "run\tkind\tcorpora\tvalidation\ttests\tseeds\n"
        "licensed\tspeech\tslue/fine-tune\tslue/dev\tslue/dev\t0\n"
        "own\tspeech\tmine/fine-tune\tmine/dev\tmine/dev\t0\n"
    )
    slu = {"aligners": None, "sentiment": str(table), "shown_runs": []}
    mine.write_text(yaml.safe_dump({"speech_corpora": {"mine": corpus}, "slu": slu}))
    done = snakemake(
        origin, "--dry-run", "--printshellcmds", "--configfile", mine, "--cores", "1",
        "results/paper/tables/wabert_table3.csv",
    )  # fmt: skip
    assert done.status == 0, done.text
    assert done.jobs["train_sentiment"] == 1
    step = next(line for line in done.text.splitlines() if "hearsay.paper.wabert_table3" in line)
    assert "--part=mine/dev" in step


def test_differences_are_to_the_papers_test_set_and_models_alone(
    origin, snakemake, tmp_path
) -> None:
    for name in ("timit", "own"):
        (tmp_path / name).mkdir()
    own = {"kind": "table", "language": "en", "parts": {"test": ["test"]}, "training": []}
    corpora = {"own": {**own, "path": str(tmp_path / "own"), "licence": "mine"}}
    table = tmp_path / "aligners.tsv"
    table.write_text(
        "run\tpreset\tcorpora\tseeds\tspeech\tpublished\n"
        "papers\tpaper-cosine\tlibrispeech/train\t0\t\tCIF with L_cos\n"
        "letters\tpaper-cosine\tlibrispeech/train\t0\twav2vec2-base-960h\tCIF with L_cos\n"
    )
    mine = tmp_path / "mine.yaml"
    for shown in (["own/test", "timit/test"], ["own/test"]):
        parts = {"timit": {"path": str(tmp_path / "timit")}, **corpora}
        slu = {"aligners": str(table), "sentiment": None, "alignment": shown, "shown_runs": []}
        mine.write_text(yaml.safe_dump({"speech_corpora": parts, "slu": slu}))
        done = snakemake(
            origin, "--dry-run", "--printshellcmds", "--configfile", mine, "--cores", "1",
            "results/paper/tables/wabert_table1.csv",
        )  # fmt: skip
        assert done.status == 0, done.text
        rows = next(
            line for line in done.text.splitlines() if "hearsay.paper.wabert_table1" in line
        )
        found = re.findall(r'"run": "(\w+)".*?"comparable": "(.*?)"', rows)
        papers = "timit/test" if "timit/test" in shown else ""
        assert found == [("papers", papers), ("letters", "")]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"slu": {"aligners": "absent.tsv"}}, "absent.tsv"),
        ({"slu": {"alignment": ["librispeech/dev-clean"]}}, "is of kind librispeech"),
        ({"slu": {"alignment": ["timit"]}}, "did you mean 'timit/test'?"),
        ({"slu": {"alignment": ["timit/other"]}}, "did you mean 'timit/test'?"),
        ({"slu": {"speech_encoder": "nobody"}}, 'slu.speech_encoder = "nobody": no such model'),
        ({"slu": {"text_encoder": None}}, "slu.text_encoder: run 'cosine' of slu.aligners starts"),
        ({"slu": {"shown_runs": ["nobody"]}}, "slu.shown_runs: no aligner 'nobody'"),
        ({"slu": {"ctc_model": "nobody"}}, 'slu.ctc_model = "nobody": no such model'),
        ({"slu": {"devices": 0}}, "slu.devices"),
    ],
)
def test_wrong_settings_are_told(origin, snakemake, tmp_path, settings, told) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(settings))
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "slu")
    assert done.status != 0
    assert told in done.text


def test_a_model_that_a_row_names_is_told_with_its_row(origin, snakemake, tmp_path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text(
        "run\tpreset\tcorpora\tvalidation\tseeds\tspeech\n"
        "mine\tpaper\tlibrispeech/train\tlibrispeech/dev-clean\t0\tnobody\n"
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"slu": {"aligners": str(table), "shown_runs": []}}))
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "slu")
    assert done.status != 0
    assert "slu.aligners, run 'mine': speech: no model 'nobody'; there are: vgg11" in done.text


@pytest.mark.parametrize(
    ("key", "table", "told"),
    [
        (
            "aligners",
            "run\tpreset\tcorpora\tseeds\tpublished\nmine\tpaper\tlibrispeech/train\t0\tCIF\n",
            "slu.aligners, Table 1: mine: the table has no published row CIF; it has CIF with",
        ),
        (
            "sentiment",
            "run\tkind\tcorpora\tvalidation\ttests\tseeds\tpublished\n"
            "mine\ttext\tslue/fine-tune\tslue/dev\tslue/dev\t0\tBERT\n",
            "slu.sentiment, Table 3: mine: the table has no published row BERT; it has N/A",
        ),
    ],
)
def test_an_unknown_published_row_is_refused_before_anything_is_trained(
    origin, snakemake, tmp_path, key, table, told
) -> None:
    file, mine = tmp_path / "mine.tsv", tmp_path / "mine.yaml"
    file.write_text(table)
    mine.write_text(
        yaml.safe_dump({"slu": {"sentiment": None, "shown_runs": []} | {key: str(file)}})
    )
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "slu")
    assert done.status != 0
    assert told in done.text
    assert "Traceback" not in done.text
