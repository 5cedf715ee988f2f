"""The shipped profile, key by key, and the same results through it as on this machine."""

import contextlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch
import yaml
from cluster import said, wait_for
from safetensors.torch import load_file

pytestmark = [pytest.mark.slurm]

# Measured times are in these; everything else is the same on every run.
TIMED = ("event_speed", "usage", "egru_figure")


def test_every_rule_ran_as_a_slurm_job(through_slurm):
    folder, done = through_slurm
    jobs = {
        name: count for name, count in done.jobs.items() if name not in ("all", "spectral", "lm")
    }
    local = {"clone_dataset", "fetch_subject"}  # they need the network
    alone = len(re.findall(r"has been submitted with SLURM jobid", done.text))
    tasks = sum(
        int(last) - int(first) + 1
        for first, last in re.findall(r"individual task IDs are (\d+)-(\d+)", done.text)
    )
    assert tasks or "all" not in done.jobs
    assert alone + tasks == sum(n for name, n in jobs.items() if name not in local)
    logs = {path.name for path in (folder / "logs/slurm").iterdir()}
    assert {"rule_train_digits", "rule_audit_model", "rule_gather_scores"} <= logs


def without_times(table):
    """Without measured times, and without numbers of runs, which those that read times pass on."""
    if "metric" in table:
        table = table[~table["metric"].str.contains("second")].reset_index(drop=True)
    timed = [name for name in table.columns if "second" in name or name in ("run", "records")]
    return table.drop(columns=timed)


@pytest.mark.demo
def test_the_results_equal_the_local_ones(through_slurm, demo):
    folder, _ = through_slurm
    there = folder / "results/demo"
    tables = [path for path in there.rglob("*.csv") if not path.name.startswith(TIMED)]
    assert len(tables) > 10
    for path in tables:
        here = demo / "results/demo" / path.relative_to(there)
        try:
            one, other = (without_times(pd.read_csv(file)) for file in (here, path))
            pd.testing.assert_frame_equal(one, other, rtol=1e-9)
        except pd.errors.EmptyDataError:
            assert here.read_bytes() == path.read_bytes()
        except AssertionError as error:
            pytest.fail(f"{path.relative_to(there)}: {error}")
    weights = list(there.rglob("*.safetensors"))
    assert len(weights) > 5
    for path in weights:
        one, other = load_file(demo / "results/demo" / path.relative_to(there)), load_file(path)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one), path


def test_nothing_is_left_to_do(through_slurm, snakemake):
    folder, done = through_slurm
    targets = [name for name in ("all", "spectral", "lm") if name in done.jobs]
    again = snakemake(
        folder,
        "--profile",
        "slurm",
        "--configfile",
        "config/demo.yaml",
        "--dry-run",
        "--",
        *targets,
    )
    assert again.nothing_to_do, again.text[-3000:]


def test_elsewhere_with_a_space_in_the_path(slurm, origin, tmp_path, arguments, snakemake):
    elsewhere = tmp_path / "an other place"
    elsewhere.mkdir()
    one = elsewhere / "one.yaml"
    one.write_text("spectral: {models: [digits-2], pair: null, esd: null}\n")
    done = snakemake(origin, *arguments, one, "--directory", elsewhere, "--", "spectral")
    assert done.status == 0, done.text
    assert (elsewhere / "results/demo/spectral/summary.csv").is_file()


def test_a_gpu_job_gets_the_gpu_and_others_do_not(slurm):
    asked = ["srun", "--time=1", "bash", "-c", "echo [$CUDA_VISIBLE_DEVICES]"]
    with_gpu = subprocess.run(
        [asked[0], "--gpus=1", *asked[1:]], capture_output=True, text=True, timeout=600
    )
    without = subprocess.run(asked, capture_output=True, text=True, timeout=600)
    assert with_gpu.stdout.strip() == "[0]"
    assert without.stdout.strip() == "[]"


