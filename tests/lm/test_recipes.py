"""Presets, and the table of experiments: what it may hold and what is said of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.errors import InputError
from hearsay.lm.recipes import (
    PRESETS,
    read_experiments,
    recipe_of,
    select,
    training_part,
)
from hearsay.provenance import ROOT
from hearsay.settings.lm import LanguageModelRecipe

HEADER = "corpus\trun\tpreset\tseeds\tpublished\tcell\tlearning_rate"


@pytest.fixture
def table(tmp_path):
    def write(*lines):
        path = tmp_path / "lm.tsv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_keys_of_the_recipe(preset):
    assert set(PRESETS[preset]) <= set(LanguageModelRecipe.model_fields)
    assert recipe_of(preset).layers == (2 if preset == "small" else 3)


def test_the_papers_presets_are_its_numbers():
    first, second = recipe_of("paper-ptb-1350"), recipe_of("paper-ptb-2000")
    assert (first.hidden_size, second.hidden_size) == (1350, 2000)
    assert first.epochs == second.epochs == 2000
    assert (first.batch_size, second.batch_size) == (64, 128)
    assert 1 / first.pseudo_derivative_width == pytest.approx(2.179)
    assert first.cell == "egru"
    assert first.variant == "paper"
    public = recipe_of("public-wt2")
    assert (public.variant, public.carry_state) == ("evnn", "output")


@pytest.mark.parametrize("name", ["lm.tsv", "lm-demo.tsv", "lm-small.tsv"])
def test_the_tables_of_the_repository_are_sound(name):
    experiments = read_experiments(ROOT / "config/experiments" / name)
    assert len(experiments) >= 3
    assert {e.recipe.cell for e in experiments} >= {"egru", "gru"}


def test_rows_take_the_preset_and_their_own_keys(table):
    path = table(
        "# a comment",
        HEADER,
        "ptb\ta\tsmall\t0,2\tEGRU 1350\t\t",
        "",
        "ptb\tb\tsmall\t1\t\tgru\t0.5",
        "wt2\ta\tsmall\t3",
    )
    first, second, third = read_experiments(path)
    assert first.seeds == (0, 2)
    assert first.published == "EGRU 1350"
    assert first.recipe == recipe_of("small")
    assert second.recipe == recipe_of("small", cell="gru", learning_rate=0.5)
    assert third.published == ""
    found = select([first, second, third], ["ptb", "wt2"], None)
    assert {corpus: list(runs) for corpus, runs in found.items()} == {
        "ptb": ["a", "b"],
        "wt2": ["a"],
    }
    assert list(select([first, second, third], ["ptb", "wt2"], ["wt2"])) == ["wt2"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "no experiments"),
        (["corpus\trun\tpreset"], "line 1: unknown columns: none; missing: seeds"),
        ([HEADER + "\tlerning_rate"], "unknown columns: lerning_rate"),
        ([HEADER, "ptb\ta\tsmall\t0\t\t\t\t9"], "line 2: 8 cells, but 7 columns"),
        ([HEADER, "ptb\ta\tlarge\t0"], "line 2: no preset 'large'; there are: small"),
        ([HEADER, "ptb\ta\tsmall\tone"], "line 2: seeds = 'one': whole numbers"),
        ([HEADER, "ptb\ta\tsmall\t0,0"], "none twice"),
        ([HEADER, "ptb\ta\tsmall\t-1"], "none below zero"),
        ([HEADER, "ptb\ta b\tsmall\t0"], "run = 'a b': letters, digits and"),
        ([HEADER, "ptb\ta={b}\tsmall\t0"], "run = 'a={b}': letters, digits and"),
        ([HEADER, "ptb\ta/b\tsmall\t0"], "run = 'a/b': letters, digits and"),
        ([HEADER, "ptb\t..\tsmall\t0"], "run = '..': letters, digits and"),
        ([HEADER, "ptb\ta\tsmall\t0\t\tlstn"], "line 2: cell = 'lstn'"),
        (
            [HEADER + "\tvariant", "ptb\ta\tsmall\t0\t\tgru\t\tevnn"],
            "line 2: variant = 'evnn': a gru does not read it; leave the cell empty",
        ),
        ([HEADER, "ptb\ta\tsmall\t0\t\t\tfast"], "line 2: learning_rate = 'fast'"),
        ([HEADER, "ptb\ta\tsmall\t0", "ptb\ta\tsmall\t1"], "run 'a' of ptb stands there twice"),
    ],
)
def test_faults_name_file_line_and_column(table, lines, told):
    path = table(*lines)
    with pytest.raises(InputError) as error:
        read_experiments(path)
    assert str(path) in str(error.value)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.tsv: table of experiments"):
        read_experiments(tmp_path / "absent.tsv")


def test_corpora_must_be_known(table):
    rows = read_experiments(table(HEADER, "ptb\ta\tsmall\t0"))
    with pytest.raises(InputError, match="no corpus 'ptb' in text_corpora; there are: wt2"):
        select(rows, ["wt2"], None)
    with pytest.raises(InputError, match=r"lm.corpora: 'wt2' has no row"):
        select(rows, ["ptb", "wt2"], ["wt2"])


@given(key=st.sampled_from(["threshold_mean", "variant", "pseudo_derivative_width"]))
def test_keys_of_egru_are_not_among_a_grus(key):
    """So that changing them does not retrain it."""
    assert key in training_part(recipe_of("small"))
    assert key not in training_part(recipe_of("small", cell="gru"))
