"""Settings of corpora of speech."""

import importlib
import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from hearsay import config
from hearsay.corpora import nsc, slue
from hearsay.corpora.speech_readers import KINDS, module_of
from hearsay.errors import InputError
from hearsay.provenance import ROOT
from hearsay.settings.speech import OPTIONS, OWN_PARTS, SpeechCorpus

WORDS_OF = {"table": "hearsay.corpora.table_word_times"}
DE = {"kind": "common_voice", "language": "de"}
NSC = {"kind": "nsc", "language": "en", "path": "a"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (DE, "name one of path, archives, listed, generated, or the licence"),
        (DE | {"path": "a", "generated": {}}, "found: ['path', 'generated']"),
        (DE | {"path": "a", "language": "f/r"}, "A-Za-z0-9"),
        (DE | {"path": "a", "kind": "commonvoice"}, "Input should be 'common_voice'"),
        (DE | {"path": "a", "policy": "drop"}, "'drop-character', 'drop-utterance'"),
        (DE | {"path": "a", "training": ["trian"]}, "'trian', which parts does not have"),
        (DE | {"path": "a", "parts": {"words": ["x"]}, "training": []}, "'words' is what a folder"),
        (DE | {"generated": {"utterances": {"train": 0}}}, "greater than or equal to 1"),
        (DE | {"path": "a", "max_duration": 0}, "greater than 0"),
        (DE | {"generated": {"format": "librispeech"}}, "kind is 'common_voice' but generated"),
        (DE | {"archives": {"a.tar.gz": {"url": "file:///etc/passwd"}}}, "https?://"),
        (DE | {"archives": {"a.tar.gz": {"url": "https://a", "md5": "0"}}}, "[0-9a-f]{32}"),
        (DE | {"archives": {"../a": {"url": "https://a"}}}, "A-Za-z0-9"),
        (
            DE | {"path": "a", "options": {"table": "a.tsv"}},
            "common_voice takes no 'table' (nothing)",
        ),
        (
            NSC | {"options": {"chanels": ["0"]}},
            "no 'chanels' (channels, seed, validation_speakers)",
        ),
        (NSC | {"options": {"channels": 0}}, "channels is 0, and must be a list of text"),
        (
            NSC | {"options": {"channels": ["0", "3"]}},
            "channels has '3', but NSC's are 0 (headset), 1 (boundary microphone), 2 (telephone)",
        ),
        (
            DE | {"path": "a", "counts": {"train": 5, "tset": 5}},
            "counts names 'tset', which is no part of the corpus's own (there are: train, dev",
        ),
        (
            DE | {"kind": "table", "path": "a", "counts": {"test": 5}},
            "counts names 'test', which is no part of the corpus's own (there are: train, dev)",
        ),
        (NSC | {"options": {"seed": True}}, "seed is True, and must be a whole number"),
    ],
)
def test_a_fault_is_told(given, expected):
    with pytest.raises(ValidationError) as caught:
        SpeechCorpus.model_validate(given)
    assert expected in str(caught.value)


def test_every_kind_has_a_reader():
    kinds = SpeechCorpus.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(KINDS)


def test_the_options_of_a_kind_are_those_that_its_modules_read():
    for kind in KINDS:
        modules = {module_of(kind), *([WORDS_OF[kind]] if kind in WORDS_OF else [])}
        read = set()
        for module in modules:
            source = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
            read |= set(re.findall(r"options\.get\([\"'](\w+)", source))
        assert read - {"counts"} == set(OPTIONS.get(kind, {})), kind


def test_counts_may_name_a_part_that_is_not_used():
    given = DE | {"path": "a", "parts": {"eval": ["own-eval"]}, "training": []}
    counts = {"own-eval": 3, "train": 9, "test": 5}
    assert SpeechCorpus.model_validate(given | {"counts": counts}).counts == counts


def test_the_own_parts_of_a_kind_are_those_that_its_reader_knows():
    assert OWN_PARTS["nsc"] == nsc.PARTS
    assert set(OWN_PARTS["slue"]) == set(slue.RELEASES["v0.2"])


def test_options_of_the_right_kind_are_taken():
    options = {"channels": ["0"], "seed": 3, "validation_speakers": ["0001"]}
    assert SpeechCorpus.model_validate(NSC | {"options": options}).options == options


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            "c/dve",
            'asr.tables.3.NSC1 = "c/dve": no such part of a corpus in speech_corpora; '
            "did you mean 'c/dev'?",
        ),
        ("dev", 'asr.tables.3.NSC1 = "dev": no such part'),
        ("{de: d/dev}", 'asr.tables.3.NSC1.de = "d/dev": no such part'),
        ("{de: c/dev}", ""),
    ],
)
def test_a_tables_column_names_a_part_that_there_is(tmp_path, column, expected):
    text = f"asr: {{tables: {{'3': {{NSC1: {column}}}}}}}\n"
    text += "speech_corpora: {c: {kind: table, language: de, path: data/c}}\n"
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    if expected:
        with pytest.raises(InputError) as caught:
            config.load(yaml.safe_load(text), [tmp_path / "my.yaml"], {})
        assert f"my.yaml, line 1: {expected}" in str(caught.value)
    else:
        config.load(yaml.safe_load(text), [tmp_path / "my.yaml"], {})


def test_the_papers_corpora_have_their_counts_and_checksums():
    given = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    corpora = {n: SpeechCorpus.model_validate(c) for n, c in given["speech_corpora"].items()}
    assert corpora["cv-de"].counts == {"train": 71841, "dev": 13511, "test": 13511}
    assert corpora["cv-ru"].counts == {"train": 10352, "dev": 6110, "test": 6300}
    librispeech = corpora["librispeech"]
    assert all(archive.md5 for archive in librispeech.archives.values())
    assert sum(librispeech.counts[part] for part in librispeech.parts["train"]) == 281_241
    licensed = [name for name, corpus in corpora.items() if corpus.access != "account"]
    assert all(not corpora[name].archives for name in ("wsj", "fisher", "switchboard", "nsc1"))
    assert {"wsj", "fisher", "switchboard"} <= set(licensed)


def test_the_table_of_datasets_has_every_archive():
    lines = (ROOT / "config" / "datasets.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    assert {len(row) for row in rows} == {7}
    urls = {row[2]: row[4] for row in rows}
    given = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    for archive in given["speech_corpora"]["librispeech"]["archives"].values():
        assert urls[archive["url"]] == f"md5:{archive['md5']}"
