"""Presets of a language model's recipe, and the table of experiments.

Light: imports neither torch nor numpy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsay.errors import InputError
from hearsay.experiments import check_name, read_table, recipe_of_row, seeds_of
from hearsay.lm.keys import EGRU_KEYS
from hearsay.settings.lm import LanguageModelRecipe

_EGRU: dict[str, Any] = {
    "cell": "egru",
    "bptt": 70,
    "beta1": 0.0,
    "clip_norm": 2.0,
    "dropout_output": 0.5,
    "schedule": "cosine",
    "constant_share": 0.5,
    "final_share": 0.1,
    "learning_rate_by_length": True,
}
# The hyper-parameters that the authors ran; epochs and embedding as the paper prints them: 2000
# epochs, and e = 750, which gives the 31M / 54M / 71M parameters of its tables (its 48M is 49M).
_PAPER_1350 = _EGRU | {
    "hidden_size": 1350,
    "embedding_size": 750,
    "optimizer": "adam",
    "learning_rate": 4.4407e-4,
    "weight_decay": 9.0055e-6,
    "epochs": 2000,
    "batch_size": 64,
    "bptt": 68,
    "dropconnect": 0.6788,
    "dropout_embedding": 0.7070,
    "dropout_words": 0.0546,
    "dropout_hidden": 0.2642,
    "pseudo_derivative_width": 1 / 2.179,
    "pseudo_derivative_height": 0.7,
    "threshold_mean": -3.769,
}
_PAPER_2000 = _PAPER_1350 | {
    "hidden_size": 2000,
    "learning_rate": 4.9417e-4,
    "weight_decay": 6.6878e-6,
    "batch_size": 128,
    "bptt": 67,
    "dropconnect": 0.6214,
    "dropout_embedding": 0.7651,
    "dropout_words": 0.1494,
    "dropout_hidden": 0.2413,
    "pseudo_derivative_width": 1 / 2.352,
    "threshold_mean": -3.496,
}
# The newest public code, but for its threshold's prior (a Beta distribution, never trained): the
# thresholds here start where its median lies, near zero, and stay there.
_PUBLIC_PTB = _EGRU | {
    "variant": "evnn",
    "hidden_size": 1350,
    "embedding_size": 750,
    "optimizer": "adamw",
    "learning_rate": 1.2e-3,
    "weight_decay": 0.10,
    "constant_share": 0.7,
    "final_share": 0.0,
    "epochs": 1000,
    "batch_size": 64,
    "dropconnect": 0.7,
    "dropout_embedding": 0.6,
    "dropout_words": 0.1,
    "dropout_hidden": 0.25,
    "clip_norm": 0.1,
    "pseudo_derivative_width": 1 / 3.6,
    "pseudo_derivative_height": 3.6,
    "threshold_mean": -13.0,
    "trained_thresholds": False,
    "carry_state": "output",
}
_AWD_PTB: dict[str, Any] = {
    "cell": "lstm",
    "hidden_size": 1150,
    "embedding_size": 400,
    "optimizer": "nt-asgd",
    "learning_rate": 30.0,
    "weight_decay": 1.2e-6,
    "schedule": "constant",
    "clip_norm": 0.25,
    "epochs": 500,
    "batch_size": 20,
    "bptt": 70,
    "dropconnect": 0.5,
    "dropout_embedding": 0.4,
    "dropout_words": 0.1,
    "dropout_hidden": 0.25,
    "dropout_output": 0.4,
    "activation_penalty": 2.0,
    "temporal_penalty": 1.0,
}
# Like for like: EGRU's recipe with another cell, at the paper's width.
_GRU_PTB = _PAPER_1350 | {"cell": "gru", "embedding_size": 400}
# For a CPU: one pass over WikiText-2 in a quarter of an hour. With word vectors in ± 0.1 and three
# layers no cell gets beyond word frequencies in that time.
_SMALL: dict[str, Any] = {
    "hidden_size": 256,
    "embedding_size": 128,
    "embedding_range": 0.5,
    "layers": 2,
    "dropconnect": 0.0,
    "dropout_embedding": 0.0,
    "dropout_hidden": 0.0,
    "dropout_output": 0.0,
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 1e-4,
    "warmup_steps": 50,
    "final_share": 0.05,
    "bptt": 35,
    "epochs": 1,
}
PRESETS: dict[str, dict[str, Any]] = {
    "small": _SMALL,
    "paper-ptb-1350": _PAPER_1350,
    "paper-ptb-2000": _PAPER_2000,
    # "Model parameters were optimized on Penn Treebank and transferred to WikiText-2" (Table 2).
    "paper-wt2-1350": _PAPER_1350 | {"batch_size": 128},
    "paper-wt2-2000": _PAPER_2000,
    "public-ptb": _PUBLIC_PTB,
    "public-wt2": _PUBLIC_PTB
    | {
        "learning_rate": 1.0e-3,
        "weight_decay": 0.12,
        "constant_share": 0.5,
        "epochs": 800,
        "batch_size": 128,
        "dropout_embedding": 0.7,
    },
    "gru-ptb-1350": _GRU_PTB,
    "gru-wt2-1350": _GRU_PTB | {"batch_size": 128},
    "lstm-ptb-1150": _GRU_PTB | {"cell": "lstm", "hidden_size": 1150},
    "lstm-wt2-1150": _GRU_PTB | {"cell": "lstm", "hidden_size": 1150, "batch_size": 128},
    "awd-lstm-ptb": _AWD_PTB,
    "awd-lstm-wt2": _AWD_PTB
    | {"epochs": 750, "batch_size": 80, "dropout_embedding": 0.65, "dropout_hidden": 0.2},
}
COLUMNS = ["corpus", "run", "preset", "seeds", "published"]


@dataclass(frozen=True)
class Experiment:
    """One row of the experiments' table: a model on a corpus.

    Attributes
    ----------
    corpus, run : names; together they are unique.
    recipe : the preset with the row's own keys.
    seeds : one training each.
    published : the row of the paper's table that it reproduces, or empty.
    """

    corpus: str
    run: str
    preset: str
    seeds: tuple[int, ...]
    published: str
    recipe: LanguageModelRecipe


def recipe_of(preset: str, **keys: Any) -> LanguageModelRecipe:
    """A preset, and what differs from it.

    Raises
    ------
    InputError
        for an unknown preset.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    return LanguageModelRecipe(**(PRESETS[preset] | keys))


