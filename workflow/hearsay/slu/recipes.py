"""Presets of an aligner's recipe, and the settings that each of its improvements is.

Light: imports neither torch nor transformers.
"""

from typing import Any

from hearsay.errors import InputError
from hearsay.settings.slu import AlignerRecipe

PRESETS: dict[str, dict[str, Any]] = {
    # Section 3: L_InfoNCE + L_quantity + L_subword, at the last layer.
    "paper": {},
    # Section 4.1: what Tables 1 and 2 are of.
    "paper-alignment": {"subword_weight": 0.0, "epochs": 19},
    "paper-cosine": {"subword_weight": 0.0, "epochs": 19, "loss": "cosine"},
    # What helps by benchmarks/slu_ablation.md; durations do not, once masses are by characters.
    "best": {
        "subword_weight": 0.0,
        "repeats": "none",
        "masses": "characters",
        "edges": "constant",
        "energy_gate": 30.0,
        "frame_weight": 1.0,
        "extra_layers": "0",
        "trim": 0.02,
        "path_weight": 1.0,
    },
}

# What each improvement over the paper is; `best` is also run without each of its own.
IMPROVEMENTS: dict[str, dict[str, Any]] = {
    "repeats are no negatives": {"repeats": "none"},
    "embeddings too": {"extra_layers": "0"},
    "frames find their token": {"frame_weight": 1.0},
    "durations by characters": {"duration_weight": 0.1, "durations": "characters"},
    "masses by characters": {"masses": "characters"},
    "paths": {"path_weight": 1.0, "edges": "constant", "trim": 0.02},
    "energy gate": {"edges": "constant", "energy_gate": 30.0, "trim": 0.02},
}


def recipe_of(preset: str, **changes: Any) -> AlignerRecipe:
    """The recipe of a preset with some keys changed.

    Raises
    ------
    InputError
        for a preset that there is not, and for settings that exclude each other.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    return checked(AlignerRecipe(**PRESETS[preset] | changes))


def ablations(preset: str = "best") -> dict[str, AlignerRecipe]:
    """Recipes by the name of a row: the preset without each of its improvements in turn.

    Of an improvement all keys go back to the paper's values but those that another one needs, too.
    """
    whole, plain = PRESETS[preset], AlignerRecipe().model_dump()
    found = {}
    for name, keys in IMPROVEMENTS.items():
        if _holds(whole, keys):
            others = [each for other, each in IMPROVEMENTS.items() if other != name]
            needed = {key for each in others if _holds(whole, each) for key in each}
            back = {key: plain[key] for key in keys if key not in needed}
            found[f"without {name}"] = checked(AlignerRecipe(**whole | back))
    return found


def _holds(preset: dict[str, Any], keys: dict[str, Any]) -> bool:
    plain = AlignerRecipe().model_dump()
    return all(preset.get(key, plain[key]) == value for key, value in keys.items())


def additions(preset: str = "paper-alignment") -> dict[str, AlignerRecipe]:
    """Recipes by the name of a row: the preset with each improvement alone."""
    return {
        f"with {name}": checked(AlignerRecipe(**PRESETS[preset] | keys))
        for name, keys in IMPROVEMENTS.items()
    }


def checked(recipe: AlignerRecipe) -> AlignerRecipe:
    """Give the recipe back, unless settings exclude each other.

    Raises
    ------
    InputError
        naming the keys.
    """
    if recipe.energy_gate is not None and recipe.edges == "emitted":
        raise InputError(
            "energy_gate and edges = 'emitted': [CLS] and [SEP] take up silence, to which the gate "
            "gives no weight; set edges to 'constant' or 'learned'"
        )
    if recipe.path_weight and recipe.edges == "emitted":
        raise InputError(
            "path_weight and edges = 'emitted': [CLS] and [SEP] take up silence, which paths give "
            "to no token; set edges to 'constant' or 'learned'"
        )
    if recipe.path_weight and recipe.duration_weight:
        raise InputError(
            "path_weight and duration_weight: tokens are cut along the paths, which the loss of "
            "durations cannot move; set one of them to 0"
        )
    if recipe.edges == "learned" and not recipe.subword_weight:
        raise InputError(
            "edges = 'learned' and subword_weight = 0: only the sub-word loss would train them; "
            "set edges to 'constant'"
        )
    if recipe.alpha_kernel % 2 == 0:
        raise InputError(f"alpha_kernel = {recipe.alpha_kernel}: give an odd number")
    if recipe.path_kernel % 2 == 0:
        raise InputError(f"path_kernel = {recipe.path_kernel}: give an odd number")
    if recipe.batch_size % recipe.micro_batch and recipe.batch_size > recipe.micro_batch:
        raise InputError(
            f"batch_size = {recipe.batch_size} is no multiple of micro_batch = {recipe.micro_batch}"
        )
    if recipe.layer in extra_layers(recipe):
        raise InputError(f"extra_layers = {recipe.extra_layers!r} names layer {recipe.layer} again")
    return recipe


def extra_layers(recipe: AlignerRecipe) -> list[int]:
    """Numbers of the further layers."""
    return sorted({int(number) for number in recipe.extra_layers.split()})
