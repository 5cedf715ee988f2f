"""The two trainings: what is frozen stays so to the bit, and a kill changes nothing."""

import dataclasses
import hashlib
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_subject import write_pretrained
from transformers import BertForMaskedLM

import hearsay
from hearsay.brain import stage, train_fmri_prompt, train_text_prompt, window_features
from hearsay.brain.fitting import Examples, training_of
from hearsay.brain.language_model import load_causal, load_encoder
from hearsay.brain.losses import IGNORED
from hearsay.brain.prompted import FmriPrompted, TextPrompted, make_encoder, make_mapper, read_about
from hearsay.brain.recipes import PUBLIC_CODE
from hearsay.brain.stories import write_stories
from hearsay.errors import InputError
from hearsay.settings.brain import Recipe

SHORT = {"epochs_text": 1, "epochs_fmri": 1}
LONG = {"epochs_text": 80, "epochs_fmri": 80, "patience": None}
STAGES = {TextPrompted: "text_prompt", FmriPrompted: "fmri_prompt"}


def hashes(module):
    """A digest of every tensor of a module, by name."""
    return {
        name: hashlib.sha256(tensor.detach().cpu().numpy().tobytes()).hexdigest()
        for name, tensor in module.state_dict().items()
    }


class Watch:
    """Digests of a stage's modules before and after its training, by stage and module."""

    def __init__(self, patch):
        self.before, self.after, self.modules = {}, {}, {}
        patch.setattr(stage, "fit", self._fit(stage.fit))
        patch.setattr(stage, "load_encoder", self._load(stage.load_encoder))

    def _fit(self, fit):
        def watched(training, folder, fabric):
            name = STAGES[type(training.model)]
            parts = {**dict(training.model.named_children()), "text encoder": self.frozen}
            self.modules[name] = training.model
            self.before[name] = {part: hashes(module) for part, module in parts.items()}
            history = fit(training, folder, fabric)
            self.after[name] = {part: hashes(module) for part, module in parts.items()}
            return history

        return watched

    def _load(self, load):
        def watched(folder):
            self.frozen, tokenizer = load(folder)
            return self.frozen, tokenizer

        return watched

    def changed(self, stage, part):
        before, after = self.before[stage][part], self.after[stage][part]
        assert before.keys() == after.keys()
        return {name for name in before if before[name] != after[name]}


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


@pytest.fixture
def both_stages(steps, tmp_path):
    """Train both stages of a recipe; gives what they wrote."""

    def run(**recipe):
        first = steps.text_prompt(tmp_path, **(SHORT | recipe))
        train_text_prompt.main(**first)
        second = steps.fmri_prompt(tmp_path, first["out"], **(SHORT | recipe))
        train_fmri_prompt.main(**second)
        return first["out"], second["out"]

    return run


# --- freezing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("finetune", ["none", "stage1", "both"])
def test_only_what_a_recipe_trains_changes(watch, both_stages, pretrained, finetune):
    files = both_stages(finetune=finetune)
    hub = hashes(load_causal(pretrained.language_model)[0])
    for name in STAGES.values():
        assert watch.changed(name, "text encoder") == set()
    assert watch.before["text_prompt"]["language_model"] == hub
    assert len(watch.changed("text_prompt", "mapper")) > 10
    assert watch.changed("fmri_prompt", "mapper") == set()
    assert len(watch.changed("fmri_prompt", "encoder")) > 10
    assert watch.before["fmri_prompt"]["mapper"] == watch.after["text_prompt"]["mapper"]
    trained = {"none": (), "stage1": ("text_prompt",), "both": ("text_prompt", "fmri_prompt")}
    for name, file in zip(STAGES.values(), files, strict=True):
        changed = watch.changed(name, "language_model")
        kept = {name for name in load_file(file) if name.startswith("language_model.")}
        if name in trained[finetune]:
            assert len(changed) > 10
            assert len(kept) == len(changed) - ("lm_head.weight" in changed)  # one with wte
        else:
            assert changed == kept == set()
    # Stage 2 goes on from what stage 1 made of the language model.
    after, before = watch.after["text_prompt"], watch.before["fmri_prompt"]
    assert before["language_model"] == after["language_model"]


