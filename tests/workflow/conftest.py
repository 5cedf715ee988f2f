"""What the workflow's tests share: copies of the finished demo, and dry runs in them."""

import shutil

import pytest


@pytest.fixture
def copy(demo, tmp_path):
    """The demo's folder with everything in it, metadata and times included."""
    folder = tmp_path / "copy"
    # Datasets are no declared output: their records, which are, suffice. Nor is an environment.
    datasets = shutil.ignore_patterns("simulated", ".venv")
    shutil.copytree(demo, folder, symlinks=True, ignore=datasets)
    return folder


@pytest.fixture
def dry_run(snakemake):
    def run(folder, *arguments):
        done = snakemake(folder, "--profile", "profiles/demo", "--dry-run", *arguments)
        assert done.status == 0, done.text
        return done

    return run
