"""The same results through a real Slurm: slurmctld, slurmd, munge, a fake GPU, no accounting."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import slurm_cluster
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.slurm]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    if reason := slurm_cluster.missing():
        pytest.skip(f"no Slurm: {reason}")
    with slurm_cluster.running(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def through_slurm(slurm, origin, tmp_path_factory, snakemake):
    """A clone in which the demo's audit ran as Slurm jobs."""
    folder = tmp_path_factory.mktemp("through") / "hearsay"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True)
    done = snakemake(
        folder,
        *["--profile", "slurm", "--configfile", "config/demo.yaml", "--latency-wait", "5"],
        *["--slurm-init-seconds-before-status-checks", "3", "spectral"],
    )
    assert done.status == 0, done.text
    return folder, done


def test_every_rule_ran_as_a_slurm_job(through_slurm):
    folder, done = through_slurm
    assert done.text.count("with SLURM jobid") == sum(done.jobs.values()) - done.jobs["spectral"]
    logs = {path.name for path in (folder / "logs/slurm").iterdir()}
    assert {"rule_train_digits", "rule_audit_model", "rule_summarise_audits"} <= logs


@pytest.mark.demo
def test_the_results_equal_the_local_ones(through_slurm, demo):
    folder, _ = through_slurm
    names = [
        path.relative_to(demo / "results/demo")
        for path in (demo / "results/demo/spectral").glob("*.csv")
    ]
    assert len(names) == 7
    for name in names:
        here = pd.read_csv(demo / "results/demo" / name)
        there = pd.read_csv(folder / "results/demo" / name)
        pd.testing.assert_frame_equal(here, there, rtol=1e-9)
    for path in (demo / "results/demo/models").glob("*.safetensors"):
        here, there = load_file(path), load_file(folder / "results/demo/models" / path.name)
        assert all(torch.equal(here[name], there[name]) for name in here)


def test_elsewhere_with_a_space_in_the_path(slurm, origin, tmp_path, snakemake):
    elsewhere = tmp_path / "an other place"
    elsewhere.mkdir()
    one = elsewhere / "one.yaml"
    one.write_text("spectral: {models: [digits-2], pair: null, esd: null}\n")
    done = snakemake(
        origin,
        *["--profile", "slurm", "--configfile", "config/demo.yaml", one, "--directory", elsewhere],
        *["--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "3", "spectral"],
    )
    assert done.status == 0, done.text
    assert (elsewhere / "results/demo/spectral/summary.csv").is_file()


def test_a_training_told_to_end_saves_and_its_retry_goes_on(slurm, origin, tmp_path, snakemake):
    """What Slurm does before a time limit (--signal=TERM@180), done by hand."""
    config = tmp_path / "long.yaml"
    config.write_text("models: {long: {digits: {layers: 2, epochs: 60}, series: digits}}\n")
    target = "results/demo/models/long.safetensors"
    arguments = [
        *["--profile", "slurm", "--configfile", "config/demo.yaml", config],
        *["--directory", tmp_path, "--latency-wait", "5"],
        *["--slurm-init-seconds-before-status-checks", "3", target],
    ]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(snakemake, origin, *arguments)
        wait_for(lambda: list(tmp_path.glob("results/demo/models/long.training/*/checkpoint.pt")))
        jobs = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True)
        subprocess.run(["scancel", "--signal=TERM", *jobs.stdout.split()], check=True)
        done = running.result()
    assert done.status == 0, done.text
    assert "Trying to restart job" in done.text
    log = (tmp_path / "logs/demo/models/long/train_digits.log").read_text(encoding="utf-8")
    assert "going on from" in log
    assert len(pd.read_csv(tmp_path / "results/demo/models/long.history.csv")) == 60


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_a_gpu_job_gets_the_gpu_and_others_do_not(slurm):
    asked = ["srun", "--time=1", "bash", "-c", "echo [$CUDA_VISIBLE_DEVICES]"]
    with_gpu = subprocess.run(
        [asked[0], "--gpus=1", *asked[1:]], capture_output=True, text=True, timeout=60
    )
    without = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert with_gpu.stdout.strip() == "[0]"
    assert without.stdout.strip() == "[]"
