"""The tables behind the recorded comparisons: the demo's own rows, and parts that exist."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from hearsay.asr.recipes import check_experiments, read_experiments
from hearsay.corpora.alphabets import labels_of

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "config" / "experiments"


def test_transfer_is_compared_on_the_demos_very_rows():
    demo = {(e.language, e.run): e for e in read_experiments(TABLES / "asr-demo.tsv")}
    compared = read_experiments(TABLES / "asr-transfer.tsv")
    assert {(e.language, e.run) for e in compared} == {("en", "english")} | {
        (language, run) for language in ("de", "es", "ru") for run in ("scratch", "transfer")
    }
    for each in compared:
        shown = demo[each.language, each.run]
        assert each.seeds == (0, 1, 2)
        assert dataclasses.replace(
            each, seeds=shown.seeds, tables=shown.tables, note=shown.note
        ) == dataclasses.replace(shown)


def test_the_budgets_of_scratch_and_transfer_are_equal():
    rows = {(e.language, e.run): e for e in read_experiments(TABLES / "asr-demo.tsv")}
    own = {"learning_rate", "decoder"}
    for language in ("de", "es", "ru"):
        scratch, transfer = (rows[language, run] for run in ("scratch", "transfer"))
        assert scratch.corpora == transfer.corpora
        assert scratch.recipe.model_dump(exclude=own) == transfer.recipe.model_dump(exclude=own)


@pytest.mark.parametrize(
    ("table", "files"),
    [
        ("asr-digits.tsv", ["benchmarks/asr_digits.yaml"]),
        ("asr-transfer.tsv", ["config/demo.yaml", "benchmarks/asr_transfer.yaml"]),
        ("asr-demo.tsv", ["config/demo.yaml"]),
    ],
)
def test_tables_name_parts_that_exist(table, files):
    named = [yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) for name in files]
    assert named[-1]["asr"]["experiments"] == f"config/experiments/{table}"
    together: dict[str, dict] = {}
    for settings in named:
        for name, corpus in settings.get("speech_corpora", {}).items():
            together.setdefault(name, {}).update(corpus)
    corpora = {
        name: (
            corpus["language"],
            list(corpus.get("parts", {"train": [], "dev": []})),
            corpus.get("training", ["train"]),
        )
        for name, corpus in together.items()
    }
    check_experiments(read_experiments(TABLES / table), corpora, [], labels_of)
