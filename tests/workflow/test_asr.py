"""Recognisers in the workflow: what the demo shows, one language alone, licensed corpora."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hearsay.asr.recipes import read_experiments
from hearsay.metrics.scores import read_scores
from hearsay.provenance import ROOT

LANGUAGES = ("de", "es", "ru")
TABLE = "config/experiments/asr-demo.tsv"


def rates(demo: Path, language: str) -> pd.Series:
    """Word error rate by run and test part."""
    frame = read_scores(demo / "results/demo/asr" / language / "scores.csv")
    frame = frame[frame["metric"].str.startswith("wer ")]
    return frame.set_index(["experiment", "metric"])["value"]


@pytest.mark.demo
@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_all_clips_of_all_tests_are_scored(demo: Path, language: str) -> None:
    scores = read_scores(demo / "results/demo/asr" / language / "scores.csv")
    for row in scores[scores["metric"].str.startswith("wer ")].itertuples():
        part = row.metric.removeprefix("wer ")
        manifest = demo / "results/demo/speech" / f"{part}.jsonl"
        assert row.n == len(manifest.read_text(encoding="ascii").splitlines())
    for each in read_experiments(ROOT / TABLE):
        if each.language == language:
            tests = {f"wer {test.name}" for test in each.tests}
            found = scores[scores["experiment"] == each.run]["metric"]
            assert tests <= set(found)


@pytest.mark.demo
def test_the_english_recogniser_has_learnt(demo: Path) -> None:
    history = pd.read_csv(demo / "results/demo/asr/en/english/0/history.csv")
    assert history["validation_wer"].iloc[-1] < 0.75
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 4


@pytest.mark.demo
def test_preparation_keeps_or_lists_every_clip(demo: Path) -> None:
    records = sorted((demo / "results/demo/speech").glob("*/*.run.json"))
    prepared = [path for path in records if path.name != "release.run.json"]
    assert len(prepared) == 16
    for path in prepared:
        record = json.loads(path.read_text(encoding="utf-8"))
        name = path.name.removesuffix(".run.json")
        kept = path.with_name(f"{name}.jsonl").read_text(encoding="ascii").splitlines()
        rejected = list(csv.DictReader(path.with_name(f"{name}.rejected.csv").open()))
        assert record["counts"]["total"] == len(kept) + len(rejected)
        assert record["counts"]["kept"] == len(kept)


@pytest.mark.demo
def test_transcripts_are_in_the_languages_letters(demo: Path) -> None:
    letters = {"de": "ß", "es": "ñ", "ru": "ё"}
    for language, letter in letters.items():
        path = demo / "results/demo/asr" / language / "transfer/0/transcripts.csv"
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
        assert any(letter in row["reference"] for row in rows)
        record = json.loads(path.with_name("training.run.json").read_text(encoding="utf-8"))
        written = {character for row in rows for character in row["hypothesis"]}
        assert written <= set(record["alphabet"])


@pytest.mark.demo
def test_tables_and_figures_are_filled(demo: Path) -> None:
    results = demo / "results/demo"
    table6 = (results / "tables/asr_table6.csv").read_text(encoding="utf-8")
    for published in ("18.65", "14.96", "32.2"):
        assert published in table6
    shown = pd.read_csv(results / "tables/asr_table6.csv")
    measured = shown.filter(regex="^wer").select_dtypes("number").to_numpy().ravel()
    for language in LANGUAGES:
        for run in ("scratch", "transfer"):
            value = 100 * rates(demo, language)[run, f"wer demo-{language}/dev"]
            assert any(cell == pytest.approx(value) for cell in measured)
    table3 = (results / "tables/asr_table3.csv").read_text(encoding="utf-8")
    assert "accents-mixed" in table3
    for number, columns, runs in (
        (4, ["nsc1", "nsc2"], ["english", "accents", "more-accents", "all-accents"]),
        (5, ["dev_93", "coraal"], ["accents-scratch", "english", "accents", "accents-mixed"]),
    ):
        shown = pd.read_csv(results / f"tables/asr_table{number}.csv").set_index("run_name")
        assert shown.loc[runs, columns].notna().all(axis=None), number
    for number in (2, 3):
        assert (results / f"figures/asr_figure{number}.svg").stat().st_size > 5000
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "Cross-Language Transfer Learning" in page


@pytest.mark.demo
def test_every_recogniser_traces_to_its_source(demo: Path) -> None:
    english = demo / "results/demo/asr/en/english/0/weights.safetensors"
    record = json.loads(
        (demo / "results/demo/asr/de/transfer/0/training.run.json").read_text(encoding="utf-8")
    )
    assert [i for i in record["inputs"] if i["path"].endswith("en/english/0/weights.safetensors")]
    assert english.is_file()


@pytest.mark.demo
def test_more_epochs_of_one_run_train_it_alone(copy, dry_run) -> None:
    path = copy / TABLE
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("language\t"))
    column = lines[start].split("\t").index("epochs")
    for number, line in enumerate(lines):
        cells = line.split("\t")
        if cells[:2] == ["es", "scratch"]:
            cells[column] = "3"
            lines[number] = "\t".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert jobs["train_recogniser"] == jobs["transcribe"] == jobs["score_transcripts"] == 1
    assert not {"prepare_speech", "write_speech_corpus", "train_fmri_prompt"} & set(jobs)


@pytest.mark.demo
def test_scoring_anew_trains_nothing(copy, dry_run) -> None:
    path = copy / "workflow/hearsay/asr/score_transcripts.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert jobs["score_transcripts"] == 4
    assert not {"train_recogniser", "transcribe", "prepare_speech"} & set(jobs)


def test_one_language_alone_is_a_target(origin, snakemake) -> None:
    done = snakemake(
        origin, "--profile", "profiles/demo", "--dry-run", "results/demo/asr/de/scores.csv"
    )
    assert done.status == 0, done.text
    jobs = done.jobs
    jobs.pop("total", None)
    assert jobs == {
        "write_speech_corpus": 2,
        "prepare_speech": 4,
        "train_recogniser": 3,  # the English source among them
        "transcribe": 2,
        "score_transcripts": 1,
    }


def test_the_record_of_a_release_is_a_target(origin, snakemake) -> None:
    for name in ("release", "release.run.json"):
        target = f"results/demo/speech/demo-de/{name}"
        done = snakemake(origin, "--profile", "profiles/demo", "--dry-run", target)
        assert done.status == 0, done.text
        assert "prepare_speech" not in done.jobs


def test_a_test_part_alone_fetches_its_own_archive(origin, snakemake) -> None:
    target = "results/paper/speech/librispeech/dev-clean.jsonl"
    done = snakemake(origin, "--dry-run", "--cores", "1", target)
    assert done.status == 0, done.text
    assert done.jobs["fetch_speech"] == 1
    assert "train-clean-100" not in done.text


def test_licensed_and_absent_corpora_are_left_out_and_named(origin, snakemake, tmp_path) -> None:
    done = snakemake(origin, "--dry-run", "--cores", "1", "asr")
    assert done.status == 0, done.text
    assert "en/15x5-ls/0/weights" in done.text
    assert "15x5-5d" not in done.text
    assert "asr/de" not in done.text
    told = snakemake(
        origin, "--dry-run", "--cores", "1", "results/paper/asr/de/15x5-public/0/transcripts.csv"
    )
    assert told.status != 0
    assert "speech_corpora.cv-de.path" in told.text
    release = tmp_path / "cv-corpus-4-2019-12-10-de.tar.gz"
    release.touch()
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"speech_corpora": {"cv-de": {"path": str(release)}}}))
    done = snakemake(
        origin,
        *("--dry-run", "--configfile", mine, "--cores", "1", "results/paper/asr/de/scores.csv"),
    )
    assert done.status == 0, done.text
    assert "asr/de/15x5-public/0/weights.safetensors" in done.text
    assert "asr/de/15x5-5d" not in done.text


def test_only_a_language_of_the_configuration_is_handed_its_alphabet(
    origin, snakemake, tmp_path
) -> None:
    mine = tmp_path / "mine.yaml"
    (tmp_path / "fr.tar.gz").touch()
    (tmp_path / "mine.tsv").write_text(
        "language\trun\tsource\tcorpora\tvalidation\ttests\tseeds\n"
        "en\tbase\t\tlibrispeech/train\tlibrispeech/dev-clean\tlibrispeech/dev-clean\t0\n"
        "fr\town\ten/base\tcv-fr/train\tcv-fr/dev\tcv-fr/dev\t0\n"
    )
    corpus = {"kind": "common_voice", "language": "fr", "path": str(tmp_path / "fr.tar.gz")}
    settings = {
        "languages": {"fr": {"name": "French", "letters": "abc'é", "replace": {"æ": "a"}}},
        "speech_corpora": {"cv-fr": corpus},
        "asr": {"experiments": str(tmp_path / "mine.tsv")},
    }
    mine.write_text(yaml.safe_dump(settings))
    target = "results/paper/asr/fr/scores.csv"
    done = snakemake(origin, "--dry-run", "-p", "--configfile", mine, "--cores", "1", target)
    assert done.status == 0, done.text
    commands = [line for line in done.text.splitlines() if "python -m hearsay.step" in line]
    steps = ("prepare_speech", "train_recogniser", "transcribe")
    of_steps = [line for line in commands if any(f".{step} " in line for step in steps)]
    handed = [line for line in of_steps if "alphabet" in line]
    assert len(handed) == 4  # two parts, a training, its transcripts
    assert all("fr" in line for line in handed)
    assert not any("French" in line for line in of_steps)  # a name retrains nothing
    assert len(of_steps) > len(handed)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"asr": {"experiments": "absent.tsv"}}, "absent.tsv"),
        ({"asr": {"tables": {"7": {"WER": "a/dev"}}}}, "asr.tables"),
        ({"asr": {"languages": ["fr"]}}, "asr.languages"),
        (
            {"languages": {"fr": {"letters": "abc"}}, "asr": {"languages": ["de", "fr"]}},
            "asr.languages: no run of 'fr' in config/experiments/asr.tsv",
        ),
        (
            {"asr": {"figures": {"2": ["15x5-scratch", "15x5-pubic"]}}},
            "asr.figures.2: no run '15x5-pubic' of ru in config/experiments/asr.tsv; there",
        ),
        (
            {"asr": {"figures": {"2": ["scratch", "transfer"]}}},
            "asr.figures.2: no run 'scratch' of ru in config/experiments/asr.tsv; there",
        ),
        (
            {"speech_corpora": {"cv-de": {"parts": {"dev": ["dev"]}, "training": ["trian"]}}},
            "training names 'trian', which parts does not have",
        ),
        ({"speech_corpora": {"mine": {"kind": "table", "language": "de"}}}, "or the licence"),
        (
            {"speech_corpora": {"mine": {"kind": "tabel", "language": "de", "path": "x"}}},
            "speech_corpora.mine.kind",
        ),
    ],
)
def test_faults_of_the_settings_are_one_message(origin, snakemake, tmp_path, settings, told):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = snakemake(origin, "--dry-run", "--configfile", path, "--cores", "1", "asr")
    assert done.status != 0
    assert told in done.text
    assert "Traceback" not in done.text


def test_a_figure_in_a_language_without_runs_is_left_out_and_told(
    origin, snakemake, tmp_path
) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text(
        "language\trun\tcorpora\tvalidation\ttests\tseeds\n"
        "en\tmine\tlibrispeech/train\tlibrispeech/dev-clean\tlibrispeech/dev-clean\t0\n"
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"asr": {"experiments": str(table), "figures": {"3": []}}}))
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "asr")
    assert done.status == 0, done.text
    assert f"asr.figures.2: left out: {table} has no run of ru; name others" in done.text
    assert "asr.figures.3" not in done.text


def test_runs_of_a_language_that_is_not_chosen_may_be_in_a_figure(origin, snakemake) -> None:
    figures = 'asr={"languages": ["de"], "figures": {"2": ["english", "accents"], "3": []}, '
    figures += '"figure_languages": {"2": "en"}}'
    done = snakemake(origin, "--profile", "profiles/demo", "--dry-run", "asr", "--config", figures)
    assert done.status == 0, done.text
    assert "asr.figures" not in done.text


@pytest.mark.parametrize(
    ("tables", "columns", "told"),
    [
        (
            *("3=15x5 LSS", {}),
            "asr.experiments, Table 3: mine: the table has no published row 15x5 LSS; it has 15x5",
        ),
        (
            *("6=15x5 CV-ge", {"6": {"WER": {"en": "librispeech/dev-clean"}}}),
            "asr.experiments, Table 6: mine is of language en, but the published row 15x5 CV-ge of",
        ),
        (
            *("3", {"3": {"dev-claen": "librispeech/dev-clean"}}),
            "asr.tables.3: the table has no column dev-claen; it has dev-clean, dev-other, NSC1",
        ),
        ("6", {}, "asr.tables.6: WER has no test set of language en"),
        (
            *("4", {}),
            "asr.experiments, Table 4: mine is tested on none of nsc1/dev, nsc2/dev, which "
            "asr.tables.4 names: test it there",
        ),
    ],
)
def test_a_row_that_its_table_could_not_show_is_refused_before_it_is_trained(
    origin, snakemake, tmp_path, tables, columns, told
) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text(
        "language\trun\tcorpora\tvalidation\ttests\tseeds\ttables\n"
        "en\tmine\tlibrispeech/train\tlibrispeech/dev-clean\tlibrispeech/dev-clean\t0\t"
        f"{tables}\n"
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"asr": {"experiments": str(table), "tables": columns}}))
    done = snakemake(origin, "--dry-run", "--configfile", mine, "--cores", "1", "asr")
    assert done.status != 0
    assert told in done.text
    assert "Traceback" not in done.text