def test_low_rank_adapters_alone_are_trained(watch, both_stages):
    first, second = both_stages(lora_rank=2)
    for name, file in zip(STAGES.values(), (first, second), strict=True):
        changed = watch.changed(name, "language_model")
        assert changed
        assert all("lora_" in name for name in changed)
        kept = {name for name in load_file(file) if name.startswith("language_model.")}
        assert kept
        assert all("lora_" in name for name in kept)
        assert first.stat().st_size < 10**5
    after, before = watch.after["text_prompt"], watch.before["fmri_prompt"]
    assert before["language_model"] == after["language_model"]


def test_low_rank_adapters_of_stage_1_alone(watch, both_stages):
    _, second = both_stages(lora_rank=2, finetune="stage1")
    assert watch.changed("text_prompt", "language_model")
    assert watch.changed("fmri_prompt", "language_model") == set()
    assert not any(name.startswith("language_model.") for name in load_file(second))


def test_target_prompts_do_not_change_while_stage_2_trains(pretrained):
    recipe = Recipe(prompt_length=3, layers=1, heads=2, latent=8, mapper_dropout=0.9).model_dump()
    causal = load_causal(pretrained.language_model)[0]
    causal.config.resid_pdrop = 0.9
    mapper, feature = make_mapper(16, 16, recipe), torch.randn(2, 16)
    assert not torch.equal(mapper.train()(feature), mapper(feature))
    module = FmriPrompted(make_encoder(2, 16, recipe), causal, mapper, recipe).train()
    assert torch.equal(module.mapper(feature), module.mapper(feature))
    assert module.encoder.training
    assert module.language_model.training  # it is trained too
    causal.requires_grad_(False)
    assert not module.train().language_model.training
    assert not any(w.requires_grad for w in module.mapper.parameters())


def test_eq_6_is_the_sum_of_its_terms(pretrained):
    recipe = Recipe(
        prompt_length=3, layers=1, heads=2, latent=8, encoder_dropout=0, contrastive_weight=0.25
    ).model_dump()
    causal = load_causal(pretrained.language_model)[0]
    torch.manual_seed(0)
    module = FmriPrompted(
        make_encoder(2, 16, recipe), causal, make_mapper(16, 16, recipe), recipe
    ).eval()
    batch = {
        "ids": torch.tensor([[1, 2], [3, 0]]),
        "labels": torch.tensor([[1, 2], [3, IGNORED]]),
        "feature": torch.randn(2, 16),
        "responses": torch.randn(2, 10, 2),
    }
    with torch.no_grad():
        brain, aligned = (loss.item() for loss in module(batch, parts=True))
        assert module(batch).item() == pytest.approx(brain + 0.25 * aligned)
        module.recipe["contrastive_weight"] = 0.0
        assert module(batch).item() == brain


# --- data -----------------------------------------------------------------------------------------


def test_the_test_story_decides_nothing(steps, make_stories, train, tmp_path):
    stories = make_stories()
    test = stories.stories["harbour"]
    stories.stories["harbour"] = dataclasses.replace(
        test, responses=test.responses + 1e6, repeats=None, words=test.words[::3]
    )
    other = dataclasses.replace(steps, windows=tmp_path / "windows.h5")
    write_stories(other.windows, stories)
    first = other.text_prompt(tmp_path, **SHORT)
    train_text_prompt.main(**first)
    second = other.fmri_prompt(tmp_path, first["out"], **SHORT)
    train_fmri_prompt.main(**second)
    trained = train(**SHORT)
    assert first["out"].read_bytes() == trained.text_prompt.read_bytes()
    assert second["out"].read_bytes() == trained.fmri_prompt.read_bytes()


def test_validation_stories_are_watched_and_the_best_epoch_is_kept(steps, tmp_path):
    fast = {"learning_rate": 0.03, "language_model_learning_rate": 0.03}
    first = steps.text_prompt(tmp_path, epochs_text=30, patience=2, **fast)
    train_text_prompt.main(**first)
    history = pd.read_csv(first["history"])
    best = history["validation_loss"].idxmin()
    assert len(history) == best + 3 < 30
    second = steps.fmri_prompt(tmp_path, first["out"], epochs_fmri=2)
    train_fmri_prompt.main(**second)
    columns = {"epoch", "loss", "learning_rate", "validation_loss", "validation_contrastive"}
    assert set(pd.read_csv(second["history"])) == columns
    record = json.loads(second["record"].read_text())
    assert record["windows"] == {"train": 13, "validation": 2}  # 7 + 6 overlap; 7 // 3
    assert record["voxels"] == 2
    assert list(tmp_path.glob("fmri_prompt.tensorboard/events*"))
    assert not second["checkpoints"].exists()


