"""What goes wrong on a cluster, done to a real one: the results are those of a quiet run.

Every fault hits a training that has saved a checkpoint; the training goes on, and its weights and
history are compared, bit by bit, with those of a training that nothing happened to.
"""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch
from cluster import said, wait_for
from safetensors.torch import load_file

pytestmark = [pytest.mark.slurm]

# A background job of a shell, as tests may be, is started deaf to it, and so is all that it starts.
HEARS_CTRL_C = ["env", "--default-signal=INT"]
TARGET = "results/demo/models/long.safetensors"
LONG = "models: {long: {digits: {layers: 2, epochs: 40}, series: digits}}\n"
# Several times as long as the time limit of its test leaves it.
LONGER = LONG.replace("40", "250")


@pytest.fixture(scope="module")
def quiet(origin, tmp_path_factory, snakemake):
    """The folder of a training on this machine that nothing happens to."""
    return trained_quietly(origin, tmp_path_factory.mktemp("quiet"), snakemake, LONG)


@pytest.fixture(scope="module")
def quiet_longer(origin, tmp_path_factory, snakemake):
    """The same of the longer training."""
    return trained_quietly(origin, tmp_path_factory.mktemp("longer"), snakemake, LONGER)


def trained_quietly(origin, folder, snakemake, config):
    (folder / "long.yaml").write_text(config)
    done = snakemake(
        origin,
        *["--profile", "profiles/demo", "--configfile", "config/demo.yaml", folder / "long.yaml"],
        *["--directory", folder, "--", TARGET],
    )
    assert done.status == 0, done.text
    return folder


class Run:
    """Snakemake in a process of its own, whose jobs run in the cluster."""

    def __init__(self, origin, folder, arguments, *more, config=LONG):
        (folder / "long.yaml").write_text(config)
        self.folder, self.origin = folder, origin
        self.arguments = [*arguments, str(folder / "long.yaml"), "--directory", str(folder), *more]
        self.log = folder / "snakemake.txt"
        self.start()

    def start(self):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        with self.log.open("a") as stream:
            self.process = subprocess.Popen(
                [*HEARS_CTRL_C, sys.executable, "-m", "snakemake", *self.arguments, "--", TARGET],
                cwd=self.origin,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self):
        return self.log.read_text()

    def trained_a_while(self):
        """Wait for a checkpoint of the running training; give Slurm's number of its job."""
        pattern = "results/demo/models/long.training/*/checkpoint.pt"
        wait_for(lambda: list(self.folder.glob(pattern)))
        return wait_for(lambda: said("squeue", "-h", "-t", "running", "-o", "%A"))

    def finished(self, seconds=900):
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                os.killpg(self.process.pid, signal.SIGKILL)
                pytest.fail(f"Snakemake does not end:\n{self.text[-4000:]}")
            time.sleep(1)
            # Slurm lets a job that was put back wait for two minutes; a test need not.
            for job in said("squeue", "-h", "-t", "pending", "-o", "%A %r").splitlines():
                if job.endswith(" BeginTime"):
                    number = job.split(" ")[0]
                    subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"])
        return self.process.returncode

    @property
    def training_log(self):
        return (self.folder / "logs/demo/models/long/train_digits.log").read_text()


@pytest.fixture
def run(origin, tmp_path, arguments):
    """Start a run; whatever is left of it is stopped at the end."""
    started = []

    def start(*more, config=LONG):
        started.append(Run(origin, tmp_path, arguments, *more, config=config))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
    for job in said("squeue", "-h", "-o", "%A").split():
        subprocess.run(["scancel", job], check=False)
    wait_for(lambda: not said("squeue", "-h", "-o", "%A"))


def assert_undisturbed(run, quiet):
    """The same weights and history as of the quiet run, and the training did go on."""
    here, there = load_file(quiet / TARGET), load_file(run.folder / TARGET)
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)
    history = "results/demo/models/long.history.csv"
    pd.testing.assert_frame_equal(
        pd.read_csv(quiet / history), pd.read_csv(run.folder / history), check_exact=True
    )
    assert "going on from" in run.training_log
    assert not list(run.folder.glob("results/**/.*partial*"))


@pytest.mark.accounts
def test_scancel(run, quiet):
    it = run()
    job = it.trained_a_while()
    subprocess.run(["scancel", job], check=True)
    assert it.finished() == 0, it.text
    assert "Trying to restart job" in it.text
    assert_undisturbed(it, quiet)


def test_the_time_limit(run, quiet_longer):
    """Slurm sends SIGTERM before the limit, as the profile asks; the training saves itself."""
    limit = ["train_digits:slurm_extra=--signal=TERM@35", "train_digits:runtime=1"]
    it = run("--retries", "30", "--set-resources", *limit, config=LONGER)
    it.trained_a_while()
    assert it.finished() == 0, it.text
    assert it.text.count("Trying to restart job") >= 1, "it was done before its time was up"
    assert_undisturbed(it, quiet_longer)


