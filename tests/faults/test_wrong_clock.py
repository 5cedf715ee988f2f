"""Times of files that are days off, as from a file server with a wrong clock, rerun nothing."""

import os
import shutil
import time
from pathlib import Path

import pytest
from small_target import SUMMARY, arguments

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
    """Its outputs are older than its inputs from the first moment on."""
    before = (copy / SUMMARY).read_bytes()
    set_clock(copy / MODELS, DAYS)
    for made in (copy / SUMMARY, copy / AUDITS / "digits-2.csv"):
        made.unlink()
    done = snakemake(origin, *arguments(copy))
    assert done.status == 0, done.text
    assert set(done.jobs) == {"audit_model", "spectral", "summarise_audits"}
    assert (copy / SUMMARY).read_bytes() == before
    again = snakemake(origin, *arguments(copy), "--dry-run")
    assert again.nothing_to_do, again.text