def test_a_subject_without_validation_stories_trains_to_the_end(steps, make_stories, tmp_path):
    stories = make_stories()
    held_out = stories.stories["cedar"]
    stories.stories["cedar"] = dataclasses.replace(held_out, split="train")
    other = dataclasses.replace(steps, windows=tmp_path / "windows.h5")
    write_stories(other.windows, stories)
    first = other.text_prompt(tmp_path, epochs_text=2, patience=1)
    train_text_prompt.main(**first)
    assert list(pd.read_csv(first["history"])) == ["epoch", "loss", "learning_rate"]
    assert len(pd.read_csv(first["history"])) == 2


def test_a_noise_control_never_sees_the_responses(steps, make_stories, train, tmp_path):
    stories = make_stories()
    for name, story in stories.stories.items():
        changed = story.responses + np.float32(7)
        stories.stories[name] = dataclasses.replace(story, responses=changed)
    other = dataclasses.replace(steps, windows=tmp_path / "windows.h5")
    write_stories(other.windows, stories)
    noisy = train(**SHORT, input="noise")
    second = other.fmri_prompt(tmp_path, noisy.text_prompt, **SHORT, input="noise")
    train_fmri_prompt.main(**second)
    assert second["out"].read_bytes() == noisy.fmri_prompt.read_bytes()
    assert second["out"].read_bytes() != train(**SHORT).fmri_prompt.read_bytes()


def test_the_public_code_s_preset_trains(both_stages):
    recipe = PUBLIC_CODE | {"prompt_length": 3, "temperature": 1.0}
    first, _ = both_stages(**recipe)
    assert read_about(first)["recipe"]["text_shift"] == -1


def test_words_without_marks_train(both_stages):
    both_stages(stop="words")


def test_batches_are_padded_with_what_is_ignored():
    responses = [np.full((2, 1), k, dtype=np.float32) for k in range(3)]
    examples = Examples([[5, 0, 7], [9], []], torch.arange(3.0)[:, None], responses)
    batch = examples.batch([1, 0])
    assert batch["labels"].tolist() == [[9, IGNORED, IGNORED], [5, 0, 7]]
    assert batch["ids"].tolist() == [[9, 0, 0], [5, 0, 7]]
    assert batch["feature"].flatten().tolist() == [1, 0]
    assert batch["responses"][:, 0, 0].tolist() == [1, 0]
    assert examples.batch([2])["labels"].tolist() == [[IGNORED]]  # silence


class Alone:
    """Stands for Fabric, of one process of several."""

    def __init__(self, rank=0, size=1):
        self.global_rank, self.world_size = rank, size


def schedule(fabric, **recipe):
    recipe = Recipe(**({"batch_size": 4, "patience": None} | recipe)).model_dump()
    network, language_model = torch.nn.Linear(2, 3), torch.nn.Linear(2, 2)
    examples = Examples([[k] for k in range(11)], torch.zeros(11, 1), [np.zeros((1, 1))] * 11)
    return training_of(
        torch.nn.ModuleList([network, language_model]),
        [network],
        language_model,
        examples,
        recipe,
        epochs=5,
        fabric=fabric,
        evaluate=lambda model: {"validation_loss": 0.0},
        tensorboard=Path("none"),
    )


def test_each_epoch_has_whole_batches_in_an_order_of_its_own():
    training = schedule(Alone())
    epochs = [
        [batch["ids"].flatten().tolist() for batch in training.batches(epoch)] for epoch in range(3)
    ]
    for batches in epochs:
        assert [len(batch) for batch in batches] == [4, 4]  # three of eleven are left out
        assert len({k for batch in batches for k in batch}) == 8
    assert training.steps_per_epoch == 2
    assert epochs[0] != epochs[1] != epochs[2]
    again = [batch["ids"].flatten().tolist() for batch in schedule(Alone()).batches(1)]
    assert again == epochs[1]
    shares = [schedule(Alone(rank, 2)).batches(1) for rank in range(2)]
    for whole, one, two in zip(epochs[1], *shares, strict=True):
        parts = [*one["ids"].flatten().tolist(), *two["ids"].flatten().tolist()]
        assert sorted(parts) == sorted(whole)


