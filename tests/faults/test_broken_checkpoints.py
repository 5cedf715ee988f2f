"""A checkpoint that is cut short or has a wrong bit: the one before is taken, and it is said.

Files are damaged as disks and file servers damage them: cut at a place, a bit turned, a block of
zeros, nothing left.
"""

import os
import re
import signal
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hearsay.errors import InputError
from hearsay.training.checkpoints import CheckpointFolder

pytestmark = pytest.mark.faults

IDENTITY = {"step": "test", "settings": {"epochs": 3}}


def state(number: int) -> dict:
    """A state whose every value tells of the number."""
    weights = torch.randn(60, generator=torch.Generator().manual_seed(number))
    return {"model": {"weight": weights, "bias": weights[:3]}, "cursor": {"epoch": number}}


def equal(found: dict | None, number: int) -> bool:
    if found is None or found["cursor"] != {"epoch": number}:
        return False
    model = state(number)["model"]
    return all(torch.equal(found["model"][name], model[name]) for name in model)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    """A folder with two checkpoints, and the bytes of the last and of the one before."""
    root = tmp_path_factory.mktemp("saved")
    folder = CheckpointFolder(root, IDENTITY)
    for number in (1, 2, 3):
        folder.save(state(number))
    folder.close()
    assert sorted(path.name for path in folder.path.parent.iterdir()) == [
        "checkpoint.previous.pt",
        "checkpoint.pt",
        "lock",
    ]
    return root, folder.path.read_bytes(), folder.previous.read_bytes()


def again(saved: tuple[Path, bytes, bytes], last: bytes, previous: bytes) -> CheckpointFolder:
    """The folder with these two files in it."""
    folder = CheckpointFolder(saved[0], IDENTITY)
    for broken in folder.path.parent.glob("*.broken"):
        broken.unlink()
    folder.path.write_bytes(last)
    folder.previous.write_bytes(previous)
    return folder


def cut(content: bytes, place: int) -> bytes:
    return content[: place % len(content)]


def turned(content: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[place % len(content)] ^= 1 << bit
    return bytes(changed)


def blanked(content: bytes, place: int, size: int) -> bytes:
    start = place % len(content)
    return content[:start] + bytes(min(size, len(content) - start)) + content[start + size :]


WEIGHT = state(3)["model"]["weight"].numpy().tobytes()
PLACES = st.integers(0, 2**20)
DAMAGES = st.one_of(
    st.tuples(st.just(cut), PLACES),
    st.tuples(st.just(turned), PLACES, st.integers(0, 7)),
    st.tuples(st.just(blanked), PLACES, st.integers(1, 4096)),
)


@examples(max_examples=400, deadline=None)
@given(damage=DAMAGES)
def test_a_damaged_checkpoint_is_whole_or_the_one_before_is_taken(saved, damage):
    how, *where = damage
    damaged = how(saved[1], *where)
    folder = again(saved, damaged, saved[2])
    found = folder.load()
    if not equal(found, 3):  # bits in times and paddings of the archive are nobody's
        assert equal(found, 2)
        assert folder.loaded == folder.previous
        assert folder.path.with_name("checkpoint.pt.broken").read_bytes() == damaged
        assert not folder.path.exists()
    folder.close()


@examples(max_examples=100, deadline=None)
@given(places=st.tuples(PLACES, PLACES), size=st.integers(64, 4096))
def test_two_damaged_checkpoints_never_give_another_state(saved, places, size):
    last, previous = (blanked(saved[k], places[k - 1], size) for k in (1, 2))
    folder = again(saved, last, previous)
    found = folder.load()
    assert found is None or equal(found, 3) or equal(found, 2)
    folder.close()


def test_every_bit_of_a_weight_is_watched(saved):
    """torch itself loads a turned bit of a weight without a word."""
    start = saved[1].index(WEIGHT)
    for byte in range(start, start + len(WEIGHT)):
        folder = again(saved, turned(saved[1], byte, byte % 8), saved[2])
        assert folder.path.read_bytes() != saved[1]
        assert equal(folder.load(), 2)
        folder.close()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: b"", "not a zip file"),
        (lambda content: content[:-1], "zip"),
        (lambda content: cut(content, len(content) // 2), "zip"),
        (lambda content: b"not of torch" * 100, "zip"),
        (lambda content: turned(content, content.index(b"data.pkl")), "data.pkl is damaged"),
        (lambda content: turned(content, content.index(WEIGHT)), "data/0 is damaged"),
    ],
    ids=["empty", "a byte short", "half", "another file", "a name", "a weight"],
)
def test_one_line_says_what_is_broken_and_what_is_done(saved, capsys, damage, why):
    folder = again(saved, damage(saved[1]), saved[2])
    assert equal(folder.load(), 2)
    folder.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(rf"checkpoint\.pt: broken \(.*{why}.*\)", line)
    assert f"going on from the checkpoint before it, {folder.previous}" in line
    assert "kept as checkpoint.pt.broken" in line


