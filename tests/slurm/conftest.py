"""What the Slurm tests share: two clusters, and the arguments of a run in them."""

import os
import subprocess
import time

import cluster as slurm_cluster
import pytest

QUICK = ["--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "3"]


def pytest_collection_modifyitems(items):
    """Without HEARSAY_SLURM=all, the cluster with accounting runs what depends on accounts."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if (
            parameters is not None
            and parameters.params.get("slurm") == "with accounting"
            and item.get_closest_marker("accounts") is None
            and os.environ.get("HEARSAY_SLURM") != "all"
        ):
            item.add_marker(pytest.mark.skip(reason="with accounting: make test-slurm runs it"))


@pytest.fixture(scope="package", params=["without accounting", "with accounting"])
def slurm(request, tmp_path_factory):
    """A running cluster, once without a database of ended jobs and once with slurmdbd."""
    accounting = request.param == "with accounting"
    if reason := slurm_cluster.missing(accounting=accounting):
        pytest.skip(f"no Slurm: {reason}")
    with slurm_cluster.running(tmp_path_factory.mktemp("slurm"), accounting=accounting) as cluster:
        yield cluster


@pytest.fixture
def arguments(slurm):
    """Snakemake's arguments for the demo's settings in this cluster, asked often."""
    status = "sacct" if slurm.accounting else "squeue"
    chosen = ["--profile", "slurm", "--slurm-status-command", status, *QUICK]
    return [*chosen, "--configfile", "config/demo.yaml"]


@pytest.fixture(scope="package")
def through_slurm(slurm, origin, tmp_path_factory, snakemake):
    """A clone in which the demo ran as Slurm jobs: all of it, or two of its systems.

    All of it takes long: only where HEARSAY_SLURM=all, as in `make test-slurm`.
    """
    folder = tmp_path_factory.mktemp("through") / "hearsay"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True)
    whole = os.environ.get("HEARSAY_SLURM") == "all"
    status = ["--slurm-status-command", "sacct"] if slurm.accounting else []
    started = time.monotonic()
    done = snakemake(
        folder,
        *["--profile", "slurm", "--configfile", "config/demo.yaml", *QUICK, *status, "--"],
        *(["all"] if whole else ["spectral", "lm"]),
        timeout=5400,
    )
    assert done.status == 0, done.text[-8000:]
    print(f"\n{'all' if whole else 'spectral lm'}: {time.monotonic() - started:.0f} s")
    return folder, done
