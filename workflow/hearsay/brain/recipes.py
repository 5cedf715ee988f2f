"""Presets of a decoder's recipe, and which part of a recipe each step reads.

Rules hand every step exactly its part, so that a change of one setting reruns only its readers.
Light: imports neither torch nor numpy.
"""

from typing import Any

from hearsay.errors import InputError
from hearsay.settings.brain import Brain, Recipe

# What the public code does where that changes results; the sources are the paper's repository and
# the settings its authors ran. Not among them: model selection on the test story; a stop that
# watches for another token than the targets have, so that every text has 128; 300 epochs, where its
# defaults say 100; and dropout in GPT-2 and in the mapping network while stage 2 trains neither.
PUBLIC_CODE: dict[str, Any] = {
    "prompt_length": 100,
    "finetune": "stage1",
    "contrastive": "public-code",
    "encoder_dropout": 0.0,
    "text_shift": -1,
    "prefix": "=",
    "pooling": "mean-with-padding",
    "patience": None,
    "weight_decay": 0.0,
    "clip_norm": None,
}
# Ten times the windows, the haemodynamic lag covered, a slower language model.
BEST: dict[str, Any] = {
    "train_hop": 1,
    "hrf_context": 4,
    "language_model_learning_rate": 2e-5,
    "weight_decay": 0.1,
    "encoder_dropout": 0.3,
    "patience": 5,
    "epochs_text": 30,
    "epochs_fmri": 30,
}
SCORED_WINDOW = 10  # TRs; the 20 s that both protocols score
PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "public-code": PUBLIC_CODE, "best": BEST}

_NETWORK = ["prompt_length", "layers", "heads"]
_TEXT = ["stop", "prefix", "encoder_text", "pooling", "window", "max_tokens"]
_MODEL = [*_NETWORK, *_TEXT, "lora_rank", "finetune"]
_TRAINING = [
    "text_shift",
    "train_hop",
    "patience",
    "batch_size",
    "learning_rate",
    "language_model_learning_rate",
    "weight_decay",
    "warmup",
    "clip_norm",
    "loss",
    "seed",
]
PARTS: dict[str, list[str]] = {
    "text_prompt": [*_MODEL, *_TRAINING, "latent", "mapper_dropout", "epochs_text"],
    # Stages after the first have the mapping network's sizes from its file.
    "fmri_prompt": [
        *_MODEL,
        *_TRAINING,
        "encoder_dropout",
        "hrf_context",
        "contrastive",
        "contrastive_weight",
        "temperature",
        "epochs_fmri",
        "input",
    ],
    "decode": [*_MODEL, "encoder_dropout", "hrf_context", "input", "seed"],
}


def recipe_of(brain: Brain, setting: str) -> Recipe:
    """The whole recipe of one setting: its preset, then `brain.recipe`, then its own keys.

    Raises
    ------
    InputError
        if there is no such setting.
    """
    if setting not in brain.settings:
        raise InputError(
            f"no setting {setting!r} in brain.settings; there are: {', '.join(brain.settings)}"
        )
    chosen = brain.settings[setting]
    values = dict(PRESETS[chosen.preset or brain.preset])
    for recipe in (brain.recipe, chosen.recipe):
        values |= {key: getattr(recipe, key) for key in sorted(recipe.model_fields_set)}
    return Recipe(**values)


def part_of(brain: Brain, setting: str, step: str) -> dict[str, Any]:
    """What `step` (a key of `PARTS`) reads of a setting's recipe."""
    part = recipe_of(brain, setting).model_dump(include=set(PARTS[step]))
    if step == "text_prompt":  # stage 1 is the same whether or not stage 2 trains GPT-2 further
        part["finetune"] = "none" if part["finetune"] == "none" else "stage1"
    return part


def ordered(brain: Brain) -> list[str]:
    """Names of all settings, short ones first; a configuration laid over another mixes its own."""
    return sorted(brain.settings, key=lambda name: (len(name), name))


def text_prompt_of(brain: Brain, setting: str) -> str:
    """The first setting (`ordered`) whose stage 1 is the same: it is trained once and shared."""
    wanted = part_of(brain, setting, "text_prompt")
    return next(s for s in ordered(brain) if part_of(brain, s, "text_prompt") == wanted)


def settings_of(brain: Brain, subject: str) -> list[str]:
    """What is trained for one subject, in the order of `ordered`."""
    return [s for s in ordered(brain) if s in brain.settings_of.get(subject, brain.settings)]


def records_of(brain: Brain, subject: str) -> list[str]:
    """Names of the run records behind one subject's scores, in the order in which they are made.

    A stage 1 that is shared stands once, under the setting that it is trained for.
    """
    names = ["present", "windows", "word_rate"]
    for setting in settings_of(brain, subject):
        names.append(f"{text_prompt_of(brain, setting)}/text_prompt")
        names += [f"{setting}/fmri_prompt", f"{setting}/decoded"]
    return [*dict.fromkeys(names), "scores"]


def check_scored(brain: Brain, subject: str) -> None:
    """Raise InputError where a setting of the subject decodes windows that no protocol scores."""
    for setting in settings_of(brain, subject):
        if (window := recipe_of(brain, setting).window) != SCORED_WINDOW:
            raise InputError(
                f"brain.settings: setting {setting!r} has windows of {window} TRs, but scores are "
                f"of {SCORED_WINDOW} TRs (20 s): set recipe.window to {SCORED_WINDOW}"
            )


def has_controls(brain: Brain, setting: str) -> bool:
    """Whether a setting's decoding is compared with controls; a control has none of its own."""
    compared = brain.settings if brain.controls is None else brain.controls
    return setting in compared and recipe_of(brain, setting).input == "fmri"


def controls_of(brain: Brain, subject: str) -> dict[str, str]:
    """The setting trained on noise, by the setting that it is a control of.

    Only of settings that are trained for the subject and compared with controls.
    """
    trained = settings_of(brain, subject)
    return {
        of: setting
        for setting in trained
        if (of := recipe_of(brain, setting).control_of) in trained and has_controls(brain, of)
    }
