"""The guard itself: what it lets pass, and what it ends."""

import time

import pytest
from guard import guarded


def test_work_without_end_is_ended(tmp_path):
    with pytest.raises(AssertionError, match="more than 1 s of CPU"), guarded(tmp_path, seconds=1):
        while True:
            pass


def test_a_slow_machine_is_no_fault(tmp_path):
    with guarded(tmp_path, seconds=1):
        time.sleep(1.5)


def test_a_file_elsewhere_is_found(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    with guarded(inside):
        (inside / "file").touch()
    with pytest.raises(AssertionError, match="outside"), guarded(inside):
        (tmp_path / "outside").write_text("")
