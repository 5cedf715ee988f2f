"""What survives: a run that is killed and started again ends with the same bits."""

import contextlib
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from hearsay.errors import InputError
from hearsay.training.checkpoints import CheckpointFolder, random_states, set_random_states
from hearsay.training.fabric import Fabric
from hearsay.training.interruption import Interrupted
from hearsay.training.loop import Training, fit, start
from hearsay.training.pieces import Pieces

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


def run_in_float16(folder, loss=None):
    """As on a GPU with precision 16-mixed, whose scale begins too large on purpose."""
    from lightning_fabric.plugins import MixedPrecision  # not before hearsay.training.fabric

    torch.manual_seed(7)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=4)
    fabric = Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    training = small_training(loss=loss, clip_norm=1.0, checkpoint_steps=2)
    history = fit(training, folder, fabric)
    return weights(training), history, scaler.get_scale()


def test_an_overflow_of_float16_is_skipped_and_its_scale_survives_a_kill(tmp_path):
    whole, history, scale = run_in_float16(CheckpointFolder(tmp_path / "whole", IDENTITY))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert scale < 2.0**24
    taken = 0

    def dying_loss(model, batch):
        nonlocal taken
        taken += 1
        if taken > 9:
            raise Killed
        return functional.cross_entropy(model(batch[0]), batch[1])

    folder = CheckpointFolder(tmp_path / "killed", IDENTITY)
    with pytest.raises(Killed):
        run_in_float16(folder, dying_loss)
    folder.close()
    again = run_in_float16(CheckpointFolder(tmp_path / "killed", IDENTITY))
    assert torch.equal(again[0], whole)
    assert again[2] == scale


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


def test_random_states_of_more_gpus_than_there_are_now_are_passed_over(monkeypatch):
    """A run goes on where fewer GPUs are visible than where it was saved."""
    put_back = {}

    def set_rng_state(state, device):
        assert device < 1, "torch.cuda has no generator of this device"
        put_back[device] = state

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", set_rng_state)
    monkeypatch.setattr(torch.cuda.random, "set_rng_state", set_rng_state)
    set_random_states(random_states() | {"cuda": ["first", "second"]})
    assert put_back == {0: "first"}


SETTINGS = {
    "layers": 2,
    "channels": 16,
    "epochs": 12,
    "batch_size": 32,
    "learning_rate": 0.05,
    "weight_decay": 0.0005,
    "seed": 0,
}


DIGITS = "hearsay.spectral.train_digits"


def digits_options(folder: Path) -> list[str]:
    names = {"weights": "w.safetensors", "history": "h.csv", "scores": "s.csv", "record": "r.json"}
    files = [f"--{option}={folder / name}" for option, name in names.items()]
    return [
        *["--model=d", f"--settings={json.dumps(SETTINGS)}", f"--checkpoints={folder / 'ck'}"],
        *files,
    ]