@pytest.fixture
def submitted(slurm, origin, tmp_path, arguments, snakemake):
    """What Slurm knows of a job that waits, and its folder; it is cancelled afterwards."""
    asked = ["scontrol", "--oneliner", "show", "job"]
    # No job starts on a node that takes none; Snakemake is not asked to wait for it.
    subprocess.run(["scontrol", "update", f"NodeName={_node()}", "State=DRAIN", "Reason=test"])
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            snakemake,
            origin,
            *arguments,
            *["--retries", "0", "--directory", tmp_path],
            *["--", "results/demo/models/digits-2.safetensors"],
        )
        try:
            # Slurm still knows jobs that ended, of other folders.
            mine = f" WorkDir={tmp_path} "
            wait_for(lambda: mine in said(*asked))
            text = next(text for text in said(*asked).splitlines() if mine in text)
            yield dict(re.findall(r"(\S+?)=(\S*)", text)), tmp_path
        finally:
            with contextlib.suppress(IndexError):
                subprocess.run(["scancel", said("squeue", "-h", "-o", "%A").split()[0]])
            subprocess.run(["scontrol", "update", f"NodeName={_node()}", "State=RESUME"])
            running.result(timeout=900)


def _node():
    return said("sinfo", "-h", "-o", "%N")


def test_what_a_job_asks_for(submitted, origin):
    job, folder = submitted
    profile = yaml.safe_load((origin / "profiles/slurm/profile.yaml").read_text())
    assert job["JobName"].startswith(profile["slurm-jobname-prefix"] + "_")
    assert job["Requeue"] == "1"
    assert job["TimeLimit"] == "00:30:00"
    assert "mem=2000M" in job["TRES"].replace("mem=2000,", "mem=2000M,")
    assert job["WorkDir"] == str(folder)
    assert job["StdOut"].startswith(f"{folder}/{profile['slurm-logdir']}/rule_train_digits/")


def test_every_key_is_an_option_and_every_rule_exists(origin, snakemake):
    """Snakemake's own parser takes the profile; the workflow has checked its rules."""
    done = snakemake(origin, "--profile", "slurm", "--dry-run", "--", "tables")
    assert done.status == 0, done.text
    profile = yaml.safe_load((origin / "profiles/slurm/profile.yaml").read_text())
    assert profile["retries"] >= 2
    assert profile["slurm-status-command"] == "squeue"
    assert "--signal=TERM@" in profile["default-resources"]["slurm_extra"]
    # Commented keys are offered to users: they must be real too.
    text = (origin / "profiles/slurm/profile.yaml").read_text()
    offered = re.findall(r"^# ([a-z-]+): ", text, re.M)
    assert {"slurm-partition-config", "precommand", "software-deployment-method"} <= set(offered)
    told = subprocess.run(
        ["snakemake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for name in offered:
        assert f"--{name}" in told, name


def test_no_gpu_rule_is_in_an_array_and_all_tasks_ask_for_the_same(origin, snakemake):
    done = snakemake(origin, "--profile", "slurm", "--dry-run", "--forceall", "--", "all")
    profile = yaml.safe_load((origin / "profiles/slurm/profile.yaml").read_text())
    arrays = {name.strip() for name in profile["slurm-array-jobs"].split(",")}
    asked = re.findall(r"^rule (\w+):\n((?:    .*\n)*)", done.text, re.M)
    assert arrays & {rule for rule, _ in asked}
    for rule in arrays:
        resources = {
            tuple(sorted(re.findall(r"(mem_mb|runtime|gpu)=(\w+)", body)))
            for name, body in asked
            if name == rule
        }
        assert len(resources) <= 1, f"{rule}: tasks of an array ask for the same"
        assert not any(dict(values).get("gpu", "0") != "0" for values in resources)


def test_an_example_of_partitions_chooses_one(slurm, origin, tmp_path, arguments, snakemake):
    example = yaml.safe_load((origin / "profiles/slurm/partitions.yaml").read_text())
    assert example["partitions"].keys() == {"short", "long", "gpu"}
    mine = tmp_path / "partitions.yaml"
    limits = example["partitions"]["short"]
    mine.write_text(yaml.safe_dump({"partitions": {"urgent": {**limits, "max_runtime": 60}}}))
    done = snakemake(
        origin,
        *[*arguments, "--directory", tmp_path, "--slurm-partition-config", mine],
        *["--", "results/demo/models/digits-2.safetensors"],
    )
    assert done.status == 0, done.text
    if slurm.accounting:
        assert "urgent" in said("sacct", "-X", "-n", "-o", "Partition")


def test_what_a_job_needs_first_runs_before_it(slurm, origin, tmp_path, arguments, snakemake):
    """`precommand`, where a site loads its modules."""
    done = snakemake(
        origin,
        *[*arguments, "--directory", tmp_path, "--precommand", f"touch {tmp_path}/loaded"],
        *["--", "results/demo/models/digits-2.safetensors"],
    )
    assert done.status == 0, done.text
    assert (tmp_path / "loaded").exists()