def test_the_rate_rises_and_falls_and_vectors_do_not_decay():
    training = schedule(
        Alone(), learning_rate=1e-2, language_model_learning_rate=1e-3, weight_decay=0.1, warmup=0.2
    )
    groups = training.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0, 0.1, 0.0]
    assert [group["initial_lr"] for group in groups] == [1e-2, 1e-2, 1e-3, 1e-3]
    rates = []
    for _ in range(10):
        rates.append(groups[0]["lr"] / 1e-2)
        training.optimizer.step()
        training.schedule.step()
    assert rates == pytest.approx([1 / 2, 1, *[(10 - step) / 8 for step in range(2, 10)]], abs=1e-9)


@pytest.mark.parametrize(("patience", "monitor"), [(3, "validation_loss"), (None, None)])
def test_without_patience_the_last_weights_count(patience, monitor):
    assert schedule(Alone(), patience=patience).monitor == monitor


# --- refusals -------------------------------------------------------------------------------------


def test_a_window_longer_than_the_context_is_refused(steps, tmp_path):
    options = steps.text_prompt(tmp_path, max_tokens=94)  # 3 + 94 > 96
    with pytest.raises(InputError, match=r"prompt of 3 and up to 94 tokens.*context of 96: lower"):
        train_text_prompt.main(**options)
    train_text_prompt.main(**steps.text_prompt(tmp_path, max_tokens=93, **SHORT))


def test_stories_shorter_than_a_window_are_refused(steps, tmp_path):
    with pytest.raises(InputError, match=r"no training window.*recipe\.window"):
        train_text_prompt.main(**steps.text_prompt(tmp_path, window=12))


def test_a_text_prompt_of_another_subject_is_refused_by_name(steps, train, tmp_path):
    options = steps.fmri_prompt(tmp_path, train(**SHORT).text_prompt, subject="SIM02")
    with pytest.raises(InputError, match="made for subject 'SIM01', not 'SIM02'"):
        train_fmri_prompt.main(**options)


def test_an_fmri_prompt_is_no_text_prompt(steps, train, tmp_path):
    options = steps.fmri_prompt(tmp_path, train(**SHORT).fmri_prompt)
    with pytest.raises(InputError, match="made for kind 'fMRI prompt', not 'text prompt'"):
        train_fmri_prompt.main(**options)


@pytest.mark.parametrize("change", [{"prompt_length": 5}, {"stop": "words"}, {"window": 2}])
def test_a_text_prompt_of_another_recipe_is_refused_by_name(steps, train, tmp_path, change):
    options = steps.fmri_prompt(tmp_path, train(**SHORT).text_prompt, **(SHORT | change))
    ((key, value),) = change.items()
    with pytest.raises(
        InputError, match=rf"trained with recipe\.{key} = .*, not {value!r}; remove"
    ):
        train_fmri_prompt.main(**options)


class Stopped(Exception):  # noqa: N818
    """The training was stopped on purpose."""


@pytest.mark.parametrize("changed", ["subject", "voxels"])
def test_a_checkpoint_of_another_subject_or_other_voxels_is_refused_by_name(
    steps, make_stories, train, tmp_path, monkeypatch, changed
):
    fit = stage.fit
    stories = make_stories(**{"subject": "SIM02"} if changed == "subject" else {"voxels": (4, 9)})
    other = dataclasses.replace(steps, windows=tmp_path / "windows.h5")
    write_stories(other.windows, stories)
    text_prompt, kept = train(**SHORT).text_prompt, []

    def first(training, folder, fabric):
        fit(training, folder, fabric)
        kept.append(folder.path.read_bytes())
        folder.close()
        raise Stopped

    def second(training, folder, fabric):
        folder.path.write_bytes(kept[0])
        return fit(training, folder, fabric)

    monkeypatch.setattr(stage, "fit", first)
    with pytest.raises(Stopped):
        train_fmri_prompt.main(**steps.fmri_prompt(tmp_path, text_prompt, **SHORT))
    monkeypatch.setattr(stage, "fit", second)
    # The text prompt would be refused first.
    monkeypatch.setattr(train_fmri_prompt, "check_about", lambda path, **expected: read_about(path))
    options = other.fmri_prompt(tmp_path, text_prompt, stories.subject, **SHORT)
    told = {
        "subject": "subject: there 'SIM01', here 'SIM02'",
        "voxels": f"voxels: there '{make_stories().voxel_digest}', here '{stories.voxel_digest}'",
    }[changed]
    with pytest.raises(InputError, match="a checkpoint of another run") as refused:
        train_fmri_prompt.main(**options)
    assert told in str(refused.value)
    assert not options["out"].exists()