def test_without_a_whole_one_it_starts_afresh_and_says_so(saved, capsys):
    folder = again(saved, saved[1][:100], b"")
    assert folder.load() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{folder.path}: broken" in line
    assert f"{folder.previous}: broken" in line
    assert line.endswith("no checkpoint is whole: training starts from the beginning")
    # The broken ones never come between what is written from here on.
    for number in (7, 8):
        folder.save(state(number))
    assert equal(folder.load(), 8)
    folder.close()
    folder.remove()
    assert not saved[0].exists()
    saved[0].mkdir()


def test_nothing_is_said_of_a_first_start(tmp_path, capsys):
    assert CheckpointFolder(tmp_path, IDENTITY).load() is None
    assert not capsys.readouterr().err


def test_a_broken_one_never_replaces_the_whole_one_before(saved):
    folder = again(saved, saved[1][:-20], saved[2])
    folder.load()
    folder.save(state(9))
    assert equal(folder.load(), 9)
    folder.path.write_bytes(b"")
    assert equal(folder.load(), 2)
    folder.close()


def test_a_process_that_only_reads_leaves_the_broken_one_alone(saved, capsys):
    again(saved, b"", saved[2]).close()
    reader = CheckpointFolder(saved[0], IDENTITY, writer=False)
    assert equal(reader.load(), 2)
    assert reader.path.read_bytes() == b""
    assert not capsys.readouterr().err


def test_a_whole_checkpoint_of_another_run_is_refused_and_not_put_aside(saved, tmp_path):
    other = CheckpointFolder(tmp_path, {**IDENTITY, "step": "other"})
    other.save(state(1))
    folder = again(saved, other.path.read_bytes(), saved[2])
    with pytest.raises(InputError, match=r"a checkpoint of another run \(step: there 'other'"):
        folder.load()
    assert folder.path.is_file()
    folder.close()


def test_another_run_is_named_by_the_one_checkpoint_that_it_has(tmp_path):
    """Killed between two renamings, or with its last one broken."""
    theirs = {**IDENTITY, "step": "theirs"}
    other = CheckpointFolder(tmp_path, theirs)
    for number in (1, 2):
        other.save(state(number))
    ours = CheckpointFolder(tmp_path, IDENTITY)
    assert ours.others() == [theirs]
    other.path.write_bytes(b"")
    assert ours.others() == [theirs]
    other.path.unlink()
    assert ours.others() == [theirs]
    other.previous.unlink()
    assert ours.others() == []


@pytest.mark.parametrize("event", range(4))
def test_killed_at_any_file_event_of_a_save_a_whole_one_is_left(tmp_path, event, capfd):
    """A real SIGKILL of a real process, before the opening and before each renaming."""
    first = CheckpointFolder(tmp_path, IDENTITY)
    for number in (1, 2):
        first.save(state(number))
    first.close()
    child = os.fork()
    if not child:
        _save_until(tmp_path, event)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    events = 3  # the opening and two renamings
    assert os.WIFSIGNALED(status) == (event < events)
    folder = CheckpointFolder(tmp_path, IDENTITY)
    found = folder.load()
    lost = event == events - 1  # between the renamings only the one before has its name
    assert equal(found, 3 if event == events else 2)
    assert ("checkpoint.pt: not there; going on from the checkpoint" in capfd.readouterr().err) == (
        lost
    )
    folder.save(state(5))
    assert equal(folder.load(), 5)


def _save_until(root: Path, event: int) -> None:
    folder, seen = CheckpointFolder(root, IDENTITY), 0

    def kill(name: str, arguments: tuple) -> None:
        nonlocal seen
        if name in ("open", "os.rename") and "checkpoint" in str(arguments[0]):
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(kill)
    folder.save(state(3))
