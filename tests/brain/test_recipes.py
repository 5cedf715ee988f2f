"""Recipes: what each preset is, who overrules whom, and that each step is told what it reads."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from hearsay.brain import decode_story, prompted, train_fmri_prompt, train_text_prompt
from hearsay.brain.controls import noise, noise_stories, shuffled_in_time
from hearsay.brain.recipes import (
    BEST,
    PARTS,
    PRESETS,
    PUBLIC_CODE,
    check_scored,
    controls_of,
    has_controls,
    part_of,
    recipe_of,
    records_of,
    settings_of,
    text_prompt_of,
)
from hearsay.errors import InputError
from hearsay.settings.brain import Brain, Recipe


def brain(**keys):
    return Brain(**keys)


# --- presets --------------------------------------------------------------------------------------


def test_the_paper_s_preset():
    recipe = recipe_of(brain(settings={"a": {}}), "a")
    assert recipe == Recipe()
    stated = {
        "prompt_length": 30,
        "layers": 8,
        "heads": 8,
        "latent": 512,
        "temperature": 0.1,
        "contrastive_weight": 1.0,
        "contrastive": "paper",
        "batch_size": 32,
        "window": 10,
        "train_hop": 10,
        "text_shift": 0,
        "hrf_context": 0,
        "prefix": "",
        "finetune": "both",
    }
    assert {key: getattr(recipe, key) for key in stated} == stated


@pytest.mark.parametrize(("preset", "changes"), [("public-code", PUBLIC_CODE), ("best", BEST)])
def test_presets_are_what_they_change_of_the_paper_s(preset, changes):
    recipe = recipe_of(brain(settings={"a": {"preset": preset}}), "a")
    assert recipe == Recipe(**changes)
    assert all(getattr(Recipe(), key) != value for key, value in changes.items())
    assert recipe_of(brain(preset=preset, settings={"a": {}}), "a") == recipe
    assert PRESETS[preset] is changes


def test_the_public_code_is_named_where_it_changes_results():
    assert PUBLIC_CODE["prompt_length"] == 100
    assert PUBLIC_CODE["text_shift"] == -1
    assert PUBLIC_CODE["prefix"] == "="
    assert PUBLIC_CODE["finetune"] == "stage1"
    assert PUBLIC_CODE["pooling"] == "mean-with-padding"


def test_a_setting_overrules_the_configuration_and_that_the_preset():
    config = brain(
        preset="best",
        recipe={"patience": 7, "layers": 3},
        settings={
            "a": {},
            "b": {"recipe": {"patience": 1}},
            "c": {"preset": "paper"},
            "d": {"recipe": {"hrf_context": 0, "patience": None}},
        },
    )
    a, b, c, d = (recipe_of(config, name) for name in "abcd")
    assert (a.patience, a.layers, a.hrf_context) == (7, 3, BEST["hrf_context"])
    assert (b.patience, b.layers, b.hrf_context) == (1, 3, BEST["hrf_context"])
    assert (c.patience, c.layers, c.hrf_context) == (7, 3, 0)
    # A value that happens to be the paper's is still one that was set.
    assert (d.patience, d.layers, d.hrf_context) == (None, 3, 0)


def test_an_unknown_setting_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"no setting 'c' in brain\.settings; there are: a, b"):
        recipe_of(brain(settings={"a": {}, "b": {}}), "c")


# --- who shares what ------------------------------------------------------------------------------

TABLES = {
    "bpgpt": {},
    "frozen": {"recipe": {"finetune": "none"}},
    "no-contrast": {"recipe": {"contrastive_weight": 0}},
    "wr": {"recipe": {"stop": "words"}},
    "stage1": {"recipe": {"finetune": "stage1"}},
    "noise": {"recipe": {"input": "noise", "control_of": "bpgpt"}},
    "longer": {"recipe": {"epochs_fmri": 7}},
    "wider": {"recipe": {"hrf_context": 4}},
    "reseeded": {"recipe": {"seed": 1}},
}


def test_stage_1_is_trained_once_for_all_that_share_it():
    config = brain(settings=TABLES)
    assert {name: text_prompt_of(config, name) for name in TABLES} == {
        "bpgpt": "bpgpt",
        "frozen": "frozen",
        "no-contrast": "bpgpt",
        "wr": "wr",
        "stage1": "bpgpt",
        "noise": "bpgpt",
        "longer": "bpgpt",
        "wider": "bpgpt",
        "reseeded": "reseeded",
    }


def test_records_of_a_subject_hold_every_stage_1_that_it_rests_on():
    config = brain(settings=TABLES, settings_of={"S2": ["no-contrast", "longer", "wr"]})
    assert records_of(config, "S2") == [
        "present",
        "windows",
        "word_rate",
        "wr/text_prompt",
        "wr/fmri_prompt",
        "wr/decoded",
        "bpgpt/text_prompt",  # shared by two, and no setting of this subject's
        "longer/fmri_prompt",
        "longer/decoded",
        "no-contrast/fmri_prompt",
        "no-contrast/decoded",
        "scores",
    ]


def test_windows_that_no_protocol_scores_are_refused_before_anything_is_trained():
    config = brain(settings={"a": {}, "b": {"recipe": {"window": 15}}}, settings_of={"S2": ["a"]})
    check_scored(config, "S2")
    with pytest.raises(InputError, match=r"setting 'b' has windows of 15 TRs, .* 10 .*20 s"):
        check_scored(config, "S1")


def test_settings_and_controls_of_a_subject():
    config = brain(settings=TABLES, settings_of={"S2": ["frozen", "bpgpt"]})
    by_length = sorted(TABLES, key=lambda name: (len(name), name))
    assert settings_of(config, "S1") == by_length
    assert settings_of(config, "S2") == ["bpgpt", "frozen"]
    turned = brain(settings=dict(reversed(TABLES.items())))
    assert settings_of(turned, "S1") == by_length  # whatever lies over the configuration
    assert all(text_prompt_of(turned, name) == text_prompt_of(config, name) for name in TABLES)
    assert controls_of(config, "S1") == {"bpgpt": "noise"}
    assert controls_of(config, "S2") == {}


def test_only_settings_that_are_compared_have_controls():
    every = brain(settings=TABLES)
    assert [name for name in TABLES if has_controls(every, name)] == [
        n for n in TABLES if n != "noise"
    ]
    some = brain(settings=TABLES, controls=["wr", "bpgpt"])
    assert [name for name in TABLES if has_controls(some, name)] == ["bpgpt", "wr"]
    assert controls_of(some, "S1") == {"bpgpt": "noise"}
    # Nothing but what is decoded with its controls can be held against a trained one.
    other = brain(settings=TABLES, controls=["wr"])
    assert controls_of(other, "S1") == {}
    nothing = brain(settings=TABLES, controls=[])
    assert not any(has_controls(nothing, name) for name in TABLES)
    assert controls_of(nothing, "S1") == {}
    # The setting that it is a control of is not trained for this subject.
    assert controls_of(brain(settings=TABLES, settings_of={"S1": ["wr", "noise"]}), "S1") == {}


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"epochs_text": 5}, {"text_prompt"}),
        ({"epochs_fmri": 5}, {"fmri_prompt"}),
        ({"contrastive_weight": 0.5}, {"fmri_prompt"}),
        ({"temperature": 0.2}, {"fmri_prompt"}),
        ({"hrf_context": 4}, {"fmri_prompt", "decode"}),
        ({"encoder_dropout": 0.5}, {"fmri_prompt"}),
        ({"learning_rate": 1e-3}, {"text_prompt", "fmri_prompt"}),
        ({"prompt_length": 9}, {"text_prompt", "fmri_prompt", "decode"}),
        ({"finetune": "stage1"}, {"fmri_prompt", "decode"}),
        ({"finetune": "none"}, {"text_prompt", "fmri_prompt", "decode"}),
        ({"control_of": "a"}, set()),
    ],
)
def test_a_change_reaches_the_steps_that_read_it_and_no_other(change, steps):
    config = brain(settings={"a": {}, "b": {"recipe": change}})
    changed = {step for step in PARTS if part_of(config, "a", step) != part_of(config, "b", step)}
    if "encoder_dropout" in change:  # decoding builds the encoder too
        changed -= {"decode"}
    assert changed == steps


def test_every_key_of_a_recipe_reaches_a_step():
    everywhere = {key for keys in PARTS.values() for key in keys}
    assert everywhere == set(Recipe.model_fields) - {"control_of"}
    assert all(len(keys) == len(set(keys)) for keys in PARTS.values())


class Noted(dict):
    """A recipe that notes which of its keys are read."""

    def __init__(self, values, read):
        super().__init__(values)
        self.read = read

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)


@pytest.mark.parametrize("stop", ["tokens", "words"])
def test_a_step_is_told_what_it_reads(steps, train, tmp_path, monkeypatch, stop):
    short = {"epochs_text": 1, "epochs_fmri": 1, "stop": stop}
    trained = train(**short)
    read = {step: set() for step in PARTS}

    def noting(step):
        def loads(text):
            options = json.loads(text)
            return options | {"recipe": Noted(options["recipe"], read[step])}

        return SimpleNamespace(loads=loads, dumps=json.dumps)

    modules = {
        "text_prompt": train_text_prompt,
        "fmri_prompt": train_fmri_prompt,
        "decode": decode_story,
    }
    for step, module in modules.items():
        monkeypatch.setattr(module, "json", noting(step))
    monkeypatch.setattr(prompted, "dict", lambda values: values, raising=False)
    texts, scans = trained.text_prompt, trained.fmri_prompt
    train_text_prompt.main(**steps.text_prompt(tmp_path, **short))
    train_fmri_prompt.main(**steps.fmri_prompt(tmp_path, texts, **short))
    decode_story.main(**steps.decoded(tmp_path, texts, scans, text=True, stop=stop))
    only_with_marks = {"encoder_text"} if stop == "words" else set()
    for step, keys in read.items():
        assert keys <= set(PARTS[step])  # else it would not have come so far
        # What is not read here changed stage 1, whose file is an input.
        unread = set(PARTS[step]) - keys - only_with_marks
        assert unread <= (set() if step == "text_prompt" else read["text_prompt"]), step


# --- controls -------------------------------------------------------------------------------------


def test_noise_is_the_same_for_the_same_key():
    a = noise((50, 4), "control", 1)
    assert a.dtype == np.float32
    assert a.shape == (50, 4)
    assert np.array_equal(a, noise((50, 4), "control", 1))
    assert not np.array_equal(a, noise((50, 4), "control", 2))
    assert not np.array_equal(a, noise((50, 4), "noise", 1))
    assert not np.array_equal(noise((9,), "a", "bc"), noise((9,), "ab", "c"))
    many = noise((20000,), "x")
    assert abs(many.mean()) < 0.03
    assert abs(many.std() - 1) < 0.03


def test_noise_does_not_depend_on_numpy_s_or_torch_s_state():
    np.random.seed(1)  # noqa: NPY002
    first = noise((5,), "a")
    np.random.seed(2)  # noqa: NPY002
    assert np.array_equal(first, noise((5,), "a"))
    # The same on every machine and in every version of ours.
    expected = np.float32([-0.52850896, -0.43247104, -0.17040777])
    assert np.allclose(noise((3,), "anchor", 0), expected)


def test_shuffling_keeps_the_rows_and_loses_their_order():
    x = np.arange(120, dtype=np.float32).reshape(40, 3)
    shuffled = shuffled_in_time(x, "shuffled", 0)
    order = (shuffled[:, 0] / 3).astype(int)
    assert sorted(order) == list(range(40))
    assert np.array_equal(shuffled, x[order])
    assert list(order) != list(range(40))
    assert np.array_equal(shuffled, shuffled_in_time(x, "shuffled", 0))
    assert not np.array_equal(shuffled, shuffled_in_time(x, "shuffled", 1))
    assert np.array_equal(x, np.arange(120, dtype=np.float32).reshape(40, 3))


def test_noise_stories_keep_all_but_the_responses(make_stories):
    stories = list(make_stories().stories.values())
    noisy = noise_stories(stories)
    for before, after in zip(stories, noisy, strict=True):
        assert (after.name, after.split, after.words) == (before.name, before.split, before.words)
        assert after.responses.shape == before.responses.shape
        assert after.repeats is None
        assert not np.array_equal(after.responses, before.responses)
    alone = noise_stories(stories[1:2])[0].responses
    assert np.array_equal(alone, noisy[1].responses)  # whatever stories come with it
