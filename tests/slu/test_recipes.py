"""Presets and what settings exclude each other."""

import subprocess
import sys

import pytest

from hearsay.errors import InputError
from hearsay.settings.slu import AlignerRecipe
from hearsay.slu import recipes
from hearsay.slu.recipes import PRESETS, ablations, additions, checked, extra_layers, recipe_of


def test_the_papers_recipe():
    paper = recipe_of("paper")
    assert (paper.loss, paper.quantity_weight, paper.subword_weight) == ("info_nce", 1.0, 1.0)
    assert (paper.learning_rate, paper.warmup_steps, paper.batch_size) == (5e-4, 4000, 128)
    assert (paper.epochs, recipe_of("paper-alignment").epochs) == (26, 19)
    assert (recipe_of("paper-alignment").layer, recipe_of("paper-cosine").loss) == (12, "cosine")
    assert recipe_of("paper-alignment").subword_weight == 0
    off = ("extra_layers", "path_weight", "frame_weight", "duration_weight", "energy_gate")
    assert not any(getattr(paper, key) for key in off)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_recipes(preset):
    assert recipe_of(preset, layer=3).layer == 3


def test_every_improvement_is_a_row():
    assert len(additions()) == len(recipes.IMPROVEMENTS)
    rows = ablations()
    assert 3 <= len(rows) <= len(recipes.IMPROVEMENTS)
    best = recipe_of("best")
    assert all(row != best for row in rows.values())


def test_without_one_of_two_that_need_the_same_key_it_stays():
    rows = ablations()
    gate, paths = rows["without energy gate"], rows["without paths"]
    assert (gate.energy_gate, gate.path_weight, gate.edges) == (None, 1.0, "constant")
    assert (paths.energy_gate, paths.path_weight, paths.edges) == (30.0, 0.0, "constant")
    assert gate.trim == paths.trim == recipe_of("best").trim


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"energy_gate": 30.0}, "set edges to 'constant' or 'learned'"),
        ({"edges": "learned", "subword_weight": 0.0}, "only the sub-word loss would train them"),
        ({"path_weight": 1.0}, "paths give to no token; set edges to 'constant' or 'learned'"),
        (
            {"path_weight": 1.0, "edges": "constant", "duration_weight": 0.1},
            "durations cannot move; set one of them to 0",
        ),
        ({"path_kernel": 2}, "path_kernel = 2: give an odd number"),
        ({"alpha_kernel": 4}, "alpha_kernel = 4: give an odd number"),
        ({"batch_size": 10, "micro_batch": 4}, "no multiple of micro_batch"),
        ({"extra_layers": "3 12"}, "names layer 12 again"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(keys, message):
    with pytest.raises(InputError, match=message):
        checked(AlignerRecipe(**keys))


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="no preset 'beast'; there are: paper"):
        recipe_of("beast")


def test_further_layers():
    assert extra_layers(AlignerRecipe(extra_layers="6 0 6")) == [0, 6]
    assert extra_layers(AlignerRecipe()) == []


def test_planning_is_light():
    code = "import sys, hearsay.slu.recipes; sys.exit(any(m in sys.modules for m in ('torch',)))"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env=_environment()).returncode
        == 0
    )


def test_functions_are_not_hidden_by_modules_of_their_name():
    code = """
import hearsay.slu.cif, hearsay.slu.boundary_errors
from hearsay.slu import boundary_errors, cif, info_nce
assert callable(cif) and callable(boundary_errors)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


def _environment():
    import os
    from pathlib import Path

    import hearsay

    return os.environ | {"PYTHONPATH": str(Path(hearsay.__file__).parent.parent)}
