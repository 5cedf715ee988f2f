"""Snapshots of a training: which epochs, and that a run that goes on leaves the same ones."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import fit, start
from hearsay.training.snapshots import Snapshots, snapshot_epochs

# Training of a small net with dropout, of the tests beside this one.
_SPEC = importlib.util.spec_from_file_location("loop_tests", Path(__file__).parent / "test_loop.py")
loop_tests = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(loop_tests)


@given(st.integers(0, 200), st.integers(0, 12))
def test_epochs_begin_untrained_and_end_with_the_last(epochs, count):
    found = snapshot_epochs(epochs, count)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert len(found) <= count + 1
    if count and epochs:
        assert found[-1] == epochs


def test_epochs_lie_closer_at_the_beginning():
    assert snapshot_epochs(12, 3) == [0, 1, 3, 12]
    assert snapshot_epochs(6, 3) == [0, 1, 2, 6]
    assert snapshot_epochs(5, 1) == [0, 5]
    assert snapshot_epochs(2, 9) == [0, 1, 2]
    assert snapshot_epochs(0, 3) == snapshot_epochs(7, 0) == [0]


def train(folder, out, *, die_after=None, count=3, epochs=4, patience=None):
    """A training, or one that dies after so many losses."""
    taken = 0

    def loss(model, batch):
        nonlocal taken
        taken += 1
        if die_after is not None and taken > die_after:
            raise loop_tests.Killed
        return loop_tests.functional.cross_entropy(model(batch[0]), batch[1])

    fabric = start(7, device="cpu")
    more = {"monitor": "score", "patience": patience} if patience else {}
    training = loop_tests.small_training(
        epochs=epochs, loss=loss, evaluate=lambda model: {"score": 1.0}, checkpoint_steps=2, **more
    )
    checkpoints = CheckpointFolder(folder, loop_tests.IDENTITY)

    def save(path):
        with whole_file(path) as temporary:
            save_file(training.model.state_dict(), temporary)

    snapshots = Snapshots(checkpoints, epochs=epochs, count=count, save=save)
    training.snapshot = snapshots
    try:
        history = fit(training, checkpoints, fabric)
        snapshots.finish(out, len(history))
    finally:
        checkpoints.close()
    return checkpoints


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@settings(max_examples=12, deadline=None)
@given(kills=st.lists(st.integers(0, 20), min_size=1, max_size=3))
def test_a_run_that_goes_on_leaves_the_snapshots_of_an_undisturbed_one(tmp_path_factory, kills):
    folder = tmp_path_factory.mktemp("runs")
    train(folder / "whole", folder / "undisturbed")
    for steps in kills:
        try:
            train(folder / "killed", folder / "out", die_after=steps)
        except loop_tests.Killed:
            continue
    train(folder / "killed", folder / "out")
    assert content(folder / "out") == content(folder / "undisturbed")
    names = [f"epoch-000{k}.safetensors" for k in (0, 1, 2, 4)]
    assert list(content(folder / "out")) == names
    assert len(set(content(folder / "out").values())) == 4


def test_a_training_that_ends_early_has_the_snapshots_it_came_to(tmp_path):
    train(tmp_path / "ck", tmp_path / "out", patience=2)
    assert list(content(tmp_path / "out")) == [f"epoch-000{k}.safetensors" for k in (0, 1, 2)]


def test_a_training_killed_when_it_cleans_up_comes_to_its_end_again(tmp_path):
    """The checkpoint goes first: what is left then begins anew, and does not miss a snapshot."""
    checkpoints = train(tmp_path / "ck", tmp_path / "out")
    before = content(tmp_path / "out")
    checkpoints.path.unlink()
    train(tmp_path / "ck", tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_snapshots_outlive_their_checkpoints(tmp_path):
    checkpoints = train(tmp_path / "ck", tmp_path / "out")
    before = content(tmp_path / "out")
    checkpoints.remove()
    assert not (tmp_path / "ck").exists()
    assert content(tmp_path / "out") == before


def test_a_removed_snapshot_is_named(tmp_path):
    with pytest.raises(loop_tests.Killed):
        train(tmp_path / "ck", tmp_path / "out", die_after=15)
    (gone,) = (tmp_path / "ck").glob("*/snapshots/epoch-0001.safetensors")
    gone.unlink()
    with pytest.raises(InputError, match=r"epoch-0001.safetensors: gone while it was needed"):
        train(tmp_path / "ck", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_processes_of_a_training_write_none(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, loop_tests.IDENTITY)
    Snapshots(checkpoints, epochs=2, count=1, save=lambda path: 1 / 0, writer=False)(0)
