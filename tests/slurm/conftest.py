"""What the Slurm tests share: two clusters, and the arguments of a run in them."""

import cluster as slurm_cluster
import pytest

QUICK = ["--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "3"]


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
