"""The table of aligners: what it may say, and what it is told otherwise."""

import pytest

from hearsay.errors import InputError
from hearsay.experiments import check_sets, parse_sets
from hearsay.provenance import ROOT
from hearsay.slu.aligner_experiments import read_aligners

HEAD = "run\tpreset\tcorpora\tvalidation\tseeds\tpublished\tlayer\tedges\tkeep"
BEST = "best\tbest\tls/train\tls/dev\t0,1\t\t\t\t"


def table(tmp_path, *lines):
    path = tmp_path / "slu.tsv"
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return path


def test_keys_of_a_row_are_laid_over_its_preset(tmp_path):
    best, plain = read_aligners(
        table(tmp_path, BEST, "three\tpaper\tls/train a/b\t\t0\tCIF with L_cos\t3\tconstant\t")
    )
    assert best.seeds == (0, 1)
    assert best.recipe.masses == "characters"
    assert plain.recipe.layer == 3
    assert plain.recipe.edges == "constant"
    assert plain.validation is None
    assert [part.name for part in best.sets] == ["ls/train", "ls/dev"]
    assert [part.name for part in plain.sets] == ["ls/train", "a/b"]
    assert plain.published == "CIF with L_cos"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (BEST.replace("best\tbest", "best\tbetter"), "preset = 'better': none of paper"),
        (BEST.replace("best\tbest", "a b\tbest"), "run = 'a b'"),
        (BEST.replace("ls/train", ""), "corpora is empty"),
        (BEST.replace("ls/train", "ls/train*2"), r"ls/train\*2: aligners see every clip once"),
        (BEST.replace("ls/dev", "ls/dev ls/two"), "validation: name one part, not 2"),
        (BEST.replace("ls/dev\t0,1\t\t\t\t", "\t0\t\t\t\tbest"), "asks for a validation part"),
        (BEST.replace("0,1\t\t\t\t", "0\t\tx\t\t"), "layer = 'x'"),
        (BEST.replace("0,1\t\t\t\t", "0\t\t\temitted\t"), "energy_gate and edges = 'emitted'"),
    ],
)
def test_wrong_rows(tmp_path, line, message):
    with pytest.raises(InputError, match=message) as told:
        read_aligners(table(tmp_path, line))
    assert "slu.tsv, line 2" in str(told.value)


def test_a_run_stands_there_once(tmp_path):
    with pytest.raises(InputError, match="line 3: run 'best' stands there twice"):
        read_aligners(table(tmp_path, BEST, BEST))


def test_corpora_must_be_known():
    with pytest.raises(InputError, match="x: no corpus 'b' in speech_corpora; there are: a"):
        check_sets("x", parse_sets("x", "corpora", "b/train"), {"a": ["train"]})
    with pytest.raises(InputError, match="x: a has no part 'dev'; there are: train"):
        check_sets("x", parse_sets("x", "corpora", "a/dev"), {"a": ["train"]})


def test_the_shipped_table():
    found = {each.run: each for each in read_aligners(ROOT / "config/experiments/slu.tsv")}
    assert found["info-nce"].recipe.loss == "info_nce"
    assert found["cosine"].recipe.loss == "cosine"
    assert [found[f"graft-{k}"].recipe.layer for k in (3, 6, 9, 12)] == [3, 6, 9, 12]
    assert not found["info-nce"].recipe.subword_weight
    assert found["graft-3"].recipe.subword_weight == 1
