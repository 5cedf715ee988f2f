"""Settings of corpora of text."""

import pytest
import yaml
from pydantic import ValidationError

from hearsay.provenance import ROOT
from hearsay.settings.text import TextCorpus


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "name one of url, path, generated, or the licence that forbids it"),
        ({"url": "https://a/b.zip", "path": "b.zip"}, "at most one of url, path, generated"),
        ({"path": "b.zip", "generated": {}}, "found: ['path', 'generated']"),
        ({"url": "file:///etc/passwd"}, "https?://"),
        ({"url": "https://a/b.zip", "sha256": "abc"}, "[0-9a-f]{64}"),
        ({"path": "b", "files": {"dev": {}}}, "'train', 'valid' or 'test'"),
        ({"path": "b", "files": {"test": {"md5": "0"}}}, "Extra inputs are not permitted"),
        ({"generated": {"vocabulary": 100}}, "greater than or equal to 200"),
    ],
)
def test_a_fault_is_told(given, expected):
    with pytest.raises(ValidationError) as caught:
        TextCorpus.model_validate(given)
    assert expected in str(caught.value)


def test_a_licence_alone_means_that_it_cannot_be_had():
    corpus = TextCorpus(licence="LDC")
    assert corpus.url is corpus.path is corpus.generated is None


def test_the_table_of_datasets_has_every_corpus_that_is_not_made_here():
    lines = (ROOT / "config" / "datasets.tsv").read_text(encoding="utf-8").splitlines()
    header, *rows = [line.split("\t") for line in lines]
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert config["text_corpora"]
    for name, given in config["text_corpora"].items():
        corpus = TextCorpus.model_validate(given)
        row = table[name]
        assert row["licence"] == corpus.licence
        if corpus.url is not None:
            assert (row["url"], row["checksum"]) == (corpus.url, f"sha256:{corpus.sha256}")
