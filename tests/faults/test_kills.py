"""Every training step, killed with SIGKILL again and again, ends with an undisturbed run's bits.

The steps are found in the code (training_steps.py): a new one without a miniature fails here.
"""

import time

import pytest
from forks import LONGEST, whole_process
from kills import KILLS, Killer, differences, visible
from miniatures import MINIATURES, Making
from training_steps import near_the_loop, steps, training_steps

pytestmark = pytest.mark.faults


def test_every_step_that_trains_has_a_miniature():
    lacking, needless = training_steps() - MINIATURES.keys(), MINIATURES.keys() - training_steps()
    assert not lacking, f"add to MINIATURES in tests/faults/miniatures.py: {sorted(lacking)}"
    assert not needless, f"no training any more: {sorted(needless)}"


def test_the_search_finds_all_that_can_leave_a_checkpoint():
    """Steps that are near the loop and do not train have no folder for checkpoints."""
    assert len(training_steps()) >= 9
    for step in near_the_loop() - training_steps():
        assert "checkpoints" not in steps()[step]


def test_50_kills_are_planned():
    assert len(KILLS) * len(training_steps()) >= 50


@pytest.mark.parametrize("step", sorted(training_steps()))
def test_killed_and_started_again_it_ends_with_the_same_bits(step, forks, tallies, tmp_path):
    if step not in MINIATURES:
        pytest.fail(f"{step}: no miniature in tests/faults/miniatures.py")

    def run(needed, options):
        log = tmp_path / "inputs.log"
        assert forks.run(needed, options, log) == 0, log.read_text()

    (tmp_path / "inputs").mkdir()
    miniature = MINIATURES[step](Making(tmp_path / "inputs", run))
    whole, log = tmp_path / "whole", tmp_path / "whole.log"
    started = time.monotonic()
    process = whole_process(step, miniature(whole), log)
    assert process.wait(LONGEST) == 0, log.read_text()
    assert visible(whole)

    killer = Killer(step, miniature, forks, tmp_path, whole, seconds=time.monotonic() - started)
    tallies.append(killer.tally)
    tally = killer.kill_all()
    assert tally.total == len(KILLS)
    assert tally.differences == 0
    # Otherwise all runs would have started from their beginning, and nothing were shown.
    least = len(KILLS) // 4
    assert tally.resumed >= least
    assert tally.found["checkpoint write"] >= least
    assert tally.found["final outputs"] >= least


def test_a_difference_is_found(tmp_path):
    """Of one bit, of one file more or less, and of a fact in a record; times are none."""
    folders = [tmp_path / name for name in ("whole", "other")]
    for folder in folders:
        (folder / "w.tensorboard").mkdir(parents=True)
        (folder / "w.bin").write_bytes(bytes(10))
        (folder / "r.run.json").write_text('{"steps": 3, "wall_seconds": 1.0}')
    whole, other = folders
    (other / "r.run.json").write_text('{"steps": 3, "wall_seconds": 2.0}')
    (other / "w.tensorboard" / "events").touch()
    (other / ".w.12.partial.bin").touch()
    assert differences(whole, other) == []
    (other / "w.bin").write_bytes(bytes(9) + b"\1")
    assert differences(whole, other) == ["w.bin"]
    (other / "r.run.json").write_text('{"steps": 4, "wall_seconds": 2.0}')
    (other / "w.partial").touch()
    assert differences(whole, other) == ["w.partial", "r.run.json (steps)", "w.bin"]