def read_experiments(path: Path | str) -> list[Experiment]:
    """Read the table of experiments: tab-separated, one model on one corpus a row.

    Columns: corpus, run, preset, seeds (``0`` or ``0,1,2``), published (may be empty), and any keys
    of `LanguageModelRecipe`, whose empty cells leave the preset's value. Lines that begin with
    ``#`` are comments.

    Raises
    ------
    InputError
        naming file, line and column.
    """
    return read_table(
        path,
        _experiment,
        columns=COLUMNS,
        recipe=LanguageModelRecipe,
        required=["corpus", "run", "preset", "seeds"],
        within="corpus",
    )


def select(
    experiments: Iterable[Experiment], corpora: Iterable[str], chosen: list[str] | None
) -> dict[str, dict[str, Experiment]]:
    """Experiments by corpus and run, of the `chosen` corpora or, where that is None, of all.

    Raises
    ------
    InputError
        for a corpus that is not among `corpora`, and for a chosen one without experiments.
    """
    known = list(corpora)
    found: dict[str, dict[str, Experiment]] = {}
    for experiment in experiments:
        if experiment.corpus not in known:
            raise InputError(
                f"table of experiments, run {experiment.run!r}: no corpus {experiment.corpus!r} in "
                f"text_corpora; there are: {', '.join(known) or 'none'}"
            )
        found.setdefault(experiment.corpus, {})[experiment.run] = experiment
    for corpus in chosen or []:
        if corpus not in found:
            raise InputError(
                f"lm.corpora: {corpus!r} has no row in the table of experiments; there are: "
                f"{', '.join(found) or 'none'}"
            )
    return {corpus: runs for corpus, runs in found.items() if chosen is None or corpus in chosen}


def _experiment(where: str, row: dict[str, str]) -> Experiment:
    keys = {k: v for k, v in row.items() if k not in COLUMNS and v}
    if row["preset"] not in PRESETS:
        raise InputError(f"{where}: no preset {row['preset']!r}; there are: {', '.join(PRESETS)}")
    recipe = recipe_of_row(where, LanguageModelRecipe, PRESETS[row["preset"]] | keys)
    if recipe.cell != "egru" and (given := [key for key in EGRU_KEYS if key in keys]):
        raise InputError(
            f"{where}: {given[0]} = {keys[given[0]]!r}: a {recipe.cell} does not read it; leave "
            "the cell empty"
        )
    seeds = seeds_of(where, row["seeds"])
    for key in ("corpus", "run"):
        check_name(where, key, row[key])
    return Experiment(
        row["corpus"], row["run"], row["preset"], seeds, row.get("published", ""), recipe
    )


def training_part(recipe: LanguageModelRecipe) -> dict[str, Any]:
    """What a training reads: all but keys of another cell."""
    other = set() if recipe.cell == "egru" else set(EGRU_KEYS)
    return recipe.model_dump(exclude=other)