# --- kill -9 --------------------------------------------------------------------------------------


class Command:
    """One step as a program of its own."""

    def __init__(self, module, options):
        self.module, self.options = module.STEP, options
        self.arguments = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]

    def kill(self, kill_in_training, delay):
        """Start it, and kill it `delay` seconds after it has written a checkpoint."""
        kill_in_training(self.module, self.arguments, self.options["checkpoints"], delay=delay)
        assert not self.options["out"].exists()

    def finish(self):
        path = str(Path(hearsay.__file__).resolve().parents[1])
        done = subprocess.run(
            [sys.executable, "-m", "hearsay.step", self.module, *self.arguments],
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        assert "going on from" in done.stderr


def test_killed_with_kill_minus_9_at_random_they_end_with_the_same_bits(
    steps, train, tmp_path, kill_in_training
):
    whole = train(**LONG)
    first = steps.text_prompt(tmp_path / "first", **LONG)
    second = steps.fmri_prompt(tmp_path / "second", whole.text_prompt, **LONG)

    def killed(step, options, kills):
        command = Command(step, options)
        delays = [random.uniform(0, 0.5) for _ in range(kills)]
        for delay in delays:
            command.kill(kill_in_training, delay)
        command.finish()
        return delays

    with ThreadPoolExecutor(2) as both:
        chains = [
            both.submit(killed, train_text_prompt, first, 2),
            both.submit(killed, train_fmri_prompt, second, 1),
        ]
        delays = [chain.result() for chain in chains]
    for options, uninterrupted in ((first, whole.text_prompt), (second, whole.fmri_prompt)):
        told = f"killed after {delays} s"
        assert options["out"].read_bytes() == uninterrupted.read_bytes(), told
        history = options["history"]
        assert history.read_bytes() == uninterrupted.with_name(history.name).read_bytes(), told
        assert len(pd.read_csv(history)) == 80
        assert not options["checkpoints"].exists()


def test_the_frozen_encoder_is_run_once_for_each_window(steps, tmp_path, monkeypatch):
    seen = []
    features = window_features.text_features

    def counted(encoder, tokenizer, texts, **options):
        seen.append(len(texts))
        return features(encoder, tokenizer, texts, **options)

    monkeypatch.setattr(window_features, "text_features", counted)
    train_text_prompt.main(**steps.text_prompt(tmp_path, epochs_text=3))
    assert seen == [13, 2]


def test_folders_without_a_model_are_refused(tmp_path):
    for load in (load_causal, load_encoder):
        with pytest.raises(InputError, match=r"no pretrained model here \(config.json is missing"):
            load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_causal(tmp_path)


@pytest.mark.parametrize("which", ["encoder", "language_model"])
def test_a_model_without_all_its_weights_is_refused(gpt2_tokenizer, tmp_path, which):
    folder = getattr(write_pretrained(tmp_path, gpt2_tokenizer), which)
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in sorted(weights) if name.endswith(("dense.weight", "c_fc.weight")))
    save_file(
        {name: tensor for name, tensor in weights.items() if name != lost},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    load = load_encoder if which == "encoder" else load_causal
    with pytest.raises(InputError, match=r"1 weights are missing, such as .*weight") as error:
        load(folder)
    assert str(folder) in str(error.value)


def test_a_language_model_that_sees_its_targets_is_refused(pretrained, tmp_path):
    tokenizer = load_encoder(pretrained.encoder)[1]
    tokenizer.save_pretrained(tmp_path)
    BertForMaskedLM(load_encoder(pretrained.encoder)[0].config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="BertLMHeadModel sees later tokens") as error:
        load_causal(tmp_path)
    assert str(tmp_path) in str(error.value)
