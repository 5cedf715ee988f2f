"""Times of files that are days off, as from a file server with a wrong clock, rerun nothing."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from small_target import SUMMARY, arguments

from hearsay.future_times import mend_future_times

pytestmark = pytest.mark.faults

DAYS = 10 * 24 * 3600
MODELS, AUDITS = "results/demo/models", "results/demo/spectral"


@pytest.fixture(scope="module")
def finished(origin, tmp_path_factory, snakemake) -> Path:
    """A folder in which the small target is made."""
    folder = tmp_path_factory.mktemp("finished") / "elsewhere"
    done = snakemake(origin, *arguments(folder))
    assert done.status == 0, done.text
    return folder


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


def set_clock(folder: Path, shift: float) -> None:
    """All files below get times that are so many seconds off."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    now = time.time()
    for number, path in enumerate(sorted(files)):
        os.utime(path, (now + shift + number, now + shift + number))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (DAYS, DAYS),
        (-DAYS, -DAYS),
        (DAYS, -DAYS),  # weights newer than their audits by twenty days
    ],
)
def test_times_that_are_days_off_rerun_nothing(copy, origin, snakemake, inputs, outputs):
    set_clock(copy / MODELS, inputs)
    set_clock(copy / AUDITS, outputs)
    done = snakemake(origin, *arguments(copy), "--dry-run")
    assert done.nothing_to_do, done.text


def test_a_source_tree_from_the_future_reruns_nothing(copy, clone, snakemake):
    fresh = clone()
    set_clock(fresh, DAYS)
    set_clock(copy / AUDITS, -DAYS)
    done = snakemake(fresh, *arguments(copy), "--dry-run")
    assert done.nothing_to_do, done.text


def test_a_change_is_seen_whatever_the_clock_says(copy, origin, snakemake):
    """The times of a changed setting's readers are those of the future, and they rerun."""
    for place in (MODELS, AUDITS):
        set_clock(copy / place, DAYS)
    (copy / "one.yaml").unlink()
    done = snakemake(origin, *arguments(copy, epochs=7), "--dry-run")
    assert set(done.jobs) == {"audit_model", "spectral", "summarise_audits", "train_digits"}


def test_a_job_whose_inputs_are_from_the_future_ends_well_and_once(copy, origin, snakemake):
    """Snakemake alone fails it: its outputs are older than its inputs."""
    before = (copy / SUMMARY).read_bytes()
    set_clock(copy / MODELS, DAYS)
    for made in (copy / SUMMARY, copy / AUDITS / "digits-2.csv"):
        made.unlink()
    done = snakemake(origin, *arguments(copy))
    assert done.status == 0, done.text
    assert set(done.jobs) == {"audit_model", "spectral", "summarise_audits"}
    assert re.search(r"\d+ files had times in the future, such as results/demo/models/", done.text)
    assert (copy / SUMMARY).read_bytes() == before
    again = snakemake(origin, *arguments(copy), "--dry-run")
    assert again.nothing_to_do, again.text


def test_times_of_the_future_become_now_in_their_order(tmp_path):
    now = time.time()
    times = {"later": 2 * DAYS, "soon": DAYS, "past": -DAYS, ".git/there": DAYS}
    for name, shift in times.items():
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now + shift, now + shift))
    (tmp_path / "results" / "link").symlink_to("later")
    folders = [tmp_path / "results", tmp_path / "not there"]
    assert [path.name for path in mend_future_times(folders)] == ["soon", "later"]
    soon, later, past, git = (
        (tmp_path / "results" / name).stat().st_mtime
        for name in ("soon", "later", "past", ".git/there")
    )
    assert now < soon < later <= time.time()
    assert past == pytest.approx(now - DAYS)
    assert git == pytest.approx(now + DAYS)
    assert mend_future_times(folders) == []
