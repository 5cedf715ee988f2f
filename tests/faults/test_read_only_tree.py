"""The workflow runs from a checkout in which nothing can be written."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from small_target import SUMMARY, arguments

pytestmark = pytest.mark.faults


@pytest.fixture
def sealed(clone, tmp_path) -> Iterator[Path]:
    """A fresh clone, mounted so that the kernel refuses every change of it."""
    if os.geteuid():
        pytest.skip("only root may mount a folder read-only")
    folder = clone()
    for options in (["--bind", folder, folder], ["-o", "remount,ro,bind", folder]):
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield folder
    # Lazily: a process that ends a moment after Snakemake may still be in it.
    subprocess.run(["umount", "--lazy", folder], check=True)


def listed(folder: Path) -> set[tuple[str, int, int]]:
    """Every file and folder, with its size and time."""
    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return {(str(path), facts.st_size, facts.st_mtime_ns) for path, facts in found}


def test_it_runs_from_a_checkout_that_cannot_be_written(sealed, tmp_path, snakemake):
    with pytest.raises(OSError, match="Read-only file system"):
        (sealed / "file").touch()
    before, elsewhere = listed(sealed), tmp_path / "elsewhere"
    done = snakemake(sealed, *arguments(elsewhere))
    assert done.status == 0, done.text
    assert "Read-only" not in done.text
    assert set(pd.read_csv(elsewhere / SUMMARY)["model"]) == {"digits-2"}
    assert (elsewhere / ".snakemake").is_dir()
    assert listed(sealed) == before
    assert snakemake(sealed, *arguments(elsewhere), "--dry-run").nothing_to_do
