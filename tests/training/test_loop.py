"""What survives: a run that is killed and started again ends with the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from hearsay.errors import InputError
from hearsay.training.checkpoints import CheckpointFolder, random_states, set_random_states
from hearsay.training.loop import Interrupted, Training, fit, start

IDENTITY = {"step": "test", "model": "one", "settings": {"epochs": 3}}


def small_training(epochs=3, loss=None, evaluate=None, **more):
    """A net with dropout, so that the state of the random generator matters."""
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    data = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    labels = (data.sum(1) > 0).long()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    def batches(epoch):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(epoch))
        for chosen in order.split(8):
            yield data[chosen], labels[chosen]

    return Training(
        model=net,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=15),
        batches=batches,
        steps_per_epoch=5,
        loss=loss or (lambda m, b: functional.cross_entropy(m(b[0]), b[1])),
        evaluate=evaluate,
        epochs=epochs,
        **more,
    )


def weights(training):
    return torch.cat([p.detach().flatten() for p in training.model.parameters()])


def run(folder, seed=7, **more):
    fabric = start(seed, device="cpu")
    training = small_training(**more)
    history = fit(training, folder, fabric)
    return weights(training), history


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it, nothing more is saved."""


@pytest.mark.parametrize("step", [1, 4, 5, 6, 9, 14])
def test_a_run_killed_anywhere_ends_with_the_same_bits(tmp_path, step):
    whole, history = run(CheckpointFolder(tmp_path / "whole", IDENTITY), checkpoint_steps=2)
    taken = 0

    def dying_loss(model, batch):
        nonlocal taken
        taken += 1
        if taken > step:
            raise Killed
        return functional.cross_entropy(model(batch[0]), batch[1])

    folder = CheckpointFolder(tmp_path / "killed", IDENTITY)
    with pytest.raises(Killed):
        run(folder, loss=dying_loss, checkpoint_steps=2)
    folder.close()
    again, history_again = run(CheckpointFolder(tmp_path / "killed", IDENTITY), checkpoint_steps=2)
    assert torch.equal(whole, again)
    assert history.equals(history_again)


def test_seeds_matter_and_repeat(tmp_path):
    first, _ = run(CheckpointFolder(tmp_path / "a", IDENTITY), seed=1)
    again, _ = run(CheckpointFolder(tmp_path / "b", IDENTITY), seed=1)
    other, _ = run(CheckpointFolder(tmp_path / "c", IDENTITY), seed=2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sigterm_saves_after_the_step_and_exits_with_143(tmp_path):
    whole, _ = run(CheckpointFolder(tmp_path / "whole", IDENTITY))
    taken = 0

    def signalled_loss(model, batch):
        nonlocal taken
        taken += 1
        if taken == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return functional.cross_entropy(model(batch[0]), batch[1])

    folder = CheckpointFolder(tmp_path / "stopped", IDENTITY)
    with pytest.raises(Interrupted) as stop:
        run(folder, loss=signalled_loss)
    assert stop.value.code == 143
    assert folder.load()["cursor"]["epoch"] == 1
    assert folder.load()["cursor"]["step"] == 3
    folder.close()
    again, _ = run(CheckpointFolder(tmp_path / "stopped", IDENTITY))
    assert torch.equal(whole, again)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, value):
    taken = 0

    def diverging_loss(model, batch):
        nonlocal taken
        taken += 1
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        return loss * value if taken == 8 else loss

    folder = CheckpointFolder(tmp_path, IDENTITY)
    with pytest.raises(InputError, match=r"epoch 2, step 3, learning rate .*last good checkpoint"):
        run(folder, loss=diverging_loss)
    assert folder.load()["cursor"]["epoch"] == 1


def test_validation_is_in_the_history(tmp_path):
    _, history = run(CheckpointFolder(tmp_path, IDENTITY), evaluate=lambda model: {"score": 1.5})
    assert list(history.columns) == ["epoch", "loss", "learning_rate", "score"]
    assert list(history["epoch"]) == [1, 2, 3]


def test_no_epochs_is_the_untrained_model(tmp_path):
    fabric = start(7, device="cpu")
    training = small_training(epochs=0)
    before = weights(training).clone()
    assert len(fit(training, CheckpointFolder(tmp_path, IDENTITY), fabric)) == 0
    assert torch.equal(before, weights(training))


def test_other_settings_start_afresh_in_a_folder_of_their_own(tmp_path):
    folder = CheckpointFolder(tmp_path, IDENTITY)
    folder.save({"cursor": {}})
    other = CheckpointFolder(tmp_path, {**IDENTITY, "settings": {"epochs": 4}})
    assert other.load() is None
    assert folder.load() is not None


def test_a_checkpoint_of_another_run_is_refused_by_name(tmp_path):
    theirs = CheckpointFolder(tmp_path / "theirs", {**IDENTITY, "model": "two"})
    theirs.save({"cursor": {}})
    ours = CheckpointFolder(tmp_path / "ours", IDENTITY)
    ours.path.write_bytes(theirs.path.read_bytes())
    with pytest.raises(InputError, match="another run \\(model: there 'two', here 'one'\\)"):
        ours.load()


def test_a_broken_checkpoint_is_refused_and_says_what_to_do(tmp_path):
    folder = CheckpointFolder(tmp_path, IDENTITY)
    folder.save({"cursor": {}})
    folder.path.write_bytes(folder.path.read_bytes()[:100])
    with pytest.raises(InputError, match="remove it to start from the beginning"):
        folder.load()


def test_two_processes_never_train_in_one_folder(tmp_path):
    folder = CheckpointFolder(tmp_path, IDENTITY)
    with pytest.raises(InputError, match="another process is training here"):
        CheckpointFolder(tmp_path, IDENTITY)
    folder.close()
    CheckpointFolder(tmp_path, IDENTITY)


def test_random_states_round_trip():
    states = random_states()
    drawn = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
    set_random_states(states)
    assert drawn == (random.random(), np.random.rand(), torch.rand(1))  # noqa: NPY002


SETTINGS = {
    "layers": 2,
    "channels": 16,
    "epochs": 12,
    "batch_size": 32,
    "learning_rate": 0.05,
    "weight_decay": 0.0005,
    "seed": 0,
}


def digits_command(folder: Path) -> list[str]:
    names = {"weights": "w.safetensors", "history": "h.csv", "scores": "s.csv", "record": "r.json"}
    files = [f"--{option}={folder / name}" for option, name in names.items()]
    return [
        *[sys.executable, "-m", "hearsay.step", "hearsay.spectral.train_digits", "--model=d"],
        *[f"--settings={json.dumps(SETTINGS)}", f"--checkpoints={folder / 'ck'}", *files],
    ]


def test_a_real_step_killed_with_kill_minus_9_ends_with_the_same_files(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(digits_command(whole), check=True, capture_output=True)
    process = subprocess.Popen(digits_command(killed), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(killed.glob("ck/*/checkpoint.pt")):
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (killed / "w.safetensors").exists()
    done = subprocess.run(digits_command(killed), check=True, capture_output=True, text=True)
    assert "going on from" in done.stderr
    first, again = load_file(whole / "w.safetensors"), load_file(killed / "w.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name in ("h.csv", "s.csv"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    assert not (killed / "ck").exists()
