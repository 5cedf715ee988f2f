"""Training of recognisers: what it changes, its schedule, exact resume, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tones import TINY, training_options, words, write_part
from torch import nn

import hearsay
from hearsay.asr import train_recogniser
from hearsay.asr.recogniser_files import load_recogniser
from hearsay.asr.train_recogniser import optimizer_of, schedule_of
from hearsay.errors import InputError
from hearsay.settings.asr import RecogniserRecipe


@pytest.fixture
def speech(corpus):
    return corpus("train", 10), corpus("dev", 4, seed=1)


def same(first, second):
    """Whether two trainings wrote the same bits."""
    a, b = load_file(first["weights"]), load_file(second["weights"])
    histories = [Path(each["history"]).read_bytes() for each in (first, second)]
    return all(torch.equal(a[n], b[n]) for n in a | b) and histories[0] == histories[1]


def test_it_learns_tones(corpus, tmp_path):
    train, dev = corpus("train", 40, letters="abcd"), corpus("dev", 8, letters="abcd", seed=3)
    options = training_options(tmp_path / "run", train, dev, epochs=14, rect_masks=0)
    train_recogniser.main(**options)
    history = pd.read_csv(options["history"])
    assert history["validation_wer"].iloc[0] > 0.9
    assert history["validation_wer"].iloc[-1] < 0.4
    record = json.loads(options["record"].read_text())
    assert record["validation_wer"] == pytest.approx(history["validation_wer"].iloc[-1])
    assert record["alphabet"] == " abcdefghijklmnopqrstuvwxyz'"
    assert record["steps"] == 140
    assert not options["checkpoints"].exists()


def test_a_transfer_starts_from_the_encoder_and_changes_all_of_it(speech, tmp_path):
    first = training_options(tmp_path / "en", *speech)
    train_recogniser.main(**first)
    texts = ["größe über", "straße ab", "süß und"]
    german = write_part(tmp_path / "de", "train", texts)
    second = training_options(tmp_path / "transfer", german, german, language="de", epochs=1)
    train_recogniser.main(**second | {"source": first["weights"]})
    old, new = load_file(first["weights"]), load_file(second["weights"])
    encoder = [n for n in old if n.startswith("encoder.") and old[n].is_floating_point()]
    assert any("running_var" in name for name in encoder)
    assert all(not torch.equal(old[name], new[name]) for name in encoder)
    assert new["decoder.decoder_layers.0.bias"].shape == (32,)


def with_snapshots(options, count):
    """The options of a training that keeps so many snapshots."""
    settings = json.dumps(json.loads(options["settings"]) | {"trajectory": count})
    folder = Path(options["weights"]).parent / "trajectory"
    return options | {"settings": settings, "trajectory": folder}


def test_snapshots_are_recognisers_from_the_untrained_one_on(speech, tmp_path):
    plain = training_options(tmp_path / "plain", *speech, epochs=3)
    train_recogniser.main(**plain)
    kept = with_snapshots(training_options(tmp_path / "kept", *speech, epochs=3), 2)
    train_recogniser.main(**kept)
    assert same(plain, kept)  # taking snapshots changes nothing
    paths = sorted(kept["trajectory"].iterdir())
    assert [path.name for path in paths] == [f"epoch-000{k}.safetensors" for k in (0, 1, 3)]
    tensors = [load_file(path) for path in paths]
    assert tensors[0].keys() == load_file(kept["weights"]).keys()
    last, weights = tensors[-1], load_file(kept["weights"])
    assert all(torch.equal(last[name], weights[name]) for name in weights)
    as_is = training_options(tmp_path / "as-is", *speech, epochs=0, decoder="same-alphabet")
    as_is = with_snapshots(as_is, 2) | {"source": plain["weights"], "training": []}
    train_recogniser.main(**as_is)
    assert [path.name for path in as_is["trajectory"].iterdir()] == ["epoch-0000.safetensors"]


def test_no_epochs_give_the_source_as_it_is(speech, tmp_path):
    first = training_options(tmp_path / "en", *speech)
    train_recogniser.main(**first)
    second = training_options(tmp_path / "as-is", *speech, epochs=0, decoder="same-alphabet")
    train_recogniser.main(**second | {"source": first["weights"], "training": []})
    old, new = load_file(first["weights"]), load_file(second["weights"])
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert pd.read_csv(second["history"]).empty
    wers = [json.loads(o["record"].read_text())["validation_wer"] for o in (first, second)]
    assert wers[0] == wers[1]


def test_a_source_of_other_blocks_is_refused(speech, tmp_path):
    first = training_options(tmp_path / "en", *speech, epochs=1)
    train_recogniser.main(**first)
    second = training_options(tmp_path / "large", *speech, blocks="5x3")
    with pytest.raises(InputError, match="its encoder is no QuartzNet 5x3"):
        train_recogniser.main(**second | {"source": first["weights"]})


def test_the_missing_umlauts_case_is_not_0(tmp_path):
    """A model of English labels cannot be scored on what is left of German words."""
    german = write_part(tmp_path, "train", ["größe über alles"])
    with pytest.raises(InputError, match=r"clip train-0: .*prepare the corpus again"):
        train_recogniser.main(**training_options(tmp_path / "run", german, german))


def test_the_optimiser_is_the_papers():
    recipe = RecogniserRecipe().model_dump()
    (group,) = optimizer_of(nn.Linear(2, 2), recipe).param_groups
    assert group["betas"] == (0.95, 0.25)
    assert 0.001 <= group["weight_decay"] <= 0.002
    assert 0.01 <= group["lr"] <= 0.02
    assert recipe["batch_size"] == 8 * recipe["micro_batch"] == 256


@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_the_rate_rises_for_12_percent_of_the_steps_then_falls_as_a_cosine(steps):
    recipe = RecogniserRecipe(learning_rate=0.02).model_dump()
    optimizer = optimizer_of(nn.Linear(2, 2), recipe)
    schedule = schedule_of(optimizer, recipe, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    rise = int(0.12 * steps)
    for step, rate in enumerate(rates):
        if rise and step <= rise:
            expected = 0.02 * (step + 1) / (rise + 1)
        else:
            share = (step - rise) / (steps - rise)
            expected = 0.01 * (1 + torch.cos(torch.tensor(torch.pi * share)).item())
        assert rate == pytest.approx(expected, abs=1e-8)


STEP = "hearsay.asr.train_recogniser"


def arguments_of(options):
    """The same options for the step as a process."""
    arguments = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        arguments += [f"--{name}={each}" for each in values if each is not None]
    return arguments


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_ends_with_the_same_bits(
    speech, tmp_path, number, monkeypatch, kill_in_training
):
    keys = {"epochs": 3, "micro_batch": 2}
    whole = training_options(tmp_path / "whole", *speech, **keys)
    train_recogniser.main(**whole)

    killed = training_options(tmp_path / "killed", *speech, **keys)
    if number == signal.SIGKILL:
        kill_in_training(STEP, arguments_of(killed), killed["checkpoints"])
    else:
        stop_after(monkeypatch, steps=4)  # within the second epoch of three steps
        with pytest.raises(SystemExit):
            train_recogniser.main(**killed)
        monkeypatch.undo()
    assert not killed["weights"].exists()
    train_recogniser.main(**killed)
    assert same(whole, killed)
    assert json.loads(killed["record"].read_text())["training_seconds"] > 0


def stop_after(monkeypatch, steps):
    """SIGTERM comes during a step."""
    forward, count = train_recogniser.CtcLoss.forward, 0

    def counting(self, batch):
        nonlocal count
        count += self.training
        if count == 2 * steps:  # two pieces a step
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, batch)

    monkeypatch.setattr(train_recogniser.CtcLoss, "forward", counting)


def test_a_folder_of_another_language_is_refused(speech, tmp_path, monkeypatch):
    english = training_options(tmp_path / "run", *speech)
    stop_after(monkeypatch, steps=1)
    with pytest.raises(SystemExit):
        train_recogniser.main(**english | {"settings": json.dumps(two_pieces(english))})
    monkeypatch.undo()
    texts = ["größe über", "straße ab"]
    part = write_part(tmp_path / "de", "train", texts)
    german = training_options(tmp_path / "run", part, part, language="de")
    with pytest.raises(InputError, match=r"holds a checkpoint of en .* it is not resumed for de"):
        train_recogniser.main(**german)
    assert list((tmp_path / "run" / "training").glob("*/checkpoint.pt"))


def test_other_weights_of_its_parts_are_another_training(speech, tmp_path, monkeypatch):
    """What was begun with each clip once is not gone on from where each is seen twice."""
    train, dev = speech
    twice = {"training": [f"2.0={train}"]}
    whole = training_options(tmp_path / "whole", train, dev, micro_batch=2) | twice
    train_recogniser.main(**whole)
    killed = training_options(tmp_path / "killed", train, dev, micro_batch=2)
    stop_after(monkeypatch, steps=2)
    with pytest.raises(SystemExit):
        train_recogniser.main(**killed)
    monkeypatch.undo()
    train_recogniser.main(**killed | twice)
    assert same(whole, killed)


def two_pieces(options):
    settings = json.loads(options["settings"])
    settings["recipe"]["micro_batch"] = 2
    return settings


def test_best_weights_are_those_of_the_smallest_error(speech, tmp_path):
    options = training_options(tmp_path / "best", *speech, epochs=4, keep="best")
    train_recogniser.main(**options)
    history = pd.read_csv(options["history"])
    record = json.loads(options["record"].read_text())
    assert record["validation_wer"] == pytest.approx(history["validation_wer"].min())


def test_audio_that_is_not_what_the_manifest_says_stops_it(corpus, tmp_path):
    train = corpus("train", 4)
    first = train.parent / "train" / "0.wav"
    first.write_bytes(first.read_bytes()[:-2000])
    with pytest.raises(InputError, match="manifest says"):
        train_recogniser.main(**training_options(tmp_path / "run", train, train))


def test_a_model_that_diverges_names_step_and_rate(speech, tmp_path):
    options = training_options(tmp_path / "run", *speech, learning_rate=1e30, warmup_ratio=0.0)
    with pytest.raises(InputError, match=r"the loss is nan at epoch \d, step \d+, learning rate"):
        train_recogniser.main(**options)


def test_mixed_precision_hears_the_audio_as_it_is(speech, tmp_path, monkeypatch):
    """Fabric would round it to 8 bits before the spectrogram, in training alone."""
    forward, heard = train_recogniser.CtcLoss.forward, set()

    def noting(self, batch):
        loss, log_probs, lengths = forward(self, batch)
        heard.add((batch.audio.dtype, loss.dtype, log_probs.dtype))
        return loss, log_probs, lengths

    monkeypatch.setattr(train_recogniser.CtcLoss, "forward", noting)
    options = training_options(tmp_path / "run", *speech, epochs=1)
    settings = json.loads(options["settings"]) | {"precision": "bf16-mixed"}
    train_recogniser.main(**options | {"settings": json.dumps(settings)})
    assert heard == {(torch.float32,) * 3}


def test_what_it_wrote_is_a_recogniser(speech, tmp_path):
    options = training_options(tmp_path / "run", *speech, epochs=1)
    train_recogniser.main(**options)
    model, about = load_recogniser(options["weights"])
    assert about["language"] == "en"
    assert about["recipe"]["blocks"] == TINY["blocks"]
    assert not model.training
    sound = torch.randn(1, 16_000)
    again, _ = load_recogniser(options["weights"])
    lengths = torch.tensor([16_000])
    assert torch.equal(
        model(input_signal=sound, input_signal_length=lengths)[0],
        again(input_signal=sound, input_signal_length=lengths)[0],
    )


def test_words_of_the_tones():
    assert len(set(words("abcde", 10))) == 10


def test_two_processes_share_a_training(speech, tmp_path, meeting_port):
    """Data parallel, here on two CPU processes: one set of files, and the same validation."""
    options = training_options(tmp_path / "two", *speech, epochs=1, rect_masks=0)
    settings = json.loads(options["settings"]) | {"devices": 2}
    arguments = arguments_of(options | {"settings": json.dumps(settings)})
    done = subprocess.run(
        [sys.executable, "-m", "hearsay.step", STEP, *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(hearsay.__file__).parent.parent)} | meeting_port,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(options["record"].read_text())
    assert record["steps"] == 3
    alone = training_options(tmp_path / "as-is", *speech, epochs=0, decoder="same-alphabet")
    train_recogniser.main(**alone | {"source": options["weights"], "training": []})
    again = json.loads(alone["record"].read_text())
    assert again["validation_wer"] == pytest.approx(record["validation_wer"])
    assert again["validation_loss"] == pytest.approx(record["validation_loss"], rel=1e-4)