def train_digits(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hearsay.step", DIGITS, *digits_options(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True)


def test_a_real_step_killed_with_kill_minus_9_ends_with_the_same_files(tmp_path, kill_in_training):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_digits(whole)
    kill_in_training(DIGITS, digits_options(killed), killed / "ck")
    assert not (killed / "w.safetensors").exists()
    done = train_digits(killed)
    assert "going on from" in done.stderr
    first, again = load_file(whole / "w.safetensors"), load_file(killed / "w.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name in ("h.csv", "s.csv"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    assert not (killed / "ck").exists()


# --- the best weights, early stopping -------------------------------------------------------------


def watched(values, **more):
    """A training whose validation score after epoch n is `values[n - 1]`, killed or not."""
    training = small_training(epochs=len(values), monitor="score", **more)
    steps = training.steps_per_epoch
    training.evaluate = lambda model: {"score": values[training.schedule.last_epoch // steps - 1]}
    return training


def run_watched(folder, values, loss=None, **more):
    fabric = start(7, device="cpu")
    training = watched(values, **more)
    training.loss = loss or training.loss
    history = fit(training, folder, fabric)
    return weights(training), history


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "best"),
    [
        ([3, 2, 1, 5, 4, 0, 0], 2, 5, 3),
        ([3, 2, 1, 5, 0.5, 6, 6, 6], 2, 7, 5),
        ([3, 2, 1, 5], None, 4, 3),  # all epochs, and still the best weights
        ([1, 1, 1, 1], 3, 4, 1),  # as good is not better
        ([4, 3, 2, 1], 1, 4, 4),
        ([float("nan"), 2, 3, 4], 2, 4, 2),
    ],
)
def test_patience_ends_it_and_the_best_weights_stay(tmp_path, values, patience, epochs, best):
    folder = CheckpointFolder(tmp_path / "watched", IDENTITY)
    kept, history = run_watched(folder, values, patience=patience)
    assert list(history["epoch"]) == list(range(1, epochs + 1))
    then, _ = run(CheckpointFolder(tmp_path / "plain", IDENTITY), epochs=best)
    assert torch.equal(kept, then)


@pytest.mark.parametrize("step", [3, 5, 12, 15, 16, 24])
def test_a_kill_forgets_neither_the_best_weights_nor_the_waiting(tmp_path, step):
    values = [3, 2, 1, 5, 4, 0, 0]
    whole, history = run_watched(CheckpointFolder(tmp_path / "whole", IDENTITY), values, patience=2)
    taken = 0

    def dying_loss(model, batch):
        nonlocal taken
        taken += 1
        if taken > step:
            raise Killed
        return functional.cross_entropy(model(batch[0]), batch[1])

    killed = CheckpointFolder(tmp_path / "killed", IDENTITY)
    with pytest.raises(Killed):
        run_watched(killed, values, dying_loss, patience=2, checkpoint_steps=2)
    killed.close()
    folder = CheckpointFolder(tmp_path / "killed", IDENTITY)
    again, history_again = run_watched(folder, values, patience=2, checkpoint_steps=2)
    assert torch.equal(whole, again)
    assert history.equals(history_again)


def test_killed_after_the_last_epoch_it_trains_no_more(tmp_path):
    values = [3, 1, 5, 5, 0]
    folder = CheckpointFolder(tmp_path, IDENTITY)
    whole, history = run_watched(folder, values, patience=2)
    folder.close()

    def no_loss(model, batch):
        raise AssertionError("it trains again")

    folder = CheckpointFolder(tmp_path, IDENTITY)
    again, history_again = run_watched(folder, values, no_loss, patience=2)
    assert torch.equal(whole, again)
    assert history.equals(history_again)


# --- what a checkpoint holds ----------------------------------------------------------------------


class Half(nn.Module):
    """A frozen body, with a weight that two names share, and a head with a buffer."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 4).requires_grad_(False)
        self.same = self.body
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.norm(self.same(self.body(x))))


def half_training(epochs=3):
    training = small_training(epochs=epochs)
    training.model = Half()
    trained = [w for w in training.model.parameters() if w.requires_grad]
    training.optimizer = torch.optim.Adam(trained, lr=0.01)
    training.schedule = None
    return training


def test_frozen_weights_are_in_no_checkpoint(tmp_path):
    fabric = start(7, device="cpu")
    whole, folder = half_training(), CheckpointFolder(tmp_path, IDENTITY)
    body = whole.model.body.weight.clone()
    fit(whole, folder, fabric)
    held = set(folder.load()["model"])
    assert not any(name.startswith(("body", "same")) for name in held)
    assert {"head.weight", "norm.weight", "norm.running_mean", "norm.num_batches_tracked"} <= held
    assert torch.equal(whole.model.body.weight, body)

    fabric = start(7, device="cpu")
    part, other = half_training(epochs=1), CheckpointFolder(tmp_path / "again", IDENTITY)
    fit(part, other, fabric)
    rest = half_training()
    rest.model.body.load_state_dict(part.model.body.state_dict())  # as its maker would load it
    fit(rest, other, fabric)
    state = whole.model.state_dict()
    assert all(torch.equal(state[n], w) for n, w in rest.model.state_dict().items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    fabric = start(7, device="cpu")
    folder = CheckpointFolder(tmp_path, IDENTITY)
    fit(small_training(), folder, fabric)
    with pytest.raises(InputError, match=r"weights are another network's .*remove it to start"):
        fit(half_training(), folder, fabric)


def test_those_who_only_read_need_no_lock(tmp_path):
    writer = CheckpointFolder(tmp_path, IDENTITY)
    writer.save({"cursor": {"epoch": 1}})
    reader = CheckpointFolder(tmp_path, IDENTITY, writer=False)
    assert reader.path == writer.path
    assert reader.load() == {"cursor": {"epoch": 1}}
    with pytest.raises(InputError, match="another process is training here"):
        CheckpointFolder(tmp_path, IDENTITY)
    writer.close()
    CheckpointFolder(tmp_path, IDENTITY)  # a reader keeps nobody out


# --- TensorBoard ----------------------------------------------------------------------------------


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    tags = found.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize("save", [2, 3])
def test_tensorboard_has_each_epoch_once_killed_or_not(tmp_path, save):
    # Killed after an epoch's numbers are written and before its checkpoint is: it is trained again.
    board, options = tmp_path / "board", {"evaluate": lambda model: {"score": 1.5}}
    options["tensorboard"] = board
    folder, saved = CheckpointFolder(tmp_path / "ck", IDENTITY), []

    def dying_save(state):
        saved.append(state)
        if len(saved) == save:
            raise Killed
        CheckpointFolder.save(folder, state)

    folder.save = dying_save
    with pytest.raises(Killed):
        run(folder, **options)
    assert [step for step, _ in events(board)["loss"]] == list(range(1, save + 1))
    folder.close()
    _, history = run(CheckpointFolder(tmp_path / "ck", IDENTITY), **options)
    found = events(board)
    assert set(found) >= {"loss", "learning_rate", "score"}
    for tag in ("loss", "learning_rate", "score"):
        assert [step for step, _ in found[tag]] == [1, 2, 3]
        assert [value for _, value in found[tag]] == pytest.approx(list(history[tag]))


@pytest.mark.parametrize("killed", [False, True])
def test_tensorboards_thread_ends_with_the_training(tmp_path, killed):
    """Else they would pile up in a process that trains often, each with an open file."""

    def loss(model, batch):
        if killed:
            raise Killed
        return functional.cross_entropy(model(batch[0]), batch[1])

    before = {thread for thread in threading.enumerate() if "tqdm" not in thread.name}
    with pytest.raises(Killed) if killed else contextlib.nullcontext():
        run(CheckpointFolder(tmp_path / "ck", IDENTITY), loss=loss, tensorboard=tmp_path / "board")
    assert {thread for thread in threading.enumerate() if "tqdm" not in thread.name} <= before


# --- batches in pieces ----------------------------------------------------------------------------


def linear_training(pieces, **more):
    """Full batches, or the same in pieces of different sizes; no dropout."""
    torch.manual_seed(2)
    net = nn.Linear(4, 2)
    data = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    labels = (data.sum(1) > 0).long()

    def batches(epoch, start=0):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(epoch))
        for chosen in order.split(10)[start:]:
            parts = chosen.split([5, 4, 1]) if pieces else [chosen]
            yield Pieces([(data[p], labels[p]) for p in parts], weights=[len(p) for p in parts])

    return Training(
        model=net,
        optimizer=torch.optim.SGD(net.parameters(), lr=0.5),
        batches=batches,
        steps_per_epoch=4,
        loss=lambda m, b: functional.cross_entropy(m(b[0]), b[1]),
        epochs=2,
        **more,
    )


def test_pieces_are_as_good_as_the_whole_batch(tmp_path):
    found = []
    for pieces in (False, True):
        training = linear_training(pieces)
        folder = CheckpointFolder(tmp_path / str(pieces), IDENTITY)
        history = fit(training, folder, start(7, device="cpu"))
        found.append((weights(training), history["loss"].to_numpy()))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert np.allclose(found[0][1], found[1][1], atol=1e-6)


def test_a_loss_that_is_not_finite_in_one_piece_stops_it(tmp_path):
    training = linear_training(True)
    training.loss = lambda m, b: m(b[0]).sum() / (0.0 if len(b[0]) == 1 else 1.0)
    with pytest.raises(InputError, match="epoch 1, step 1"):
        fit(training, CheckpointFolder(tmp_path, IDENTITY), start(7, device="cpu"))


def test_batches_from_a_step_on_are_asked_for_after_a_kill(tmp_path):
    asked, taken = [], 0

    def dying(model, batch):
        nonlocal taken
        taken += 1
        if taken == 4:
            raise Killed
        return functional.cross_entropy(model(batch[0]), batch[1])

    def watched(**more):
        training = linear_training(False, checkpoint_steps=1, **more)
        plain = training.batches
        training.batches_from = lambda *cursor: asked.append(cursor) or plain(*cursor)
        return training

    folder = CheckpointFolder(tmp_path / "killed", IDENTITY)
    first = watched()
    first.loss = dying
    with pytest.raises(Killed):
        fit(first, folder, start(7, device="cpu"))
    folder.close()
    second = watched()
    fit(second, CheckpointFolder(tmp_path / "killed", IDENTITY), start(7, device="cpu"))
    assert asked == [(0, 0), (0, 3), (1, 0)]
    whole = linear_training(False)
    fit(whole, CheckpointFolder(tmp_path / "whole", IDENTITY), start(7, device="cpu"))
    assert torch.equal(weights(whole), weights(second))


# --- data parallel --------------------------------------------------------------------------------

TWO = """
import sys
import torch
from torch import nn
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import Training, fit, start

devices, folder = int(sys.argv[1]), sys.argv[2]
fabric = start(7, device="cpu", devices=devices)
net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
data = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
labels = (data.sum(1) > 0).long()

def batches(epoch):
    order = torch.randperm(40, generator=torch.Generator().manual_seed(epoch))
    for chosen in order.split(8):
        own = chosen[fabric.global_rank :: fabric.world_size]
        yield data[own], labels[own]

training = Training(
    model=net,
    optimizer=torch.optim.Adam(net.parameters(), lr=0.01),
    batches=batches,
    steps_per_epoch=5,
    loss=lambda model, b: nn.functional.cross_entropy(model(b[0]), b[1]),
    evaluate=lambda model: {"score": float(model(data).square().mean())},
    epochs=3,
    clip_norm=0.1,
    monitor="score",
    patience=5,
    tensorboard=folder + "/board",
)
checkpoints = CheckpointFolder(folder + "/ck", {"of": "two"}, writer=fabric.is_global_zero)
history = fit(training, checkpoints, fabric)
if fabric.is_global_zero:
    assert fabric.world_size == devices
    torch.save(net.state_dict(), folder + "/weights.pt")
    history.to_csv(folder + "/history.csv")
    checkpoints.remove()
"""


def test_two_processes_train_what_one_does(tmp_path, monkeypatch, meeting_port):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    for devices in ("1", "2"):
        (tmp_path / devices).mkdir()
    monkeypatch.setattr(sys, "argv", [str(script), "1", str(tmp_path / "1")])
    runpy.run_path(str(script), run_name="__main__")
    path = str(Path(__file__).resolve().parents[2] / "workflow")
    done = subprocess.run(
        [sys.executable, str(script), "2", str(tmp_path / "2")],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | meeting_port,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("*/ck"))
    one, two = (torch.load(tmp_path / devices / "weights.pt") for devices in "12")
    assert all((one[name] - two[name]).abs().max() < 1e-5 for name in one)
    scores = [pd.read_csv(tmp_path / devices / "history.csv")["score"] for devices in "12"]
    assert np.allclose(*scores, atol=1e-5)
    assert scores[0].nunique() == 3