def test_requeue(run, quiet):
    it = run()
    job = it.trained_a_while()
    subprocess.run(["scontrol", "requeue", job], check=True)
    assert it.finished() == 0, it.text
    assert "Trying to restart job" not in it.text  # the same job came back
    assert_undisturbed(it, quiet)


def test_preemption(run, quiet):
    it = run()
    it.trained_a_while()
    # All of the machine, for a more important job.
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--exclusive", "--output=/dev/null"]
    subprocess.run([*urgent, "--wrap=sleep 5"], check=True, capture_output=True)
    assert it.finished() == 0, it.text
    assert_undisturbed(it, quiet)


def test_a_node_that_dies_and_comes_back(run, quiet, slurm):
    it = run()
    it.trained_a_while()
    slurm.kill("slurmd")
    wait_for(lambda: "down" in said("sinfo", "-h", "-o", "%T"))
    slurm.start_node()
    assert it.finished() == 0, it.text
    assert_undisturbed(it, quiet)


def test_a_controller_that_is_away_for_a_while(run, quiet, slurm):
    it = run()
    it.trained_a_while()
    slurm.kill("slurmctld")
    wait_for(lambda: "Slurm does not answer" in it.text)  # Snakemake has asked in vain
    slurm.start_controller()
    assert it.finished() == 0, it.text
    here, there = load_file(quiet / TARGET), load_file(it.folder / TARGET)
    assert all(torch.equal(here[name], there[name]) for name in here)


def resume(it, *options):
    command = [sys.executable, "-m", "hearsay.cluster", "resume", *options, "--seconds", "1"]
    return subprocess.run(
        [*command, "--", *it.arguments, "--", TARGET],
        cwd=it.origin,
        env={**os.environ, "PYTHONPATH": str(it.origin / "workflow")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.parametrize("leftover", ["wait", "cancel"])
def test_a_killed_snakemake(run, quiet, leftover):
    it = run()
    it.trained_a_while()
    alive = resume(it)
    assert alive.returncode == 1
    assert f"Snakemake still works here (process {it.process.pid})" in alive.stderr
    it.process.kill()
    it.process.wait()
    refused = resume(it)
    assert refused.returncode == 1
    assert "jobs of an earlier run are still there" in refused.stderr
    assert "rule_train_digits" in refused.stderr
    done = resume(it, "--leftover", leftover)
    assert done.returncode == 0, done.stdout + done.stderr
    here, there = load_file(quiet / TARGET), load_file(it.folder / TARGET)
    assert all(torch.equal(here[name], there[name]) for name in here)
    if leftover == "cancel":
        assert_undisturbed(it, quiet)


def test_ctrl_c(run, quiet):
    it = run()
    it.trained_a_while()
    it.process.send_signal(signal.SIGINT)
    assert it.finished() != 0
    wait_for(lambda: not said("squeue", "-h", "-o", "%A"))
    it.start()
    assert it.finished() == 0, it.text
    assert_undisturbed(it, quiet)


def test_two_snakemakes_at_once(run, quiet, origin, snakemake):
    it = run()
    it.trained_a_while()
    second = snakemake(origin, *it.arguments, "--", TARGET)
    assert second.status != 0
    assert "Directory cannot be locked" in second.text
    assert it.finished() == 0, it.text
    here, there = load_file(quiet / TARGET), load_file(it.folder / TARGET)
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_an_array_that_would_be_cut_short_is_refused(slurm, origin, tmp_path, arguments, snakemake):
    done = snakemake(
        origin,
        *arguments,
        *["--directory", tmp_path, "--jobs", "2", "--slurm-array-jobs", "audit_model", "spectral"],
    )
    assert done.status != 0
    assert "a job array of audit_model that is cut short would never be sent" in done.text


def test_failing_jobs_end_the_run_with_their_log(slurm, origin, tmp_path, arguments, snakemake):
    bad = tmp_path / "bad.yaml"
    bad.write_text("models: {broken: {path: broken.safetensors, series: digits}}\n")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            snakemake,
            origin,
            *arguments,
            *[bad, "--directory", tmp_path, "--retries", "1"],
            "results/demo/spectral/broken.csv",
        )
        done = running.result(timeout=900)
    assert done.status != 0
    assert "broken.safetensors" in done.text.partition("Error in rule audit_model")[2]
    assert "Traceback" not in done.text
    # The second attempt asked for more.
    known = said("scontrol", "--oneliner", "show", "job").splitlines()
    mine = [text for text in known if f"WorkDir={tmp_path} " in text]
    first, second = (
        {key: int(re.search(rf"{key}=(\d+)", text)[1]) for key in ("mem", "JobId")}
        for text in sorted(mine, key=lambda text: int(re.search(r"JobId=(\d+)", text)[1]))
    )
    assert second["mem"] == 2 * first["mem"]
